"""One channel's own thread: whatever its provider does, nobody but this channel waits for it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model import SettingError, StoreUnavailableError
from pitstop.watch import outbox_rows as rows
from pitstop.watch.sending import SendError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from pitstop.model import Clock
    from pitstop.watch.channel_spec import ChannelSpec
    from pitstop.watch.ledger import Ledger
    from pitstop.watch.sending import Sender

_LOG = logging.getLogger("pitstop.watch")
_CLAIM_GRACE_S = 20.0  # a claim outlasts the deadline by this, so that a slow ledger makes nobody send it twice
_IDLE_S = 5.0  # between two looks without being woken
_BREAKS_AFTER = 3  # failures in a row after which the channel as a whole waits, and not each message by itself
_LONGEST_BREAK_S = 60.0


class Retry(NamedTuple):
    """When to try again: after `first_s`, then twice as long each time up to `most_s`, and given up after `tries`.

    Each wait is shortened by up to half at random, so that many who failed together do not come back together.
    With these defaults a message is tried for about four hours.
    """

    first_s: float = 1.0
    most_s: float = 600.0
    tries: int = 40

    def wait_s(self, tries: int, rng: random.Random) -> float:
        """How long to wait after the try of that number, 1 for the first."""
        whole_s = min(self.first_s * 2.0 ** min(tries - 1, 60), self.most_s)
        return whole_s * (1 - rng.random() / 2)


class _Bucket:
    """A token bucket: a sixth of a minute's messages at once, then evenly."""

    def __init__(self, per_minute: int, now_s: float) -> None:
        self.per_minute = per_minute
        self._most = max(1.0, per_minute / 6)
        self._tokens = self._most
        self._at_s = now_s

    def wait_s(self, now_s: float) -> float:
        """Until the next may be sent; 0: now."""
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self.per_minute / 60)
        self._at_s = now_s
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) * 60 / self.per_minute

    def take(self) -> None:
        self._tokens -= 1


class Bulkhead:
    """Sends what is due for the channel `name`, one at a time, until `stop`."""

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        owner: str,
        *,
        spec_of: Callable[[str], ChannelSpec | None],
        sender_of: Callable[[ChannelSpec], Sender],
        retry: Retry,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._owner = owner
        self._spec_of = spec_of
        self._sender_of = sender_of
        self._retry = retry
        self._clock = clock
        self._rng = rng
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._spec: ChannelSpec | None = None
        self._sender: Sender | None = None
        self._bucket: _Bucket | None = None
        self._not_before_s = 0.0  # of the monotonic clock
        self._failures = 0  # in a row
        self._thread = threading.Thread(target=self._run, name=f"pitstop-send-{name}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may be due."""
        self._wake.set()

    def stop(self) -> None:
        """Send no more; what is under way may end."""
        self._stopping.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for what is under way; whether it ended."""
        self._thread.join(max(timeout_s, 0.0))
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """Let go of what is under way; it is sent again by whoever comes next."""
        if self._sender is not None:
            self._sender.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            if self._stopping.is_set():  # it was what woke us, and is cleared
                break
            pause_s = _IDLE_S
            try:
                pause_s = self._step()
            except StoreUnavailableError as error:
                _LOG.warning("channel %s: %s", self.name, error)
                pause_s = 0.5
            except Exception as error:  # noqa: BLE001  a channel that stops sending is worse than one that complains
                _LOG.warning("channel %s: internal error, %s", self.name, type(error).__name__)
            if pause_s:
                self._wake.wait(pause_s)
        if self._sender is not None:
            self._sender.close()

    def _step(self) -> float:
        """Send one; how long to wait for the next look."""
        spec = self._spec_of(self.name)
        if spec is None or not spec.usable:
            return _IDLE_S
        now_s = time.monotonic()
        if now_s < self._not_before_s:
            return min(self._not_before_s - now_s, _IDLE_S)
        if self._bucket is None or self._bucket.per_minute != spec.per_minute:
            self._bucket = _Bucket(spec.per_minute, now_s)
        wait_s = self._bucket.wait_s(now_s)
        if wait_s:
            return wait_s
        with self._ledger.write() as db:
            at_s = self._clock.now_s()
            row = rows.claim(db, self.name, self._owner, at_s, at_s + spec.timeout_s + _CLAIM_GRACE_S)
            next_s = rows.next_due_s(db, self.name, at_s) if row is None else None
        if row is None:
            return _IDLE_S if next_s is None else min(max(next_s - at_s, 0.01), _IDLE_S)
        self._bucket.take()
        try:
            self._sender_for(spec).send(row.notification, row.delivery, spec.timeout_s)
        except SendError as error:
            self._failed(row, error)
        except SettingError as error:
            self._failed(row, SendError(str(error), final=True))
        except Exception as error:  # noqa: BLE001  a library's words may hold the address: only its kind is kept
            self._failed(row, SendError(f"it failed within us: {type(error).__name__}"))
        else:
            self._failures = 0
            self._record(lambda db: rows.sent(db, row.id, self._owner, self._clock.now_s()))
        return 0.0

    def _failed(self, row: rows.Row, error: SendError) -> None:
        self._failures += 1
        problem, now_s = str(error), self._clock.now_s()
        if error.final or row.tries >= self._retry.tries:
            _LOG.warning("channel %s: message %d is given up after %d tries: %s", self.name, row.id, row.tries, problem)
            self._record(lambda db: rows.dead(db, row.id, self._owner, now_s, problem))
            return
        wait_s = self._retry.wait_s(row.tries, self._rng)
        if error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s * (1 + self._rng.random() / 10))
            wait_s = min(wait_s, rows.LONGEST_WAIT_S)
            self._hold(error.retry_after_s)
        elif self._failures >= _BREAKS_AFTER:
            self._hold(min(wait_s, _LONGEST_BREAK_S))
        _LOG.info("channel %s: message %d is tried again in %.1f s: %s", self.name, row.id, wait_s, problem)
        self._record(lambda db: rows.again(db, row.id, self._owner, now_s + wait_s, problem))

    def _hold(self, wait_s: float) -> None:
        self._not_before_s = max(self._not_before_s, time.monotonic() + wait_s)

    def _record(self, change: Callable[..., None]) -> None:
        """Write what came of it. While that cannot be, nothing else is sent: it would be forgotten, too."""
        while True:
            try:
                with self._ledger.write() as db:
                    change(db)
            except StoreUnavailableError as error:
                _LOG.warning("channel %s: what was sent is not yet noted: %s", self.name, error)
                if self._stopping.wait(0.5):
                    return
            else:
                return

    def _sender_for(self, spec: ChannelSpec) -> Sender:
        if self._sender is None or self._spec is None or spec[:4] != self._spec[:4]:
            if self._sender is not None:
                self._sender.close()
            self._sender, self._failures = self._sender_of(spec), 0
        self._spec = spec
        return self._sender
