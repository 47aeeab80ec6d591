"""The thread that sends batches to a collector: beside the store, never in its way.

What the collector cannot take at the moment waits, bounded, and is sent again unchanged with growing pauses; what it
refuses for good is dropped, counted and said. Redirects are not followed: it goes where the setting says.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from pitstop.model.errors import SettingError
from pitstop.rollup.native import allocate_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model.columns import Batch

WAITING_BATCHES = 120  # two minutes at one a second
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
TIMEOUT_S = 10.0  # OTEL_EXPORTER_OTLP_TIMEOUT's default
COMPLAIN_EVERY_S = 60.0
_IDLE_S = 3600.0
_TRY_LATER = frozenset({408, 429, 502, 503, 504})  # OTLP/HTTP: retryable
_TAKEN = range(200, 300)


class _Sending(NamedTuple):
    path: str
    body: bytes  # compressed


def parse_headers(pairs: Sequence[str], setting: str = "otlp_headers") -> dict[str, str]:
    """``name=value`` each, of `setting`. Raises SettingError for one without a name, or that no header can carry."""
    headers = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not (name + value).isprintable():
            raise SettingError(f"{setting}: each is written name=value, such as Authorization=Bearer …")
        headers[name.strip()] = value.strip()
    return headers


class Exporter:
    """Sends to `endpoint`, ``http://127.0.0.1:4318``, below which ``/v1/traces`` and ``/v1/metrics`` are.

    `offer` may be called from any thread and never blocks. Raises SettingError for an endpoint that is no HTTP address.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None = None) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(f"otlp_endpoint = {endpoint!r} is no address; write http://host:4318")
        self.endpoint = endpoint
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port)
        self._base = parts.path.rstrip("/")
        self._headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **(headers or {})}
        self._begin()

    def _begin(self) -> None:
        self.sent = self.dropped = 0
        self.stopped = False
        self._pid = os.getpid()
        self._batches: deque[Batch] = deque()
        self._running = False
        self._starting = allocate_lock()
        self._wake = allocate_lock()
        self._wake.acquire()
        self._ended = allocate_lock()  # held by the thread
        self._complained_s = float("-inf")

    def offer(self, batch: Batch) -> None:
        """Send `batch` soon; the oldest that waits is dropped and counted when there are too many."""
        if self._pid != os.getpid():  # what the parent has is the parent's
            self._begin()
        if self.stopped:
            return
        if len(self._batches) >= WAITING_BATCHES:
            with suppress(IndexError):
                self._batches.popleft()
                self.dropped += 1
        self._batches.append(batch)
        if not self._running and self._starting.acquire(blocking=False):
            self._ended.acquire()
            try:
                start_thread(self._run)
                self._running = True
            except RuntimeError:  # the interpreter ends, or there are no threads
                self._ended.release()
                self._starting.release()
        self._wake_up()

    def stop(self, timeout_s: float) -> bool:
        """Send what waits, for at most `timeout_s`, and end the thread; whether all was sent."""
        self.stopped = True
        self._wake_up()
        if self._running and self._pid == os.getpid():
            if not self._ended.acquire(timeout=timeout_s):
                return False
            self._ended.release()
        return not self._batches

    def _wake_up(self) -> None:
        with suppress(RuntimeError):  # awake already
            self._wake.release()

    def _run(self) -> None:
        pid, ended = os.getpid(), self._ended
        try:
            while os.getpid() == pid and not (self.stopped and not self._batches):
                try:
                    if self._batches and not self._send_first():
                        return  # stopped while the collector takes nothing
                except Exception as error:  # noqa: BLE001  the thread must live
                    self._drop(f"a fault of ours: {error!r}")
                if not self._batches and not self.stopped:
                    self._wake.acquire(timeout=_IDLE_S)
        finally:
            ended.release()

    def _send_first(self) -> bool:
        """Send the oldest batch, however often it takes; False where it was stopped before."""
        batch = self._batches[0]
        refused = False
        for sending in _sendings(batch):
            tries = 0
            while (why := self._post(sending)) is not None:
                if why:  # many collectors take traces only: the other kind is sent all the same
                    refused = True
                    self._complain(f"{sending.path}: {why}")
                    break
                if self.stopped:
                    return False
                self._wake.acquire(timeout=BACKOFF_S[min(tries, len(BACKOFF_S) - 1)])
                tries += 1
                if not self._batches or self._batches[0] is not batch:  # dropped: newer ones found no room
                    return True
        if refused:
            self.dropped += 1
        else:
            self.sent += 1
        if self._batches and self._batches[0] is batch:
            self._batches.popleft()
        return True

    def _drop(self, why: str) -> None:
        with suppress(IndexError):
            self._batches.popleft()
        self.dropped += 1
        self._complain(why)

    def _post(self, sending: _Sending) -> str | None:
        """None when it was taken, "" when it may be taken later, else why it never will."""
        from http import client  # noqa: PLC0415  only for those who export

        kind = client.HTTPSConnection if self._secure else client.HTTPConnection
        connection = kind(*self._address, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self._base + sending.path, sending.body, self._headers)
            answer = connection.getresponse()
            answer.read(4096)
        except (OSError, client.HTTPException) as error:
            self._complain(f"{error!r}; it is tried again")
            return ""
        finally:
            connection.close()
        if answer.status in _TAKEN:
            return None
        if answer.status in _TRY_LATER:
            self._complain(f"it answers {answer.status}; it is tried again")
            return ""
        return f"it refuses with {answer.status} {answer.reason}"

    def _complain(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._complained_s >= COMPLAIN_EVERY_S:
            self._complained_s = now_s
            import logging  # noqa: PLC0415

            logging.getLogger("pitstop").warning("pitstop: exporting to %s: %s", self.endpoint, text)


def _sendings(batch: Batch) -> list[_Sending]:
    """The bodies of one batch; the same bytes each time, by which a receiver knows what it has already."""
    import gzip  # noqa: PLC0415

    from pitstop.rollup.otlp.encode import metrics_request, traces_request  # noqa: PLC0415

    bodies = (("/v1/metrics", metrics_request(batch)), ("/v1/traces", traces_request(batch)))
    return [_Sending(path, gzip.compress(body, 6, mtime=0)) for path, body in bodies if body]
