"""One process at a time makes a value anew: a key beside the value's holds the token of who does, and ends by itself.

It ends after `LEASE_S`, and each tick those that are still at work have it prolonged: an owner's death is noticed in
seconds, however long the work takes. Deleting it takes the right away: what its owner then saves is thrown away,
because it may be older than what made somebody delete it (Nishtala et al., Scaling Memcache at Facebook, 2013, 3.2.1).
Who waits is woken by the same pushes that keep memory levels right.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.redis.wire import Command

LEASE_S: Final = 3.0  # six ticks of the thread that prolongs it
POLL_S: Final = 0.25  # who waits looks again after that at the latest: pushes may be lost
DEAF_POLL_S: Final = 0.02  # where there are no pushes

RELEASE: Final = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0"
PROLONG: Final = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end return 0"
COMMIT: Final = (
    "if redis.call('GET',KEYS[2])==ARGV[1] then redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) return 1 end return 0"
)


class Held(NamedTuple):
    """A lease of ours. `until_s`: it is prolonged no more then, on the monotonic clock."""

    token: str
    wire_key: bytes
    until_s: float


class Leases:
    """Those that this process holds, by key. Any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[str, Held] = {}

    def add(self, key: str, token: str, wire_key: bytes, hold_s: float) -> None:
        """We hold it from now on, for `hold_s` at most."""
        self._held[key] = Held(token, wire_key, self._clock() + hold_s)

    def of(self, key: str) -> Held | None:
        """Ours of `key`."""
        return self._held.get(key)

    def drop(self, key: str) -> Held | None:
        """We hold it no more."""
        return self._held.pop(key, None)

    def prolonging(self) -> list[Command]:
        """Commands that prolong what is held."""
        now_s = self._clock()
        lease_ms = int(LEASE_S * 1000)
        commands: list[Command] = []
        for key, held in list(self._held.items()):
            if held.until_s > now_s:
                commands.append(("EVAL", PROLONG, 1, held.wire_key, held.token, lease_ms))
            elif self._held.get(key) is held:
                del self._held[key]
        return commands

    def clear(self) -> None:
        """After a fork: they are the parent's."""
        self._held.clear()


class Gates:
    """Who waits for a key to change. A gate is put up before the lease is asked for, so that no push can be missed."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}

    def put_up(self, key: str) -> None:
        """From now on a change of `key` is remembered for `wait`."""
        self._gates.setdefault(key, Gate())

    def take_down(self, key: str) -> None:
        """Nobody will wait."""
        self._gates.pop(key, None)

    def open(self, key: str) -> None:
        """`key` has changed: let everybody go."""
        if self._gates:
            gate = self._gates.pop(key, None)
            if gate is not None:
                gate.open()

    def open_all(self) -> None:
        """Anything may have changed."""
        for key in list(self._gates):
            self.open(key)

    def wait(self, key: str, timeout_s: float) -> None:
        """Until it opens, for `timeout_s` at most; at once when there is none: it has opened before."""
        gate = self._gates.get(key)
        if gate is not None:
            gate.wait(timeout_s)

    async def await_(self, key: str, timeout_s: float) -> None:
        """The same for asyncio."""
        gate = self._gates.get(key)
        if gate is not None:
            await gate.await_(timeout_s)


class Gate:
    """Opens once, for threads and tasks."""

    __slots__ = ("_lock", "_opened", "_wakers")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = False
        self._wakers: list[Callable[[], object]] = []

    def open(self) -> None:
        """Let everybody go."""
        with self._lock:
            self._opened = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def wait(self, timeout_s: float) -> None:
        """Block this thread."""
        gate = threading.Lock()
        gate.acquire()
        if self._add(gate.release):
            gate.acquire(timeout=max(0.0, timeout_s))
            self._remove(gate.release)

    async def await_(self, timeout_s: float) -> None:
        """Suspend this task."""
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(lambda: None if opened.done() else opened.set_result(None))
            except RuntimeError:  # the loop was closed, and with it who waited there
                return

        if self._add(wake):
            try:
                await asyncio.wait({opened}, timeout=max(0.0, timeout_s))
            finally:
                self._remove(wake)

    def _add(self, wake: Callable[[], object]) -> bool:
        with self._lock:
            if not self._opened:
                self._wakers.append(wake)
            return not self._opened

    def _remove(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)
