"""Whether a server is worth asking: after some failures in a row it is left alone for a while, then tried by one call.

Closed → (`FAILURES` in a row) → open → (`cool_s`, twice as long each time up to `LONGEST_S`) → half-open: one caller
tries, the others go on without → closed again, or open. Nygard, Release It!, 2nd edition, chapter 5.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURES: Final = 3  # one may be chance: a restarted server, a lost packet
COOL_S: Final = 0.25  # a restarted Redis of a test is back in 0.1 s, a failover takes seconds
LONGEST_S: Final = 5.0  # one caller in 5 s pays a deadline for noticing that it is back

CLOSED: Final = "closed"
OPEN: Final = "open"
HALF_OPEN: Final = "half-open"


class Breaker:
    """Of one server. Any thread may ask and tell; the clock is monotonic seconds."""

    __slots__ = ("_clock", "_cool_s", "_failures", "_lock", "_trying", "_until_s", "opened")

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._cool_s = COOL_S
        self._until_s = 0.0  # 0: closed
        self._trying = False
        self.opened = 0
        """How often it did."""

    @property
    def state(self) -> str:
        """One of closed, open and half-open."""
        if not self._until_s:
            return CLOSED
        return HALF_OPEN if self._trying or self._clock() >= self._until_s else OPEN

    def allows(self) -> bool:
        """Whether to ask the server now. Who was let in tells how it went: `succeeded`, `failed` or `abandoned`."""
        if not self._until_s:
            return True
        with self._lock:
            if not self._until_s:
                return True
            if self._trying or self._clock() < self._until_s:
                return False
            self._trying = True
            return True

    def succeeded(self) -> None:
        """The server answered."""
        if self._failures or self._until_s:
            with self._lock:
                self._failures, self._until_s, self._cool_s, self._trying = 0, 0.0, COOL_S, False

    def failed(self) -> None:
        """No answer in time, or no connection."""
        with self._lock:
            self._failures += 1
            if self._trying:
                self._cool_s = min(LONGEST_S, self._cool_s * 2)
            elif self._until_s or self._failures < FAILURES:
                return  # calls that were under way when it opened say nothing new
            self._trying = False
            self._until_s = self._clock() + self._cool_s
            self.opened += 1

    def abandoned(self) -> None:
        """Nobody knows: the caller was cancelled."""
        self._trying = False
