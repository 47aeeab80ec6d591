"""What a notification says, as text that no medium takes for anything but text.

Names come from outside: a route, a tenant, an exception's words. Whoever chose them must not be able to begin a second
mail header, to call everybody in a chat room, or to draw a link that leads elsewhere (Netdata, CVE-2023-22496).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.units import bytes_text, count_text, duration_text, figures, ratio_text, time_text
from pitstop.model.watching import FIRING, RESOLVED, Notification

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_SUBJECT = 200  # characters; mail clients show about 70, services take at least 250
LONGEST_TEXT = 2_000
MOST_DETAILS = 20
_WORDS = {FIRING: "FIRING", RESOLVED: "RESOLVED"}
_JOINER = "\u2060"  # word joiner: no width, no break, and a mention with one in it is none
# < begins a mention or a tag, @ a mention, ]( a link, :// is left alone: a runbook's link is the rule's author's.
_MARKUP = re.compile(r"<(?=[!@#/?a-zA-Z])|@(?=\w)|&(?=#?\w)|\](?=\()")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})  # controls, direction overrides, lone surrogates
_UNITS = {"s": duration_text, "ratio": ratio_text, "bytes": bytes_text, "B": bytes_text, "": count_text}


class Message(NamedTuple):
    """One message: a line, and lines."""

    subject: str
    body: str


def plain(text: str, most: int = LONGEST_TEXT) -> str:
    """`text` as one line of at most `most` characters: breaks become blanks, what cannot be seen goes."""
    head = text[: most * 4]
    seen = "".join(
        " " if sign in "\r\n\t\x0b\x0c\x85\u2028\u2029" else sign
        for sign in head
        if sign in "\r\n\t\x0b\x0c\x85\u2028\u2029" or unicodedata.category(sign) not in _HIDDEN
    )
    line = " ".join(seen.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def defused(text: str) -> str:
    """`text` in which nothing is a mention, a tag, an entity or a link's cover; it looks the same."""
    return _MARKUP.sub(lambda found: found[0] + _JOINER, text)


def value_text(value: float | None, unit: str) -> str:
    """A figure with its unit as the dashboard writes it."""
    if value is None:
        return "no data"
    if unit in _UNITS:
        return _UNITS[unit](value)
    return f"{figures(value)} {plain(unit, 20)}"


def message_of(notification: Notification, *, markup: bool = True) -> Message:
    """What to send, the most telling first: a service that takes few signs cuts the end off.

    `markup`: to a medium that would take parts of it for markup, in which they are defused.
    """
    note = notification
    word = _WORDS.get(note.state, note.state.upper())
    first = [plain(note.text)]
    if note.value is not None:
        reached = f"Value {value_text(note.value, note.unit)}"
        first.append(reached if note.limit is None else f"{reached}, limit {value_text(note.limit, note.unit)}")
    first.append(f"Since {time_text(note.started_s)}" + (f", ended {time_text(note.ended_s)}" if note.ended_s else ""))
    last = [f"• {plain(line, 400)}" for line in note.details[:MOST_DETAILS]]
    if len(note.details) > MOST_DETAILS:
        last.append(f"• and {len(note.details) - MOST_DETAILS} more")
    if note.labels:
        last.append(", ".join(f"{plain(k, 60)}: {plain(v, 120)}" for k, v in sorted(note.labels.items()) if v))
    safe = defused if markup else str
    lines = [*(safe(line) for line in first), plain(note.url), *(safe(line) for line in last)]
    subject = plain(f"[{word}] {note.title}", LONGEST_SUBJECT)
    return Message(safe(subject), "\n".join(line for line in lines if line))


def to_json(notification: Notification) -> str:
    """For the outbox. A figure that is none (NaN, infinite) is no data."""
    note = notification
    finite = note._replace(
        value=_finite(note.value),
        limit=_finite(note.limit),
        labels=dict(note.labels),
        points=[(ts, _finite(value)) for ts, value in note.points],
    )
    return json.dumps(finite._asdict(), separators=(",", ":"), allow_nan=False)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def from_json(text: str) -> Notification:
    """What `to_json` wrote. Raises ValueError when it did not."""
    raw: Mapping[str, object] = json.loads(text)
    try:
        note = Notification(**raw)  # type: ignore[arg-type]  # its own words
        return note._replace(details=tuple(note.details), points=tuple((int(ts), value) for ts, value in note.points))
    except TypeError as error:
        raise ValueError(f"no notification: {error}") from error
