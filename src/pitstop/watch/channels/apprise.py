"""All that Apprise can reach: mail, Slack, Discord, Telegram, Teams, ntfy, PagerDuty, Opsgenie and 160 more.

It runs in processes of its own, one a message, made by `AppriseHost`: its time-outs are for one read and not for all of
it (a server that drips held it for 29 s), its connections are its own, and only a process can be ended. `apprise_child`
is what runs there.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from pitstop.egress.wire import DeadlineSocket
from pitstop.model import SettingError
from pitstop.model.watching import FIRING, PAGE, RESOLVED, TICKET
from pitstop.watch.apprise_host import HOST
from pitstop.watch.channel_spec import HOSTED
from pitstop.watch.message import message_of, to_json
from pitstop.watch.secrets import BLOT
from pitstop.watch.sending import SendError, judge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.watching import Notification
    from pitstop.watch.secrets import Secret

# They speak to the desktop or the machine that Pitstop runs on, or start programs.
_LOCAL = frozenset("dbus gio glib gnome kde qt macosx windows syslog blink1 deltachat deltachats".split())  # noqa: SIM905
# Options that name files of this machine, which would be sent to whoever is named.
_FILES = frozenset(
    ("template", "keyfile", "subfile", "attach", "pgp", "pgpkey", "pgppub", "pgpprv", "pem", "cert", "key_file")
)
_SCHEME = re.compile(r"[a-z][a-z0-9]{1,20}", re.ASCII)
_SHORTEST_SECRET = 3
_MOST_HALF_SENT = 1000  # messages of which some recipients are remembered to have them
_TYPES = {PAGE: "failure", TICKET: "warning"}


def check(url: str) -> None:
    """Raise SettingError for an address that no channel may have; whether it is one at all, the first test shows."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if not separator or not rest or not _SCHEME.fullmatch(scheme):
        raise SettingError("its url is none of Apprise's: they look like slack://… (github.com/caronc/apprise/wiki)")
    if scheme in _LOCAL:
        raise SettingError(f"{scheme}:// speaks to this machine only, which nobody looks at")
    if any(mark in url for mark in ("\\", "\x7f")) or not url.isprintable():
        raise SettingError("its url has signs that no address has")
    named = sorted({key.lower() for key, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True)} & _FILES)
    if named:
        raise SettingError(f"its url has {named[0]}=, a file of this machine, which is not sent to anybody")


class Apprise:
    """Sends to one address of Apprise's. `egress_allow`: private addresses that it may be at."""

    def __init__(self, url: Secret, egress_allow: Sequence[str]) -> None:
        self._url = url
        self._allow = list(egress_allow)
        self._wire: socket.socket | None = None
        self._reached: dict[str, list[str]] = {}  # by delivery: which of several recipients have it already

    def send(self, notification: Notification, delivery: str, timeout_s: float) -> None:
        """One message, its chart with it where the service takes pictures. Raises SendError."""
        deadline_s = time.monotonic() + timeout_s
        note, message = notification, message_of(notification)
        request = {
            "allow": self._allow,
            "url": self._url.reveal(),
            "subject": message.subject,
            "body": message.body,
            "type": _TYPES.get(note.severity, "info") if note.state == FIRING else _calm(note.state),
            "key": note.key,
            "delivery": delivery,
            "reached": self._reached.get(delivery, []),
            "chart": to_json(note) if note.points else "",
            "timeout_s": timeout_s,
        }
        try:
            answer = self._asked(request, deadline_s)
        except TimeoutError:
            raise SendError(f"it did not take the message within {timeout_s:.3g} s") from None
        except (OSError, ValueError) as error:
            raise SendError(f"sending was broken off: {type(error).__name__}") from None
        finally:
            self.close()
        self._judge(answer, delivery)

    def close(self) -> None:
        """End the process that sends, whatever it does: it ends when nobody waits for its answer."""
        wire, self._wire = self._wire, None
        if wire is not None:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)  # whoever reads from it in another thread is told; close is not enough
            wire.close()

    def _asked(self, request: dict[str, object], deadline_s: float) -> dict[str, object]:
        self._wire = HOST.open()
        wire = DeadlineSocket(self._wire, deadline_s)
        wire.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(wire.makefile().readline())
        if not isinstance(answer, dict):
            raise ValueError("no answer")  # noqa: TRY004  whatever it is, it is none
        return answer

    def _judge(self, answer: dict[str, object], delivery: str) -> None:
        self._reached.pop(delivery, None)
        if answer.get("ok") is True:
            return
        reached = answer.get("reached")
        if isinstance(reached, list) and reached:
            self._reached[delivery] = reached
            if len(self._reached) > _MOST_HALF_SENT:
                self._reached.pop(next(iter(self._reached)))
        status, problem = answer.get("status"), str(answer.get("problem") or "")
        if isinstance(status, int) and not problem:
            after = answer.get("retry_after")
            judge(status, after if isinstance(after, str) else None)
        problem = blotted(problem or "the service did not take it", self._url.reveal())
        raise SendError(problem, final=answer.get("final") is True)


def blotted(text: str, url: str) -> str:
    """`text` without any part of `url` that could be a secret; a host that is one for certain stays."""
    parts = {part for raw in re.split(r"[/:@?&=#,+]+", url) for part in (raw, unquote(raw))}
    if url.partition("://")[0].lower() in HOSTED:
        parts.discard(urlsplit(url).hostname or "")
    for part in sorted(parts, key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET and not part.isdecimal():
            text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", BLOT, text)
    return text


def _calm(state: str) -> str:
    return "success" if state == RESOLVED else "info"
