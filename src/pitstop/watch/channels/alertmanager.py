"""Alertmanager's API v2 (``POST /api/v2/alerts``): it groups, routes, silences and repeats by its own configuration.

An alert is known there by its labels, so a resolved one carries those of the firing one. Without ``endsAt`` it would be
resolved by itself after ``resolve_timeout``, five minutes; we tell it again with each repeat, every four hours, and say
a day.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from pitstop.analyze.units import time_text
from pitstop.model import SystemClock
from pitstop.model.watching import RESOLVED, TEST
from pitstop.watch.message import message_of, plain
from pitstop.watch.secrets import Secret
from pitstop.watch.sending import posted

if TYPE_CHECKING:
    from pitstop.egress import Client
    from pitstop.model import Clock
    from pitstop.model.watching import Notification

PATH = "/api/v2/alerts"
STANDS_S = 86_400  # how long one that is not told again stays
TEST_STANDS_S = 60
_BAD = re.compile(r"[^a-zA-Z0-9_]")


class Alertmanager:
    """Sends to one Alertmanager, named by the address of its page or of its API."""

    def __init__(self, url: Secret, client: Client, *, clock: Clock | None = None) -> None:
        address = url.reveal().rstrip("/")
        self._url = Secret(address if address.endswith(PATH) else address + PATH)
        self._client = client
        self._clock = clock or SystemClock()

    def send(self, notification: Notification, delivery: str, timeout_s: float) -> None:
        """One POST. `delivery` is not needed: the labels are the key. Raises SendError."""
        del delivery
        body = json.dumps([alert_of(notification, self._clock.now_s())]).encode()
        posted(self._client, self._url.reveal(), body, {"Content-Type": "application/json"}, timeout_s)

    def close(self) -> None:
        """Nothing is held."""


def alert_of(notification: Notification, now_s: float) -> dict[str, object]:
    """One alert as the API takes it: the labels of the notification, its words as annotations."""
    note = notification
    labels = {_BAD.sub("_", name) or "_": plain(value, 500) for name, value in note.labels.items()}
    labels = {name if not name[0].isdigit() else f"_{name}": value for name, value in labels.items() if value}
    labels.setdefault("alertname", labels.get("rule") or plain(note.title, 200) or "Pitstop")
    labels.setdefault("severity", note.severity)
    labels["pitstop_key"] = note.key
    message = message_of(note, markup=False)
    if note.state == RESOLVED:
        ends_s = note.ended_s or now_s
    else:
        ends_s = now_s + (TEST_STANDS_S if note.state == TEST else STANDS_S)
    alert: dict[str, object] = {
        "labels": labels,
        "annotations": {"summary": plain(note.title, 500), "description": message.body},
        "startsAt": time_text(min(note.started_s, ends_s)),
        "endsAt": time_text(ends_s),
    }
    if note.url:
        alert["generatorURL"] = note.url
    return alert
