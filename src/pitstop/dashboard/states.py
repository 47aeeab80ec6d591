"""How states, severities and measured values of alerts are written, the same on every page and in static/js."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.analyze import units
from pitstop.model import watching

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

GOOD, WARNING, SLOW, CRITICAL, NO_DATA = "good", "warning", "slow", "critical", "no-data"  # classes of css/page.css

LOOKS = {
    watching.OK: (GOOD, "✓"),
    watching.PENDING: (WARNING, "…"),
    watching.FIRING: (CRITICAL, "▲"),
    watching.RESOLVED: (GOOD, "✓"),
    watching.NO_DATA: (NO_DATA, "–"),
    watching.DEGRADED: (WARNING, "!"),
    watching.DOWN: (CRITICAL, "▲"),
    watching.WAITING: (WARNING, "…"),
    watching.SENT: (GOOD, "✓"),
    watching.DEAD: (CRITICAL, "✕"),
    watching.PAGE: (CRITICAL, "▲"),
    watching.TICKET: (WARNING, "◆"),
    watching.INFO: (NO_DATA, "·"),
}
"""Class and shape of a word, so that colour is never the only sign; other words are grey."""

_ASIDE = frozenset({"rule", "severity"})  # labels that stand beside the line anyway


def look(word: str) -> tuple[str, str]:
    """Class and shape of a state or severity."""
    return LOOKS.get(word, (NO_DATA, "·"))


def measure(value: float | None, unit: str) -> str:
    """A value with its unit: s, ratio and bytes as people read them, any other behind the figure."""
    if value is None:
        return units.NO_DATA
    if unit == "s":
        return units.duration_text(value)
    if unit == "ratio":
        return units.ratio_text(value)
    if unit == "bytes":
        return units.bytes_text(value)
    text = units.count_text(value)
    return f"{text}{unit}" if unit.startswith("/") else f"{text} {unit}".rstrip()


def is_quiet(incident: watching.Incident) -> bool:
    """Whether nobody is told of it: somebody looks after it, it is silenced, or another stands for it."""
    return bool(incident.acked_by or incident.silenced or incident.inhibited)


def labels_text(labels: Mapping[str, str], without: Iterable[str] = _ASIDE) -> str:
    """Labels on one line: ``service=shop, route=GET /menu``."""
    hidden = set(without)
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in hidden and value)


def label_lines(labels: Mapping[str, str], without: Iterable[str] = ("severity",)) -> str:
    """Labels as a form for matches has them: ``name=value``, one a line."""
    hidden = set(without)
    return "\n".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in hidden and value)


def window_words(text: str) -> str:
    """An objective's window as one says it: ``30 d`` for a rolling one, ``this month`` for a calendar's."""
    return f"{text[:-1]}\u00a0{text[-1]}" if text[:-1].isdigit() else f"this {text}"


GLOBALS: dict[str, Any] = {
    "look": look,
    "measure": measure,
    "labels_text": labels_text,
    "label_lines": label_lines,
    "window_words": window_words,
}
TESTS: dict[str, Any] = {"quiet": is_quiet}
