"""What runs in the process that has Apprise loaded, and in those that it forks, one a message.

Over the socket of a message come a line of JSON and an answer to it. Every connection passes the guard; no redirect is
followed; of an answer no more than 256 kB are read; the process ends itself when the message takes longer than it may,
and when nobody waits for its answer any more.

What is answered are our words about what was seen on the wire (a refusal, a status, a reply code), never Apprise's or
the provider's: those repeat addresses, and addresses have tokens in them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import smtplib
import socket
import threading
from typing import TYPE_CHECKING, Any

from pitstop.egress.addresses import Allowed
from pitstop.egress.guard import ProcessGuard
from pitstop.watch.chart import chart_png
from pitstop.watch.message import from_json

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 262_144
IDLE_S = 60.0  # for the message to come
_GRACE_S = 1.0
# What a service says that will not have the picture.
_PICTURE_STATUSES = frozenset({400, 403, 404, 413, 415, 422})
_SMTP_ERROR = 400  # RFC 5321, 4.2.1: 4yz is for now, 5yz is for good
_SMTP_FINAL = 500


class Seen:
    """What happened on the wire while one message was sent."""

    def __init__(self) -> None:
        self.problem = ""
        self.final = False
        self.status: int | None = None
        self.retry_after: str | None = None

    def refused(self, error: Exception) -> None:
        """The guard let a call go nowhere."""
        self.problem, self.final = str(error), True

    def failed(self, error: OSError) -> None:
        """A connection came to nothing."""
        if not self.problem:
            self.problem = "it cannot be reached: " + (error.strerror or type(error).__name__)

    def replied(self, code: int) -> None:
        """A mail server said no."""
        if code >= _SMTP_ERROR:  # the last one counts: the first may be about a word that the server does not know
            self.problem, self.final = f"its mail server answered {code}", code >= _SMTP_FINAL

    def answered(self, response: Any) -> None:
        """A web server answered."""
        if not response.ok or response.is_redirect:
            self.status, self.retry_after = response.status_code, response.headers.get("Retry-After")


class Child:
    """Sends with Apprise, behind the guard once that is there."""

    def __init__(self) -> None:
        import apprise  # noqa: PLC0415  heavy, and this process is for nothing else

        logging.disable(logging.CRITICAL)
        self.seen = Seen()
        self._apprise: Any = apprise
        self._asset = apprise.AppriseAsset(
            storage_mode=apprise.PersistentStoreMode.MEMORY, allow_templates=False, app_id="Pitstop"
        )
        for name in ("pgp_autogen", "pem_autogen", "http_redirects", "interpret_emojis"):
            setattr(self._asset, name, False)
        apprise.Apprise.instantiate("json://localhost", asset=self._asset)  # loads every service
        self._watch_the_wire()

    def guard(self, allow: list[str]) -> None:
        """Let nothing out that may not be."""
        ProcessGuard(Allowed(allow), self._refused).install()

    def _refused(self, error: Exception) -> None:
        self.seen.refused(error)

    def send(self, request: dict[str, Any]) -> dict[str, object]:
        """One message; what came of it."""
        self.seen = seen = Seen()
        reached = set(request["reached"])
        service = self._service(request, reached)
        if service is None:
            return {
                "ok": False,
                "problem": "its url is none that the service knows: see docs/channels.md",
                "final": True,
            }
        picture = _picture(request["chart"]) if service.attachment_support else b""
        ok = self._sent(service, request, picture)
        if not ok and picture and seen.status in _PICTURE_STATUSES:
            self.seen = seen = Seen()
            ok = self._sent(service, request, b"")
        if ok:
            return {"ok": True}
        return {
            "ok": False,
            "problem": seen.problem,
            "final": seen.final,
            "reached": sorted(reached),
            "status": seen.status,
            "retry_after": seen.retry_after,
        }

    def _service(self, request: dict[str, Any], reached: set[str]) -> Any:
        service = self._apprise.Apprise.instantiate(request["url"], asset=self._asset)
        if service is None or not service.enabled:
            return None
        keyed(service, request["key"], request["delivery"])
        _remembering(service, reached)
        if "overflow=" not in request["url"]:  # a service that refuses long messages gets its beginning
            service.overflow_mode = self._apprise.OverflowMode.TRUNCATE
        return service

    def _sent(self, service: Any, request: dict[str, Any], picture: bytes) -> bool:
        attach = None
        if picture:
            from apprise.attachment import memory  # noqa: PLC0415

            made: Any = memory.AttachMemory  # untyped there
            attach = [made(content=picture, name="chart.png", mimetype="image/png")]
        sender = self._apprise.Apprise(asset=self._asset)
        sender.add(service)
        return bool(
            sender.notify(
                body=request["body"],
                title=request["subject"],
                notify_type=request["type"],
                body_format="text",
                attach=attach,
            )
        )

    def _watch_the_wire(self) -> None:
        import requests  # noqa: PLC0415  Apprise's

        ask = requests.Session.send

        def send(session: Any, prepared: Any, **options: Any) -> Any:
            response = ask(session, prepared, **{**options, "allow_redirects": False, "stream": True})
            read = 0
            parts = []
            for part in response.iter_content(16_384):
                parts.append(part)
                read += len(part)
                if read >= MOST_BYTES:
                    break
            response._content = b"".join(parts)[:MOST_BYTES]  # noqa: SLF001  what reading all of it would have set
            response.close()
            self.seen.answered(response)
            return response

        requests.Session.send = send  # type: ignore[method-assign, assignment]  # for all of this process
        self._wrap(smtplib.SMTP, "getreply", lambda reply: self.seen.replied(reply[0]))
        connect = socket.create_connection

        def connected(*args: Any, **options: Any) -> socket.socket:
            try:
                return connect(*args, **options)
            except OSError as error:
                self.seen.failed(error)
                raise

        socket.create_connection = connected
        from urllib3.util import connection  # noqa: PLC0415  requests'

        inner = connection.create_connection

        def reached(*args: Any, **options: Any) -> socket.socket:
            try:
                return inner(*args, **options)
            except OSError as error:
                self.seen.failed(error)
                raise

        connection.create_connection = reached

    @staticmethod
    def _wrap(owner: Any, name: str, hear: Callable[[Any], None]) -> None:
        call = getattr(owner, name)

        def wrapped(*args: Any, **options: Any) -> Any:
            result = call(*args, **options)
            hear(result)
            return result

        setattr(owner, name, wrapped)


def _picture(note: str) -> bytes:
    if not note:
        return b""
    return chart_png(from_json(note))


def _remembering(service: Any, reached: set[str]) -> None:
    """Let `service` pass over the recipients in `reached` and add those that took the message.

    Apprise does that within one try only.
    """

    def digest(key: object, per_message: bool) -> str:
        return hashlib.sha256(repr(service._slot(key, per_message)).encode()).hexdigest()[:32]  # noqa: SLF001

    def mark(key: object, per_message: bool = False) -> None:
        reached.add(digest(key, per_message))

    def known(key: object, per_message: bool = False) -> bool:
        return digest(key, per_message) in reached

    service.mark_delivered, service.is_delivered = mark, known


def keyed(service: Any, key: str, delivery: str) -> None:
    """Let an incident service raise and resolve under `key`, and a mail or web hook carry the delivery's id."""
    for name in ("dedup", "alias"):
        if not getattr(service, name, True):
            setattr(service, name, key)
    if getattr(service, "action", None) == "trigger" and hasattr(service, "dedup"):
        service.action = "map"
    if isinstance(getattr(service, "headers", None), dict):
        service.headers["X-Pitstop-Delivery"] = delivery


