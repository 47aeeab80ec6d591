"""Who publishes events and who wants to know of them: in this process, and by a carrier in all others.

`publish` never waits: local subscribers are called at once, and a thread hands the event to the carrier, again and
again while that cannot be reached, in order. Events that others publish come in a thread of their own.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from pitstop.tune.cache.events.event import Event, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.events.carrier import Carrier

    Subscriber = Callable[[Event], object]

MOST_WAITING: Final = 10_000  # events that wait for the carrier; then the oldest is dropped and counted
AGAIN_S: Final = 0.1  # before the other end is tried again; twice as long each time up to LONGEST_S
LONGEST_S: Final = 2.0

_log = logging.getLogger("pitstop.cache")


class Bus:
    """`carrier` None: for this process only. Any thread may publish and subscribe.

    With a carrier two threads run from the first publication or subscription on, until `close`.
    """

    def __init__(self, carrier: Carrier | None = None) -> None:
        self.carrier = carrier
        self.origin = secrets.token_hex(8)
        self.dropped = 0
        """Events that no other process was told of: too many waited while the carrier could not be reached."""
        self.failed = 0
        """Calls of subscribers that raised."""
        self.gaps = 0
        """How often events of others may have been missed."""
        self._subscribers: list[tuple[str, Subscriber]] = []
        self._missed: list[Callable[[], object]] = []
        self._waiting: deque[bytes] = deque()
        self._begin()
        _buses.add(self)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._hears = threading.Event()
        self._sent = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []

    def subscribe(self, topic: str, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each event of `topic`, which may end in ``*``; what is returned ends that.

        It is called in the publisher's thread for events of this process, in the bus's thread for others'.
        """
        entry = (topic, subscriber)
        self._subscribers = [*self._subscribers, entry]
        self._start()

        def end() -> None:
            self._subscribers = [each for each in self._subscribers if each is not entry]

        return end

    def on_gap(self, call: Callable[[], object]) -> None:
        """Call this when events of others may have been missed, as after a lost connection."""
        self._missed.append(call)

    def publish(self, topic: str, body: dict[str, Any] | None = None) -> None:
        """Tell everybody, here at once. Raises SettingError for a body that is too long or no JSON."""
        event = Event(topic, body or {}, self.origin)
        raw = encode(event)
        self._deliver(event)
        if self.carrier is None:
            return
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(raw)
        self._start()
        self._wanted.set()

    def flush(self, timeout_s: float) -> bool:
        """Wait until the carrier has what was published; whether it has."""
        with self._lock:
            return self._sent.wait_for(lambda: not self._waiting, timeout_s)

    def wait_until_heard(self, timeout_s: float) -> bool:
        """Wait until others' events are heard; whether they are."""
        return self._hears.wait(timeout_s)

    def close(self, timeout_s: float = 2.0) -> None:
        """Hand over what waits, for `timeout_s` at most, and stop. Publishing again begins anew."""
        if self._threads:
            self.flush(timeout_s)
        self._stopped.set()
        self._wanted.set()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout_s)
        if self.carrier is not None:
            self.carrier.close()
        self._begin()

    def _start(self) -> None:
        if self.carrier is None or self._threads:
            return
        with self._lock:
            if not self._threads:
                weak, stopped = weakref.ref(self), self._stopped
                self._threads = [
                    threading.Thread(target=target, args=(weak, stopped), name=f"pitstop events {name}", daemon=True)
                    for name, target in (("out", _send), ("in", _receive))
                ]
                for thread in self._threads:
                    thread.start()

    def _deliver(self, event: Event) -> None:
        for topic, subscriber in self._subscribers:
            if topic == event.topic or (topic.endswith("*") and event.topic.startswith(topic[:-1])):
                try:
                    subscriber(event)
                except Exception:  # noqa: BLE001  one subscriber must not cost the others, nor the publisher
                    self.failed += 1
                    _log.exception("a subscriber of %r failed", topic)

    def _got(self, raw: bytes) -> None:
        event = decode(raw)
        if event is not None and event.origin != self.origin:
            self._deliver(event)

    def _hear(self, missed: bool) -> None:
        self._hears.set()
        if missed:
            self.gaps += 1
            for call in self._missed:
                try:
                    call()
                except Exception:  # noqa: BLE001  as above
                    self.failed += 1
                    _log.exception("what is called after a gap failed")

    def _hand_over(self) -> bool:
        """Hand the oldest over; False when there is none. Raises what the carrier does; then it stays."""
        with self._lock:
            raw = self._waiting[0] if self._waiting else None
        if raw is None:
            return False
        assert self.carrier is not None
        self.carrier.send(raw)
        with self._lock:
            if self._waiting and self._waiting[0] is raw:
                self._waiting.popleft()
            self._sent.notify_all()
        return True

    def reset_after_fork(self) -> None:
        """The child is another origin; what waits is the parent's to send. Its threads begin anew if there were any."""
        ran = bool(self._threads)
        self.origin = secrets.token_hex(8)
        self._waiting.clear()
        self._begin()
        if self.carrier is not None:
            with suppress(Exception):  # closing what the parent uses on closes our copy only
                self.carrier.close()
        if ran:
            self._start()


def _send(weak: weakref.ref[Bus], stopped: threading.Event) -> None:
    again_s = AGAIN_S
    while not stopped.is_set():
        bus = weak()
        if bus is None:
            return
        wanted = bus._wanted  # noqa: SLF001  the thread is the bus's
        try:
            wanted.clear()
            while bus._hand_over():  # noqa: SLF001  as above
                again_s = AGAIN_S
        except Exception as error:  # noqa: BLE001  whatever the carrier raises: it is tried again
            if again_s == AGAIN_S:
                _log.warning("events cannot be sent for now: %r", error)
            del bus
            stopped.wait(again_s)
            again_s = min(LONGEST_S, again_s * 2)
        else:
            del bus
            wanted.wait(1.0)


def _receive(weak: weakref.ref[Bus], stopped: threading.Event) -> None:
    again_s, heard = AGAIN_S, False

    def got(raw: bytes) -> None:
        if (bus := weak()) is not None:
            bus._got(raw)  # noqa: SLF001  the thread is the bus's
        else:
            stopped.set()

    def hears(missed: bool) -> None:
        nonlocal again_s, heard
        if (bus := weak()) is not None:
            bus._hear(missed and heard)  # noqa: SLF001  as above
        again_s, heard = AGAIN_S, True

    while not stopped.is_set():
        bus = weak()
        if bus is None:
            return
        carrier = bus.carrier
        assert carrier is not None
        del bus
        try:
            carrier.receive(got, hears, stopped)
        except Exception as error:  # noqa: BLE001  as above
            if (bus := weak()) is not None:
                bus._hears.clear()  # noqa: SLF001  as above
            del bus
            if again_s == AGAIN_S:
                _log.warning("events of others are not heard for now: %r", error)
            stopped.wait(again_s)
            again_s = min(LONGEST_S, again_s * 2)


_buses: weakref.WeakSet[Bus] = weakref.WeakSet()


def _after_fork() -> None:
    for bus in list(_buses):
        bus.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
