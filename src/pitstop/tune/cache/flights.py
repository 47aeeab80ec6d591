"""One recomputation of a key at a time in this process, whoever asks: threads, tasks, several event loops.

The first caller leads; the others wait for its result or its exception. A leader that is cancelled, or dies of anything
that is no `Exception`, hands over: all who wait ask again, and the first of them leads.

Whoever comes after what a flight reads was changed must not get what it brings: such a flight is boarded no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Flight:
    """A recomputation that is under way. `landed`: `value` or `error` is there; otherwise it was given up.

    `current`, set by the leader when it begins: whether nothing was voided or changed since.
    """

    __slots__ = ("_lock", "_over", "_wakers", "current", "error", "landed", "thread_id", "value")

    def __init__(self) -> None:
        self.landed = False
        self.value: Any = None
        self.error: BaseException | None = None
        self.current: Callable[[], bool] | None = None
        self.thread_id = threading.get_ident()
        self._over = False
        self._wakers: list[Callable[[], object]] = []
        self._lock = threading.Lock()

    def land(self, value: Any, error: BaseException | None) -> None:
        """Give everybody who waits this."""
        self.value, self.error = value, error
        self.landed = True
        self.give_up()

    def give_up(self) -> None:
        """Wake everybody, with what there is."""
        with self._lock:
            self._over = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    def _add(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if not self._over:
                self._wakers.append(wake)
                return
        wake()

    def _remove(self, wake: Callable[[], object]) -> None:
        with self._lock:
            if wake in self._wakers:
                self._wakers.remove(wake)


class Wait:
    """A step: until `flight` is over, for `timeout_s` at most; whether it is."""

    __slots__ = ("flight", "timeout_s")

    def __init__(self, flight: Flight, timeout_s: float) -> None:
        self.flight = flight
        self.timeout_s = timeout_s

    def run(self) -> bool:
        """Block this thread; not where its own event loop has the leader, which could then never come to an end."""
        if self.flight.thread_id == threading.get_ident():
            return False
        gate = threading.Lock()
        gate.acquire()
        self.flight._add(gate.release)  # noqa: SLF001  the two are one thing
        if gate.acquire(timeout=max(0.0, self.timeout_s)):
            return True
        self.flight._remove(gate.release)  # noqa: SLF001  as above
        return False

    async def arun(self) -> bool:
        """Suspend this task; the flight's leader may be in another thread or loop."""
        loop = asyncio.get_running_loop()
        gate: asyncio.Future[None] = loop.create_future()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and with it who waited there
                loop.call_soon_threadsafe(_open, gate)

        self.flight._add(wake)  # noqa: SLF001  as above
        try:
            await asyncio.wait_for(gate, max(0.0, self.timeout_s))
        except TimeoutError:
            return False
        finally:
            self.flight._remove(wake)  # noqa: SLF001  as above
        return True


def _open(gate: asyncio.Future[None]) -> None:
    if not gate.done():
        gate.set_result(None)


class Flights:
    """Those under way, by key."""

    def __init__(self) -> None:
        self._under_way: dict[str, Flight] = {}
        self._lock = threading.Lock()  # of leaving; boarding takes none

    def __len__(self) -> int:
        return len(self._under_way)

    def board(self, key: str) -> tuple[Flight, bool]:
        """The flight of `key`, and whether the caller leads it and so has to `land` or `give_up`."""
        flight = Flight()
        while True:
            known = self._under_way.setdefault(key, flight)  # atomic: one of those who come at once leads
            if known is flight or known.current is None or known.current():
                return known, known is flight
            self._leave(key, known)  # those who came before the change still get what it brings

    def land(self, key: str, flight: Flight, value: Any, error: BaseException | None = None) -> None:
        """It came to an end. Whoever comes from now on leads a new one."""
        self._leave(key, flight)
        flight.land(value, error)

    def give_up(self, key: str, flight: Flight) -> None:
        """The leader cannot go on."""
        self._leave(key, flight)
        flight.give_up()

    def reset_after_fork(self) -> None:
        """Leaders of the parent lead nothing here."""
        self._lock = threading.Lock()
        self._under_way.clear()

    def _leave(self, key: str, flight: Flight) -> None:
        """Nobody boards it any more; another's flight of the same key stays."""
        with self._lock:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
