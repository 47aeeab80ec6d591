"""A store whose past a test knows second by second, a clock it turns by hand, and a watcher over both."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Errors, Rollups, Samples, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.memory import MemoryStore
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pitstop.model import Store

START_S = 1_790_000_000 // 86_400 * 86_400  # a midnight


class Clock:
    """A clock that stands until it is turned."""

    def __init__(self, now_s: float = START_S) -> None:
        self.at_s = float(now_s)

    def now_s(self) -> float:
        return self.at_s

    def monotonic_ns(self) -> int:
        return int(self.at_s * 1e9)


class Recorded:
    """A store and short ways to fill it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._seq = 0

    def add(
        self,
        ts: int,
        durations_s: Sequence[float],
        *,
        route: str = "GET /a",
        service: str = "shop",
        outcome: str = "200",
        kind: str = "http",
        parent: str = "",
        tenant: str = "",
        nbytes: int = 0,
    ) -> None:
        """What happened to one series in the second `ts`."""
        if not durations_s:
            return
        whole_ns = [round(seconds * 1e9) for seconds in durations_s]
        rows = Rollups(
            [ts], [Series(service, tenant, kind, route, parent, outcome)], [len(whole_ns)], [sum(whole_ns)],
            [min(whole_ns)], [max(whole_ns)], [nbytes], [encode(dict(Counter(map(position_of, whole_ns))))],
        )  # fmt: skip
        self.append(rollups=rows)

    def gauge(self, ts: int, name: str, value: float, *, service: str = "shop", worker: str = "web:1") -> None:
        """One gauge of one worker."""
        self.append(samples=Samples([ts], [service], [worker], [name], [value]))

    def append(
        self, rollups: Rollups | None = None, samples: Samples | None = None, errors: Errors | None = None
    ) -> None:
        self._seq += 1
        self.store.append(Batch("test:1", self._seq, rollups, samples, errors=errors))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def recorded(clock: Clock) -> Iterator[Recorded]:
    store = MemoryStore("watched", clock=clock)
    yield Recorded(store)
    store.close()


@pytest.fixture
def watching(tmp_path: Path, recorded: Recorded, clock: Clock) -> Iterator[Callable[[str], Watcher]]:
    """Makes a watcher that has `rules` as its file; all of them share one ledger."""
    made: list[Watcher] = []
    path = tmp_path / "pitstop-rules.toml"

    def make(rules: str = "") -> Watcher:
        path.write_text(rules)
        watcher = Watcher(recorded.store, Ledger(tmp_path / "pitstop.watch.db"), rules_path=path, clock=clock)
        made.append(watcher)
        return watcher

    yield make
    for watcher in made:
        watcher.stop()
        watcher.ledger.close()
