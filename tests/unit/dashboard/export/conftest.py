"""A store in memory, a clock that stands where it is put, and rows of requests."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

NOW_S = 1_790_000_000


class Clock:
    def __init__(self) -> None:
        self.at_s: float = NOW_S

    def now_s(self) -> float:
        return self.at_s

    def monotonic_ns(self) -> int:
        return int(self.at_s * 1e9)


def request(route: str = "GET /menu", outcome: str = "200", tenant: str = "", service: str = "shop") -> Series:
    return Series(service, tenant, "http", route, "", outcome)


def rows_of(at_s: int, found: Iterable[tuple[Series, list[int]]]) -> Rollups:
    """One row a series in the second `at_s`, of durations in ns."""
    rows = Rollups()
    for series, durations_ns in found:
        rows.ts.append(at_s)
        rows.series.append(series)
        rows.count.append(len(durations_ns))
        rows.sum_ns.append(sum(durations_ns))
        rows.min_ns.append(min(durations_ns))
        rows.max_ns.append(max(durations_ns))
        rows.nbytes.append(100 * len(durations_ns))
        rows.hist.append(encode(dict(Counter(map(position_of, durations_ns)))))
    return rows


class Writing:
    """Writes batches of workers, a sequence number each."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self._seqs: Counter[str] = Counter()

    def __call__(self, at_s: int, *found: tuple[Series, list[int]], worker: str = "w:1:a") -> None:
        self._seqs[worker] += 1
        self.store.append(Batch(worker, self._seqs[worker], rows_of(at_s, found)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory_store(clock: Clock) -> Iterator[MemoryStore]:
    store = MemoryStore("exported", clock=clock)
    yield store
    store.close()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    opened = SqliteStore(str(tmp_path / "pitstop.db"), clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def write(store: SqliteStore) -> Writing:
    return Writing(store)


@pytest.fixture(name="writing")
def writing_fixture() -> type[Writing]:
    return Writing


@pytest.fixture(name="request_series")
def request_fixture() -> Callable[..., Series]:
    return request


@pytest.fixture(name="rows_of")
def rows_fixture() -> Callable[..., Rollups]:
    return rows_of
