"""What is to be told, kept until it was taken: written with the incident it is about, sent by a thread a channel.

A message is put into the ledger in the transaction that makes its incident fire. A thread for each channel claims what
is due, sends it and notes what came of it; a process that dies while it sends leaves the claim, which ends, and the
message is sent again with the same delivery id: at least once, and whoever keeps the ids takes each once.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from pitstop.model import PitstopError, StoreUnavailableError, SystemClock
from pitstop.model.watching import DEGRADED, DOWN, OK, TEST, Channel, Delivery, Notification, Tested
from pitstop.watch import outbox_rows as rows
from pitstop.watch.apprise_host import HOST
from pitstop.watch.bulkhead import Bulkhead, Retry
from pitstop.watch.channel_spec import APPRISE, shown
from pitstop.watch.channels import sender_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pitstop.model import Clock
    from pitstop.watch.channel_spec import ChannelSpec
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.roster import Channels
    from pitstop.watch.sending import Sender

_LOG = logging.getLogger("pitstop.watch")
MOST_QUEUED = 1000  # notifications that wait in memory for the ledger: about 1 MB
_LOOK_S = 0.5  # between two looks for what is due
_EXPIRE_S = 600.0
_DOWN_AFTER_S = 600.0  # a channel that failed for so long is down and not only degraded
_STOP_S = 5.0
_SETTLE_S = 0.5  # to write what is in memory, even when nothing is left of the time
_TEST_GRACE_S = 2.0


class Outbox:
    """Safe from any thread. `egress_allow`: private addresses that channels may reach."""

    def __init__(
        self,
        ledger: Ledger,
        channels: Channels,
        *,
        egress_allow: Sequence[str] = (),
        retry: Retry | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._ledger = ledger
        self._channels = channels
        self._egress_allow = tuple(egress_allow)
        self._retry = retry or Retry()
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()  # noqa: S311  jitter, not a secret
        self._owner = rows.owner_name()
        self._queue: deque[Notification] = deque()
        self._writing = threading.Lock()
        self._making = threading.Lock()  # of bulkheads
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._bulkheads: dict[str, Bulkhead] = {}
        self.dropped = 0  # handed over while the queue was full, or after the stop

    def hand_over(self, notification: Notification) -> bool:
        """Take it from any thread within microseconds; False, and counted, when `MOST_QUEUED` wait or after `stop`.

        It is in memory until a thread has written it, within milliseconds: who must not lose it uses `put`.
        """
        if len(self._queue) >= MOST_QUEUED or self._stopping.is_set():
            self.dropped += 1
            return False
        self._queue.append(notification)
        self._wake.set()
        return True

    def put(self, db: sqlite3.Connection, notification: Notification) -> list[int]:
        """Write it for every channel that takes it, within the caller's transaction; the deliveries' ids."""
        names = [spec.name for spec in self._channels.all() if spec.usable and spec.takes(notification)]
        idents = rows.insert(db, names, notification, self._clock.now_s())
        if idents:
            self._wake.set()
        return idents

    def start(self) -> None:
        """Begin to send. What a process that is no more had claimed is sent again."""
        if self._thread is not None:
            return
        self._stopping = threading.Event()  # its own: one that is late to hear of a stop must not take a start for it
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), name="pitstop-outbox", daemon=True)
        self._thread.start()
        self._warm()

    def stop(self, timeout_s: float = _STOP_S) -> bool:
        """Stop within `timeout_s`; True when all that was taken is in the ledger, and so sent by whoever starts next.

        What is being sent may end; what does not is let go and sent again later, with the same delivery id. A ledger in
        memory has no later: half of the time is for sending what waits, and False says that some was not.
        """
        deadline_s = time.monotonic() + timeout_s
        forgetful = self._ledger.path is None
        if forgetful and self._thread is not None:
            self._send_what_waits(deadline_s - timeout_s / 2)
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout_s / 2)
            self._thread = None
        with self._making:
            bulkheads, self._bulkheads = list(self._bulkheads.values()), {}
        for bulkhead in bulkheads:
            bulkhead.stop()
        late_s = deadline_s - timeout_s / 5
        unfinished = [bulkhead for bulkhead in bulkheads if not bulkhead.join(late_s - time.monotonic())]
        for bulkhead in unfinished:
            bulkhead.abandon()
        HOST.stop()
        settled = threading.Event()
        threading.Thread(target=self._settle, args=(settled,), name="pitstop-outbox-stop", daemon=True).start()
        left_s = max(deadline_s - time.monotonic(), _SETTLE_S)
        done = settled.wait(left_s)  # a ledger that is locked has a patience of its own
        if not done:
            _LOG.warning("the ledger did not take %d notifications in time: they are lost", len(self._queue))
        if forgetful and (left := self._waiting()):
            _LOG.warning("%d messages were not sent and are forgotten with the ledger, which is in memory", left)
            return False
        return done

    def deliveries(self, *, state: str | None = None, limit: int = 100) -> list[Delivery]:
        """Newest first."""
        with self._ledger.read() as db:
            return rows.listed(db, state, limit)

    def redeliver(self, ident: int, who: str) -> Delivery:
        """Send a dead one again. Raises NotFoundError."""
        with self._ledger.write() as db:
            delivery = rows.revive(db, ident, self._clock.now_s())
        _LOG.info("delivery %d is sent again by %s", ident, ascii(who))
        self._wake.set()
        return delivery

    def discard(self, ident: int, who: str) -> None:
        """Forget a dead one. Raises NotFoundError."""
        with self._ledger.write() as db:
            rows.forget(db, ident)
        _LOG.info("delivery %d is discarded by %s", ident, ascii(who))

    def channels(self) -> list[Channel]:
        """Everybody who can be told, and how they stand."""
        specs = self._channels.all()
        with self._ledger.read() as db:
            found = rows.figures(db, [spec.name for spec in specs])
        return [self._standing(spec, found[spec.name]) for spec in specs]

    def send_test(self, name: str | None = None, *, public_url: str = "") -> list[Tested]:
        """Send a test message to one channel or to all of them at once, and wait for each. Raises NotFoundError.

        It takes the way of every message, guard and deadline included, but is tried once and not kept.
        """
        specs = self._channels.all() if name is None else [self._channels.get(name)]
        results: dict[str, Tested] = {}
        threads = []
        for spec in specs:
            run = threading.Thread(target=self._test, args=(spec, public_url, results), daemon=True)
            run.start()
            threads.append((spec, run))
        deadline_s = time.monotonic() + max((spec.timeout_s for spec in specs), default=0.0) + _TEST_GRACE_S
        for _, run in threads:
            run.join(max(deadline_s - time.monotonic(), 0.0))
        return [
            results.get(spec.name)
            or Tested(spec.name, ok=False, took_s=spec.timeout_s, problem="it did not end in time")
            for spec in specs
        ]

    def _test(self, spec: ChannelSpec, public_url: str, results: dict[str, Tested]) -> None:
        began_s, problem = time.perf_counter(), spec.problem
        if not problem:
            try:
                sender = self._sender(spec)
                try:
                    sender.send(self._test_message(spec, public_url), rows.new_delivery(), spec.timeout_s)
                finally:
                    sender.close()
            except PitstopError as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001  a library's words may hold the address
                problem = f"it failed within us: {type(error).__name__}"
        results[spec.name] = Tested(spec.name, not problem, time.perf_counter() - began_s, problem)

    def _test_message(self, spec: ChannelSpec, public_url: str) -> Notification:
        now_s = self._clock.now_s()
        return Notification(
            f"test-{spec.name}",
            TEST,
            "info",
            f"Test of the channel {spec.name}",
            "Somebody asked Pitstop to send this. If you can read it, alerts arrive here, too.",
            {"rule": "test", "severity": "info"},
            now_s,
            url=public_url,
        )

    def _sender(self, spec: ChannelSpec) -> Sender:
        return sender_of(spec, self._egress_allow)

    def _standing(self, spec: ChannelSpec, found: rows.Figures) -> Channel:
        problem = spec.problem or found.problem
        state = OK
        if spec.problem:
            state = DOWN
        elif found.failing_s is not None:
            state = DOWN if self._clock.now_s() - found.failing_s > _DOWN_AFTER_S else DEGRADED
        return Channel(
            spec.name, spec.kind, shown(spec), spec.severities, dict(spec.matches), spec.enabled, spec.source, state,
            problem, found.waiting, found.dead, found.sent, found.last_sent_s,
        )  # fmt: skip

    def _run(self, stopping: threading.Event) -> None:
        expired_s = float("-inf")
        while not stopping.is_set():
            self._wake.clear()
            if stopping.is_set():  # it was what woke us, and is cleared
                break
            try:
                self._write_queue()
                if time.monotonic() - expired_s > _EXPIRE_S:
                    expired_s = time.monotonic()
                    with self._ledger.write() as db:
                        rows.release_of_the_dead(db)
                        rows.expire(db, self._clock.now_s())
                self._wake_due(stopping)
            except StoreUnavailableError as error:
                _LOG.warning("the outbox waits: %s", error)
            except Exception as error:  # noqa: BLE001  nobody would be told that nobody is told
                _LOG.warning("the outbox: internal error, %s", type(error).__name__)
            self._wake.wait(_LOOK_S)

    def _warm(self) -> None:
        """What takes a while to load is loaded before somebody waits for it."""
        try:
            if any(spec.usable and spec.kind == APPRISE for spec in self._channels.all()):
                HOST.start()
        except (OSError, StoreUnavailableError) as error:
            _LOG.warning("Apprise is not loaded yet: %s", error)

    def _send_what_waits(self, until_s: float) -> None:
        while (self._queue or self._waiting()) and time.monotonic() < until_s:
            self._wake.set()
            time.sleep(_LOOK_S / 10)

    def _waiting(self) -> int:
        with self._ledger.read() as db:
            return rows.waiting(db)

    def _settle(self, settled: threading.Event) -> None:
        try:
            self._write_queue()
            with self._ledger.write() as db:
                rows.release(db, self._owner)
        except StoreUnavailableError as error:
            _LOG.warning("the outbox stops: %s", error)
        else:
            settled.set()

    def _write_queue(self) -> None:
        """What was handed over into the ledger: all of it or, when that fails, still in the queue."""
        with self._writing:
            notes = list(self._queue)
            if not notes:
                return
            with self._ledger.write() as db:
                for note in notes:
                    try:
                        self.put(db, note)
                    except (TypeError, ValueError):  # no text: whoever made it has an error
                        self.dropped += 1
                        _LOG.warning("a notification that cannot be written was dropped")
            for _ in notes:
                self._queue.popleft()

    def _wake_due(self, stopping: threading.Event) -> None:
        with self._ledger.read() as db:
            due = rows.due_channels(db, self._clock.now_s())
        known = {spec.name for spec in self._channels.all()} if due else set()
        for name in due:
            if name not in known:
                with self._ledger.write() as db:
                    rows.bury(db, name, self._clock.now_s(), "its channel was removed")
                continue
            with self._making:
                if stopping.is_set():
                    return
                if name not in self._bulkheads:
                    self._bulkheads[name] = Bulkhead(
                        name, self._ledger, self._owner, spec_of=self._channels.find, sender_of=self._sender,
                        retry=self._retry, clock=self._clock, rng=self._rng,
                    )  # fmt: skip
                self._bulkheads[name].wake()
