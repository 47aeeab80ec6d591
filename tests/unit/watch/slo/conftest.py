"""A store filled with operations whose durations and outcomes a test knows one by one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pitstop.model import Store


class Service:
    """What happened, written as a worker writes it: one batch holds what was gathered since the last."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seq = 0
        self._rollups = Rollups()

    def add(
        self,
        ts: int,
        durations_s: Mapping[float, int],
        *,
        name: str = "GET /",
        outcome: str = "200",
        kind: str = "http",
        service: str = "shop",
        tenant: str = "",
    ) -> None:
        """So many operations of each duration in the second `ts`."""
        whole_ns = {round(seconds * 1e9): number for seconds, number in durations_s.items()}
        counts: Counter[int] = Counter()
        for ns, number in whole_ns.items():
            counts[position_of(ns)] += number
        row = (
            ts, Series(service, tenant, kind, name, "", outcome), sum(whole_ns.values()),
            sum(ns * number for ns, number in whole_ns.items()), min(whole_ns), max(whole_ns), 0, encode(dict(counts)),
        )  # fmt: skip
        columns = ("ts", "series", "count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist")
        for column, value in zip(columns, row, strict=True):
            getattr(self._rollups, column).append(value)

    def write(self, *, fold: bool = True) -> Store:
        """Append all of it and fold what is old enough; the store."""
        self.store.append(Batch("test:1:1", self._seq, self._rollups))
        self._seq += 1
        self._rollups = Rollups()
        while fold and self.store.upkeep().folded_rows:
            pass
        return self.store


@pytest.fixture(params=["memory", "sqlite"])
def happened(request: pytest.FixtureRequest, tmp_path: object) -> Iterator[Service]:
    url = f"memory://{request.node.nodeid}" if request.param == "memory" else f"sqlite:///{tmp_path}/pitstop.db"
    store = open_store(url)
    yield Service(store)
    store.close()


@pytest.fixture
def service_in() -> Callable[[Store], Service]:
    """For a store of the test's own."""
    return Service
