"""What the choice of traces remembers of a route: how long it takes, and who waits for one to stand for it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from pitstop.model.series import OTHER
from pitstop.rollup.histogram import BORDERS_NS

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_ROUTES = 1000  # remembered; what is beyond shares one memory
LEAST_SEEN = 200  # durations before a route has a P99 of its own: two are beyond it then
MOST_SEEN = 4000  # then older ones count half, so that "recent" is the last few thousand
LEARNED_AT_ONCE = 32  # durations of a series that are looked at in one second
LEARN_EVERY_S = 10.0

_position = partial(bisect_left, BORDERS_NS)


class Route:
    """One route. `waiting` counts requests by reason since the last one kept for it, at `kept_s` (monotonic).

    A request is slow from `slow_ns` on: the setting, or what only one in a hundred of the route's recent ones exceeds.
    `sample_s` is when the next plain one is due.
    """

    __slots__ = ("_learn_s", "_most_ns", "_seen", "kept_s", "sample_s", "slow_ns", "waiting")

    def __init__(self, slow_ns: int) -> None:
        self.slow_ns = self._most_ns = slow_ns
        self.waiting: Counter[str] = Counter()
        self.kept_s: dict[str, float] = {}
        self.sample_s = self._learn_s = float("-inf")
        self._seen: Counter[int] = Counter()

    def learn(self, durations: Sequence[int], now_s: float) -> None:
        """Take note of some of `durations`, ns, evenly spread over them."""
        seen = self._seen
        seen.update(map(_position, durations[:: len(durations) // LEARNED_AT_ONCE + 1]))
        if now_s >= self._learn_s:
            total = seen.total()
            if total >= LEAST_SEEN:
                self._learn_s = now_s + LEARN_EVERY_S
                at = _percentile_99(seen, total)
                self.slow_ns = min(self._most_ns, BORDERS_NS[at] + 1) if at < len(BORDERS_NS) else self._most_ns
            if total > MOST_SEEN:
                self._seen = Counter({at: n >> 1 for at, n in seen.items() if n > 1})


def _percentile_99(seen: Counter[int], total: int) -> int:
    """The bucket that the longest but one in a hundred is in."""
    beyond, at = total // 100, 0
    for at in sorted(seen, reverse=True):
        beyond -= seen[at]
        if beyond < 0:
            break
    return at


class Routes(dict[tuple[str, str], Route]):
    """By tenant and name, bounded."""

    def __init__(self, slow_ns: int) -> None:
        super().__init__()
        self._slow_ns = slow_ns

    def __missing__(self, place: tuple[str, str]) -> Route:
        if len(self) >= MOST_ROUTES:
            place = (OTHER, OTHER)
        route = self.get(place)
        if route is None:
            route = self[place] = Route(self._slow_ns)
        return route
