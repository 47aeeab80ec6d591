"""The course of what a message is about, for the chart in it: the rule's own value over the last hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model import PitstopError
from pitstop.watch.conditions import KINDS
from pitstop.watch.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model import Store
    from pitstop.model.watching import Notification
    from pitstop.watch.rules import Rule

SPAN_S = 3600
POINTS = 30
CHARTED = ("threshold", "anomaly", "leak")  # what has a course that is cheap to read


def illustrated(notification: Notification, rules: Mapping[str, Rule], store: Store, now_s: float) -> Notification:
    """`notification` with its points, where its rule has a course and the store can be read."""
    rule = rules.get(notification.labels.get("rule", ""))
    if rule is None or rule.kind not in CHARTED:
        return notification
    step_s = max(rule.every_s, SPAN_S // POINTS)
    last_s = int(now_s) // rule.every_s * rule.every_s
    points = []
    kept: dict[object, object] = {}
    about = {name: value for name, value in notification.labels.items() if name not in {"rule", "severity"}}
    try:
        for at_s in range(last_s - SPAN_S, last_s + 1, step_s):
            readings = KINDS[rule.kind].read(rule, Sight(store, at_s, kept=kept))
            values = [
                reading.value
                for reading in readings
                if reading.value is not None and about.items() <= dict(reading.labels).items()
            ]
            pick = min if rule.below is not None else max
            points.append((at_s, pick(values) if values else None))
    except PitstopError:
        return notification
    return notification._replace(points=points)
