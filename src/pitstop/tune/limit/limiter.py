"""Lets requests in up to a limit that it finds by itself, the more important ones first, and says who was refused.

Each priority has a share of the limit (after Netflix' partitioned limiter and Envoy's adaptive concurrency): critical
requests may use all of it, and the others less, so that where there is not room for all the less important ones go
without first. Nothing queues: a refused client is told when to come back, which costs a thousandth of serving it late.
"""

from __future__ import annotations

import os
import threading
import weakref
from enum import IntEnum
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from pitstop.model.errors import SettingError
from pitstop.model.tuned import LIMITER_REPORT, LimiterBody
from pitstop.record.reports import Report, add_reporter, remove_reporter
from pitstop.tune.limit.gradient2 import LEAST_NS, LEAST_SAMPLES, WINDOW_NS, Gradient2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Priority(IntEnum):
    """Who goes first. Health checks should be critical, or a busy worker is taken for a dead one."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3


SHARES: Final = {Priority.CRITICAL: 1.1, Priority.HIGH: 1.0, Priority.NORMAL: 0.85, Priority.LOW: 0.5}
"""Of the limit. Above 1 for what may never be refused for the sake of another: health checks, and few of them."""
RETRY_AFTER_S: Final = 1  # a window: the limit is another by then
_NAMES: Final = tuple(each.name.lower() for each in Priority)
_limiters: weakref.WeakSet[Limiter] = weakref.WeakSet()


class Limiter:
    """``began = limiter.enter(priority)`` … ``limiter.leave(began)``; 0 from `enter` means: refuse.

    For any number of threads and tasks: about 0.5 µs for both. `gate` lowers the shares from outside, as memory
    pressure does: from that priority on nobody is let in. `clock_ns` never steps. The child of a fork begins empty,
    with the limit that the parent has found.
    """

    def __init__(
        self,
        name: str = "requests",
        *,
        limit: Gradient2 | None = None,
        shares: dict[Priority, float] | None = None,
        clock_ns: Callable[[], int] = perf_counter_ns,
        window_ns: int = WINDOW_NS,
    ) -> None:
        self.name = name
        self.limit = limit or Gradient2()
        self.shares = SHARES | (shares or {})
        if any(share < 0 for share in self.shares.values()):
            raise SettingError(f"shares of the limit are 0 or more, and are {self.shares}")
        self.in_flight = 0
        self.most = 0  # since the start
        self.refused = dict.fromkeys(Priority, 0)
        self.gate: Priority | None = None
        self._gated = ""
        self._clock_ns = clock_ns
        self._window_ns = window_ns
        self._lock = threading.Lock()
        self._since_ns = 0
        self._room = self._rooms()
        self._window_most = self._sum_ns = self._samples = 0
        self._end_ns = clock_ns() + window_ns
        _limiters.add(self)
        add_reporter(self.reports)

    def close(self) -> None:
        """Report no more."""
        remove_reporter(self.reports)

    def enter(self, priority: Priority = Priority.NORMAL) -> int:
        """When it was let in, for `leave`; 0 where there is no room."""
        with self._lock:
            running = self.in_flight
            if running >= self._room[priority]:
                self.refused[priority] += 1
                return 0
            self.in_flight = running = running + 1
            if running > self._window_most:  # noqa: PLR1730  `max` takes three times as long
                self._window_most = running
        return self._clock_ns()

    def leave(self, began_ns: int, *, counts: bool = True) -> None:
        """It is over. Without `counts` its time says nothing of the load: it failed, or was a stream."""
        now_ns = self._clock_ns()
        took_ns = now_ns - began_ns
        with self._lock:
            if began_ns < self._since_ns:
                return  # it was let in before the fork, and is the parent's to count
            self.in_flight -= 1
            if counts and took_ns >= LEAST_NS:
                self._sum_ns += took_ns
                self._samples += 1
            if now_ns >= self._end_ns:
                self._end_window(now_ns)

    def shut(self, gate: Priority | None, why: str = "") -> None:
        """Refuse everybody from that priority on, down to the least important; None opens again."""
        with self._lock:
            self.gate, self._gated = gate, why
            self._room = self._rooms()

    def reset_after_fork(self) -> None:
        """Who is inside is in the parent, and so is whoever holds the lock."""
        self._lock = threading.Lock()
        self._since_ns = now_ns = self._clock_ns()
        self.in_flight = self.most = 0
        self.refused = dict.fromkeys(Priority, 0)
        self._room = self._rooms()  # the parent may have been about to
        self._window_most = self._sum_ns = self._samples = 0
        self._end_ns = now_ns + self._window_ns

    def reports(self) -> Iterable[Report]:
        """How it stands."""
        limit = self.limit
        why = f"shut for {_NAMES[self.gate]} and below: {self._gated}" if self.gate is not None else limit.why
        body = LimiterBody(
            limit=limit.limit, in_flight=self.in_flight, most=max(self.most, self._window_most),
            refused={_NAMES[each]: count for each, count in self.refused.items()},
            least_s=limit.long_s, recent_s=limit.short_s, why=why,
        )  # fmt: skip
        return [Report(LIMITER_REPORT, self.name, body)]

    def _rooms(self) -> tuple[float, ...]:
        """How many may run for each priority to be let in; at least one, or a refused one would never learn."""
        gate = self.gate
        return tuple(
            0.0 if gate is not None and each >= gate else max(1.0, int(self.limit.limit * self.shares[each]))
            for each in Priority
        )

    def _end_window(self, now_ns: int) -> None:
        """Learn from it; one with too few samples goes on."""
        self._end_ns = now_ns + self._window_ns
        if self._samples < LEAST_SAMPLES:
            return
        self.most = max(self.most, self._window_most)
        self.limit.update(self._sum_ns / self._samples / 1e9, self._window_most)
        self._room = self._rooms()
        self._sum_ns = self._samples = 0
        self._window_most = self.in_flight


def _after_fork() -> None:
    for each in list(_limiters):
        each.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