def main(descriptor: int) -> None:
    """Fork for each socket that comes over that one; when its other end is closed, end all that was forked."""
    control = socket.socket(fileno=descriptor)
    child = Child()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            break
        if os.fork() == 0:
            control.close()
            _answer(child, socket.socket(fileno=descriptors[0]))
            os._exit(0)
        os.close(descriptors[0])
    os.killpg(os.getpgrp(), signal.SIGTERM)


def _answer(child: Child, wire: socket.socket) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with contextlib.suppress(OSError, ValueError):
        wire.settimeout(IDLE_S)
        request = json.loads(wire.makefile("rb").readline())
        signal.setitimer(signal.ITIMER_REAL, request["timeout_s"] + _GRACE_S)  # SIGALRM ends the process
        wire.settimeout(None)
        child.guard(request["allow"])
        ending = threading.Thread(target=_end_when_left, args=(wire,), daemon=True)
        ending.start()
        try:
            answer = child.send(request)
        except Exception as error:  # noqa: BLE001  its words may hold the address
            answer = {"ok": False, "problem": child.seen.problem or f"Apprise failed: {type(error).__name__}"}
        wire.sendall(json.dumps(answer).encode() + b"\n")
        ending.join()  # one of the two ends the process, and not both at once


def _end_when_left(wire: socket.socket) -> None:
    """Nothing comes any more; an end does when the other side has its answer or gives up."""
    with contextlib.suppress(OSError):
        wire.recv(1)
    os._exit(0)
