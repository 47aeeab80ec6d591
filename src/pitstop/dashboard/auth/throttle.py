"""How often somebody may try to sign in.

Two buckets: one for each address, one for everybody. Both refill with time, so a forgotten password costs minutes and
a guessing machine gets a few hundred tries a day. Kept in memory: a restart forgives, and nothing grows without bound.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES_PER_ADDRESS = 5  # in a burst; then one each REFILL_ADDRESS_S (OWASP ASVS 2.2.1 asks for ≤ 100 an hour)
REFILL_ADDRESS_S = 60.0
TRIES_GLOBAL = 30
REFILL_GLOBAL_S = 6.0
MOST_ADDRESSES = 4096  # the address tried longest ago is forgotten first


class Throttle:
    """Failed sign-ins, by address and over all. Safe from any thread. `now_s` is monotonic, seconds."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self._by_address: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._everybody = (0.0, now_s())

    def take(self, address: str) -> int:
        """Count one try before its password is looked at: 0 when it may go on, else the seconds to wait."""
        with self._lock:
            now_s = self._now_s()
            mine = _drained(self._by_address.pop(address, (0.0, now_s)), now_s, REFILL_ADDRESS_S)
            everybody = _drained(self._everybody, now_s, REFILL_GLOBAL_S)
            wait_s = max(
                (mine + 1 - TRIES_PER_ADDRESS) * REFILL_ADDRESS_S, (everybody + 1 - TRIES_GLOBAL) * REFILL_GLOBAL_S
            )
            allowed = wait_s <= 0
            self._by_address[address] = (mine + allowed, now_s)
            self._everybody = (everybody + allowed, now_s)
            while len(self._by_address) > MOST_ADDRESSES:
                self._by_address.popitem(last=False)
            return 0 if allowed else max(1, math.ceil(wait_s))

    def forgive(self, address: str) -> None:
        """The password was right: this address starts afresh, and everybody gets its try back."""
        with self._lock:
            self._by_address.pop(address, None)
            level, at_s = self._everybody
            self._everybody = (max(0.0, level - 1), at_s)


def _drained(bucket: tuple[float, float], now_s: float, refill_s: float) -> float:
    level, at_s = bucket
    return max(0.0, level - (now_s - at_s) / refill_s)
