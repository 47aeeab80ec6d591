"""The thread that sends what ``/metrics`` says to a remote-write receiver, every fifteen seconds.

It tries 2.0 first and goes back to 1.0 where the receiver does not know it: one that says 415, or that takes the body
and does not say how much of it (the specification's way to find out). What cannot be sent waits, bounded, and is sent
again in order, with growing pauses or when Retry-After says; what is refused for good is dropped, counted and said.
Redirects are not followed: it goes where the setting says.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections import deque
from contextlib import suppress
from http import client
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import cramjam

from pitstop.dashboard.export.remote.encode import CONTENT_TYPES, VERSIONS, request_2, write_request
from pitstop.dashboard.export.remote.points import Point, points
from pitstop.model import PitstopError, SettingError, StoreError, __version__

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.dashboard.export.exposition import Exposition
    from pitstop.dashboard.export.remote.encode import Ended
    from pitstop.model import Clock

EVERY_S = 15.0
SERIES_AT_ONCE = 2000  # in one request: what Prometheus itself sends
WAITING_BYTES = 32_000_000  # compressed: hours of a service's figures
BACKOFF_S = (1.0, 2.0, 5.0, 10.0, 30.0)
LONGEST_PAUSE_S = 300.0  # of what Retry-After may ask for
TIMEOUT_S = 30.0  # remote_timeout of Prometheus
HOLD_S = 60.0  # how long another dashboard waits before it takes over sending
_WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"
_UNKNOWN_TYPE = 415
_TOO_MANY = 429
_FIRST_FAULT = 500
_TAKEN = range(200, 300)
_log = logging.getLogger("pitstop")


class _Sending(NamedTuple):
    """Some series at one moment, compressed, in each version that may be asked for."""

    bodies: Mapping[int, bytes]
    samples: int

    @property
    def size(self) -> int:
        return sum(map(len, self.bodies.values()))


class Sender:
    """Sends `exposition` to `url` with `headers`, ``job`` and ``instance`` added to each series.

    Raises SettingError for what is no HTTP address.
    """

    def __init__(
        self,
        exposition: Exposition,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        clock: Clock,
        instance: str = "",
        every_s: float = EVERY_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingError(
                f"remote_write_url = {url[:200]!r} is no address; write http://host:9090/api/v1/write or the like"
            )
        self._kind = client.HTTPSConnection if parts.scheme == "https" else client.HTTPConnection
        self._host, self._port = parts.hostname, parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = dict(headers or {})
        self._exposition = exposition
        self._clock = clock
        self._every_s = every_s
        self._given = (("instance", instance or socket.gethostname()), ("job", "pitstop"))
        self._holder = f"{os.getpid()}:{secrets.token_hex(4)}"
        self._version = 0  # not known yet
        self._waiting: deque[_Sending] = deque()
        self._told: set[Ended] = set()
        self._failures = 0
        self._complained = ""
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._run, name="pitstop-remote-write", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after the request that is under way, at most `timeout_s` from now."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
        if self._exposition.file is not None:
            with suppress(StoreError):
                self._exposition.file.release_sender(self._holder)

    def _run(self) -> None:
        due_s = self._clock.monotonic_ns() / 1e9
        while not self._end.is_set():
            now_s = self._clock.monotonic_ns() / 1e9
            if now_s >= due_s:
                due_s = max(due_s + self._every_s, now_s)
                self._look()
            pause_s = self.send()
            now_s = self._clock.monotonic_ns() / 1e9
            self._end.wait(max(0.0, min(due_s - now_s, pause_s) if self._waiting else due_s - now_s))

    def _look(self) -> None:
        try:
            if self._may_send():
                self.collect()
        except PitstopError as error:
            self._complain(f"nothing to send: {error}")
        except Exception:  # noqa: BLE001  the thread must live
            _log.exception("pitstop: making what is sent failed and goes on")

    def _may_send(self) -> bool:
        """Whether no other process sends; where that cannot be told, twice is better than never."""
        file = self._exposition.file
        with suppress(StoreError):
            hold_s = max(HOLD_S, 3 * self._every_s)
            return file is None or file.hold_sender(self._holder, self._clock.now_s(), hold_s)
        return True

    def collect(self) -> None:
        """Put the exposition of this moment into the queue. Raises StoreError."""
        at_ms = int(self._clock.now_s() * 1000)
        with_native = self._version != 1
        found = list(points(self._exposition.families(), self._given, with_native=with_native))
        told = {(point.labels, bool(point.native)) for point in found}
        ended = [(labels, native) for labels, native in self._told - told if with_native or not native]
        self._told = told
        for start in range(0, max(len(found), 1), SERIES_AT_ONCE):
            chosen = found[start : start + SERIES_AT_ONCE]
            gone = ended if start == 0 else []
            bodies = {
                version: _body(version, chosen, gone, at_ms)
                for version in ((self._version,) if self._version else (2, 1))
            }
            self._waiting.append(_Sending(bodies, len(chosen) + len(gone)))
        while sum(one.size for one in self._waiting) > WAITING_BYTES:
            self._count(dropped=self._waiting.popleft().samples)

    def send(self) -> float:
        """Send what waits until it is done or something is not taken; how long to pause then, seconds."""
        while self._waiting and not self._end.is_set():
            first = self._waiting[0]
            version = self._version or 2
            body = first.bodies.get(version)
            if body is None:  # made before the receiver was known to take another version only
                self._drop(f"it does not take version {VERSIONS[version]} any more")
                continue
            pause_s = self._post(version, body)
            if pause_s is not None:
                return pause_s
        return self._every_s

    def _post(self, version: int, body: bytes) -> float | None:
        """None when the first of the queue is dealt with, else how long to wait before it is tried again."""
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": CONTENT_TYPES[version],
            "User-Agent": f"pitstop/{__version__}",
            "X-Prometheus-Remote-Write-Version": VERSIONS[version],
            **self._headers,
        }
        connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            text = answer.read(300).decode("utf-8", "replace")
        except (OSError, client.HTTPException) as error:
            return self._later(f"{error!r}")
        finally:
            connection.close()
        if answer.status in _TAKEN:
            if version == 2 and not self._version and answer.getheader(_WRITTEN) is None:  # noqa: PLR2004
                self._version = 1  # it took the body for one of 1.0, and found nothing in it
                return None
            self._version = version
            self._failures = 0
            self._complained = ""
            self._count(sent=self._waiting.popleft().samples)
            return None
        if answer.status == _UNKNOWN_TYPE and version == 2:  # noqa: PLR2004
            self._version = 1
            return None
        if answer.status == _TOO_MANY or answer.status >= _FIRST_FAULT:
            return self._later(f"it answers {answer.status} {text}", answer.getheader("Retry-After", ""))
        self._drop(f"it refuses with {answer.status} {text}")
        return None

    def _later(self, why: str, retry_after: str = "") -> float:
        self._count(failures=1)
        self._complain(f"{why}; it is tried again")
        pause_s = BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
        self._failures += 1
        return min(float(retry_after), LONGEST_PAUSE_S) if retry_after.isdecimal() else pause_s

    def _drop(self, why: str) -> None:
        self._count(failures=1, dropped=self._waiting.popleft().samples)
        self._complain(f"{why}; samples are dropped")

    def _count(self, *, sent: int = 0, failures: int = 0, dropped: int = 0) -> None:
        self._exposition.note(
            lambda before: before._replace(
                sent=before.sent + sent,
                send_failures=before.send_failures + failures,
                send_dropped=before.send_dropped + dropped,
                sent_s=self._clock.now_s() if sent else before.sent_s,
            )
        )

    def _complain(self, text: str) -> None:
        if text != self._complained:
            self._complained = text
            _log.warning("pitstop: remote write to %s: %s", self._host, text)


def _body(version: int, chosen: Sequence[Point], ended: Sequence[Ended], at_ms: int) -> bytes:
    if version == 1:  # receivers of 1.0 may refuse the whole request for one native histogram
        plain = [point for point in chosen if not point.native]
        made = write_request(plain, [one for one in ended if not one[1]], at_ms)
    else:
        made = request_2(chosen, ended, at_ms)
    return bytes(cramjam.snappy.compress_raw(made))
