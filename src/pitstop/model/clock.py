"""Where time comes from, so that a test can be its own clock."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for labels, monotonic time for durations; never one for the other."""

    def now_s(self) -> float:
        """Unix time, seconds."""
        ...

    def monotonic_ns(self) -> int:
        """A clock that never steps, nanoseconds since an arbitrary start."""
        ...


class SystemClock:
    """The machine's own clocks."""

    now_s = staticmethod(time.time)
    monotonic_ns = staticmethod(time.perf_counter_ns)
