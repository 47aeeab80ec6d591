"""A plain POST of JSON, signed as Standard Webhooks 1.0 says (standardwebhooks.com); every language can check that.

    webhook-id          the same each time one message is tried: whoever keeps the ids it has seen takes each once
    webhook-timestamp   Unix seconds of this try; refuse what is older than five minutes
    webhook-signature   v1,base64(HMAC-SHA256(secret, id + "." + timestamp + "." + body))

A secret that begins with ``whsec_`` is base64, as there; any other is taken as its UTF-8 bytes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import TYPE_CHECKING

from pitstop.model import SettingError, SystemClock, __version__
from pitstop.watch.message import message_of, plain
from pitstop.watch.sending import posted

if TYPE_CHECKING:
    from pitstop.egress import Client
    from pitstop.model import Clock
    from pitstop.model.watching import Notification
    from pitstop.watch.secrets import Secret

VERSION = 1  # of the body: a field that goes or changes its meaning makes another
_PREFIX = "whsec_"


class Webhook:
    """Sends to one address. Raises SettingError for a secret that begins as base64 and is none."""

    def __init__(self, url: Secret, secret: Secret, client: Client, *, clock: Clock | None = None) -> None:
        self._url = url
        self._key = _key(secret.reveal())
        self._client = client
        self._clock = clock or SystemClock()

    def send(self, notification: Notification, delivery: str, timeout_s: float) -> None:
        """One POST. Raises SendError."""
        body = body_of(notification, delivery)
        stamp = str(int(self._clock.now_s()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"Pitstop/{__version__}",
            "webhook-id": delivery,
            "webhook-timestamp": stamp,
        }
        if self._key:
            headers["webhook-signature"] = signature(self._key, delivery, stamp, body)
        posted(self._client, self._url.reveal(), body, headers, timeout_s)

    def close(self) -> None:
        """Nothing is held."""


def body_of(notification: Notification, delivery: str) -> bytes:
    """The JSON body; docs/channels.md names its fields. Text is as it was found, without control characters."""
    note = notification
    fields = {
        "version": VERSION,
        "id": delivery,
        "key": note.key,
        "state": note.state,
        "severity": note.severity,
        "title": plain(note.title),
        "text": plain(note.text),
        "message": message_of(note, markup=False).body,
        "labels": {plain(name): plain(value) for name, value in note.labels.items()},
        "details": [plain(line) for line in note.details],
        "started_s": note.started_s,
        "ended_s": note.ended_s,
        "value": note.value,
        "limit": note.limit,
        "unit": note.unit,
        "url": note.url,
        "points": [list(point) for point in note.points],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


def signature(key: bytes, delivery: str, stamp: str, body: bytes) -> str:
    """The value of ``webhook-signature``."""
    digest = hmac.new(key, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise SettingError("the secret of the webhook begins with whsec_, and what follows is no base64") from None
