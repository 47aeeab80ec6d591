"""Rollups made from durations that a test knows one by one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pitstop.model import Store


class Recorded:
    """A memory store, and a short way to fill it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seq = 0

    def add(
        self,
        ts: int,
        name: str,
        durations_s: Sequence[float],
        *,
        outcome: str = "200",
        kind: str = "http",
        parent: str = "",
        service: str = "shop",
        nbytes: int = 100,
    ) -> None:
        """One row: everything that happened to one series in the second `ts`."""
        rollups = Rollups()
        whole_ns = [round(seconds * 1e9) for seconds in durations_s]
        rollups.ts.append(ts)
        rollups.series.append(Series(service, "", kind, name, parent, outcome))
        rollups.count.append(len(whole_ns))
        rollups.sum_ns.append(sum(whole_ns))
        rollups.min_ns.append(min(whole_ns))
        rollups.max_ns.append(max(whole_ns))
        rollups.nbytes.append(nbytes * len(whole_ns))
        rollups.hist.append(encode(dict(Counter(map(position_of, whole_ns)))))
        self.write(rollups)

    def write(self, rollups: Rollups) -> None:
        self.store.append(Batch("test:1:1", self._seq, rollups))
        self._seq += 1


@pytest.fixture
def recorded(request: pytest.FixtureRequest) -> Iterator[Recorded]:
    store = open_store(f"memory://{request.node.nodeid}")
    yield Recorded(store)
    store.close()
