"""What is asked for, and what therefore will be: calls by hour of the day, faded from day to day.

Space-saving (Metwally, Agrawal, El Abbadi, ICDT 2005) keeps the calls asked for most in bounded memory: one that is new
takes the place of the least, and its count.
"""

from __future__ import annotations

import heapq
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CALLS: Final = 500
SLOTS: Final = 24
FADE_PER_DAY: Final = 0.7  # what yesterday counts beside today
_DAY_S: Final = 86_400.0

Call = tuple[tuple[Any, ...], tuple[tuple[str, Any], ...]]
"""Positional arguments, and those by name."""


class Demand:
    """Counts of calls, for at most `most` of them. Times are Unix seconds; hours are UTC's.

    Only what missed is counted here, one by one; hits are told by entries when they leave or are made anew, so that a
    lookup that hits costs nothing.
    """

    def __init__(self, most: int = MOST_CALLS) -> None:
        self._most = most
        self._calls: dict[str, tuple[Call, list[float], float]] = {}  # by key: the call, weight by hour, last update
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, key: str, call: Call, at_s: float, times: int = 1) -> None:
        """`call` was asked for that many times."""
        hour = int(at_s // 3600) % SLOTS
        with self._lock:
            known = self._calls.get(key)
            if known is None:
                weights = [0.0] * SLOTS
                if len(self._calls) >= self._most:
                    least = min(self._calls, key=lambda each: self._weight(each, at_s))
                    weights[hour] = self._weight(least, at_s)
                    del self._calls[least]
                self._calls[key] = known = (call, weights, at_s)
            call, weights, last_s = known
            fade: float = FADE_PER_DAY ** (max(0.0, at_s - last_s) / _DAY_S)
            faded = [weight * fade for weight in weights]
            faded[hour] += times
            self._calls[key] = (call, faded, max(at_s, last_s))

    def predict(self, at_s: float, most: int) -> list[Call]:
        """The calls likeliest to be asked for in the hour after `at_s`, the likeliest first."""
        hour, into = int(at_s // 3600) % SLOTS, at_s % 3600 / 3600
        following = (hour + 1) % SLOTS

        def expected(item: tuple[Call, list[float], float]) -> float:
            _, weights, last_s = item
            fade: float = FADE_PER_DAY ** (max(0.0, at_s - last_s) / _DAY_S)
            return fade * ((1 - into) * weights[hour] + into * weights[following] + 0.05 * sum(weights))

        with self._lock:
            return [item[0] for item in heapq.nlargest(most, self._calls.values(), key=expected)]

    def dump(self) -> list[Any]:
        """All of it as plain data, for a level to keep."""
        with self._lock:
            return [[key, call, weights, last_s] for key, (call, weights, last_s) in self._calls.items()]

    def load(self, rows: Iterable[Any]) -> None:
        """What `dump` gave, beside what is known since. Raises ValueError, TypeError for anything else."""
        loaded: dict[str, tuple[Call, list[float], float]] = {}
        for key, call, weights, last_s in rows:
            args, kwargs = call
            if len(weights) != SLOTS:
                raise ValueError(f"{len(weights)} hours where {SLOTS} are needed")
            pairs = tuple((str(name), value) for name, value in kwargs)
            loaded[str(key)] = ((tuple(args), pairs), [float(weight) for weight in weights], float(last_s))
        with self._lock:
            self._calls = dict(list({**loaded, **self._calls}.items())[-self._most :])

    def _weight(self, key: str, at_s: float) -> float:
        _, weights, last_s = self._calls[key]
        fade: float = FADE_PER_DAY ** (max(0.0, at_s - last_s) / _DAY_S)
        return fade * sum(weights)
