"""An event: something has happened that caches may care about. On its way it is JSON, or a bare topic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_BYTES: Final = 7_900  # of one on its way: PostgreSQL's NOTIFY takes less than 8,000
LONGEST_TOPIC: Final = 200


class Event(NamedTuple):
    """`topic`, as ``table.orders``, and a small body that JSON knows. `origin`: which bus published it first."""

    topic: str
    body: Mapping[str, Any]
    origin: str = ""


def encode(event: Event) -> bytes:
    """Raises SettingError for what is too long, or no JSON."""
    if not 0 < len(event.topic) <= LONGEST_TOPIC:
        raise SettingError(
            f"topic {event.topic[:40]!r} has {len(event.topic)} characters: 1 to {LONGEST_TOPIC} will do"
        )
    try:
        raw = json.dumps({"topic": event.topic, "body": event.body, "origin": event.origin}, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise SettingError(f"the body of {event.topic!r} is no JSON: {error}") from error
    if len(raw) > LONGEST_BYTES:
        raise SettingError(
            f"the body of {event.topic!r} makes {len(raw)} bytes, above {LONGEST_BYTES}: send the key, not the value"
        )
    return raw.encode()


def decode(raw: bytes) -> Event | None:
    """What was encoded; a text that is no JSON is a bare topic, as from a trigger. None for anything else."""
    text = raw.decode(errors="replace")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return Event(text, {}) if 0 < len(text) <= LONGEST_TOPIC else None
    if not isinstance(said, dict):
        return None
    topic, body, origin = said.get("topic"), said.get("body", {}), said.get("origin", "")
    if (
        isinstance(topic, str)
        and isinstance(body, dict)
        and isinstance(origin, str)
        and 0 < len(topic) <= LONGEST_TOPIC
    ):
        return Event(topic, body, origin)
    return None
