"""How many calls may be tried again: a share of all calls, so that retries never double the load of a host in trouble.

After Finagle's RetryBudget (twitter.github.io/finagle/guide/Clients.html#retries): every call earns a part of a retry,
and a few are free, so that a quiet service can retry, too.
"""

from __future__ import annotations

import threading
from time import monotonic
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

RATIO = 0.2  # retries earned by a call: Finagle's default
FREE_PER_S = 1.0  # Finagle gives 10 a client; ours is per host and worker
BURST = 10.0  # retries that can be saved up


class RetryBudget:
    """At most ``BURST + ratio × calls + free_per_s × seconds`` retries, over any stretch of time. For any thread."""

    def __init__(
        self, ratio: float = RATIO, free_per_s: float = FREE_PER_S, clock_s: Callable[[], float] = monotonic
    ) -> None:
        if not 0 <= ratio <= 1 or free_per_s < 0:
            message = f"retry budget {ratio=}, {free_per_s=}: the ratio is 0 to 1, free retries are 0 or more a second"
            raise SettingError(message)
        self._ratio, self._free_per_s, self._clock_s = ratio, free_per_s, clock_s
        self._lock = threading.Lock()
        self._at_s = clock_s()
        self._saved = BURST if ratio or free_per_s else 0.0

    def earn(self) -> None:
        """Count a call."""
        with self._lock:
            self._saved = min(BURST, self._saved + self._ratio)

    def spend(self) -> bool:
        """Take one retry, if there is one."""
        with self._lock:
            now_s = self._clock_s()
            self._saved = min(BURST, self._saved + (now_s - self._at_s) * self._free_per_s)
            self._at_s = now_s
            if self._saved < 1:
                return False
            self._saved -= 1
            return True
