"""The course of what a message is about, for the chart in it: what its rule would have seen over the last hour."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

from pitstop.model import PitstopError, Window
from pitstop.watch.replay import replay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pitstop.model import Store
    from pitstop.model.watching import Notification
    from pitstop.watch.objectives import Objective
    from pitstop.watch.rules import Rule

SPAN_S = 3600
POINTS = 60
CHARTED = ("threshold", "burn_rate", "anomaly", "change_point", "leak", "no_data", "log", "disk")


def illustrated(
    notification: Notification,
    rules: Mapping[str, Rule],
    store: Store,
    objectives: Sequence[Objective],
    now_s: float,
) -> Notification:
    """`notification` with its points, where its rule has a course and the store can be read."""
    labels = notification.labels
    rule = rules.get(labels.get("rule", ""))
    if rule is None or rule.kind not in CHARTED:
        return notification
    end_s = int(now_s) + 1
    wanted = [one for one in objectives if one.name == labels.get("slo", one.name)]
    try:
        # nothing is to fire: without `for` and `keep` no looks are spent on what was before
        course = replay(
            narrowed(rule, labels)._replace(for_s=0, keep_s=0),
            Window(end_s - SPAN_S, end_s),
            store,
            objectives=wanted,
            most_looks=POINTS,
        )
    except PitstopError:
        return notification
    return notification._replace(points=course.values)


def narrowed(rule: Rule, labels: Mapping[str, str]) -> Rule:
    """`rule`, only about what `labels` say."""
    exactly = {name: (glob.escape(labels[name]),) for name in ("service", "tenant", "outcome") if name in labels}
    if "route" in labels:
        exactly["routes"] = (glob.escape(labels["route"]),)
    return rule._replace(**exactly)  # type: ignore[arg-type]  # its own fields, by name
