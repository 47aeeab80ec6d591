"""The machine that the store is on, and what should come by by itself: disk, log, heartbeat."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from pitstop.analyze.units import bytes_text, duration_text, ratio_text
from pitstop.watch.conditions.reading import BYTES, RATIO, SECONDS, Kind, Reading
from pitstop.watch.gauges import DISK_FREE_BYTES, DISK_FREE_RATIO, HEARTBEAT_AGE_S, LOG_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

_DISK = {"free_bytes": (DISK_FREE_BYTES, BYTES), "free_ratio": (DISK_FREE_RATIO, RATIO)}


def disk(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """What is free on the disk of the store."""
    name, unit = _DISK[rule.metric]
    value = sight.gauges().get(name)
    if value is None:  # the store is on no disk
        return []
    hot, calm = rule.verdict(value)
    text = bytes_text(value) if unit == BYTES else ratio_text(value)
    return [Reading({"component": "disk"}, hot, calm, value, rule.limit, unit, f"{text} of the store's disk is free")]


def log(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """How long the store's write-ahead log is: a reader that does not end keeps it from being folded in."""
    value = sight.gauges().get(LOG_BYTES)
    if value is None:
        return []
    hot, calm = rule.verdict(value)
    return [
        Reading(
            {"component": "store"}, hot, calm, value, rule.limit, BYTES,
            f"the store's write-ahead log has {bytes_text(value)}",
        )
    ]  # fmt: skip


def heartbeat(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """How long ago what should come by by itself was last seen; one that never was has no age."""
    out = []
    for name, value in sight.gauges().items():
        beat = name.removeprefix(HEARTBEAT_AGE_S)
        if beat == name or not fnmatchcase(beat, str(rule.wanted["heartbeat"])):
            continue
        hot, calm = rule.verdict(value)
        text = f"the last heartbeat of '{beat}' was {duration_text(value)} ago"
        out.append(Reading({"heartbeat": beat}, hot, calm, value, rule.limit, SECONDS, text))
    return out


DISK = Kind(
    "disk",
    disk,
    "what is free on the disk of the store",
    keys=frozenset({"metric", "below", "clear"}),
    defaults={"metric": "free_ratio", "below": 0.1},
    metrics=tuple(_DISK),
)
LOG = Kind(
    "log",
    log,
    "the length of the store's write-ahead log",
    keys=frozenset({"above", "clear"}),
    defaults={"above": "64MB", "for": "5m"},
)
HEARTBEAT = Kind(
    "heartbeat",
    heartbeat,
    "something that reports regularly and no longer does",
    keys=frozenset({"heartbeat", "above"}),
    defaults={"above": "1h"},
    needs=("heartbeat",),
)
