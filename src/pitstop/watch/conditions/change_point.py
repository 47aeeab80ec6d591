"""A figure that went to another level a while ago and stayed there.

The minutes of the last `over` are compared with those of `baseline` before, by Mann and Whitney's rank test ("On a
Test of Whether one of Two Random Variables is Stochastically Larger than the Other", 1947; normal approximation with
correction for ties). Ranks do not care how the minutes are distributed. Because minutes follow one another and are not
independent, being improbable is not enough: nine of ten pairs have to lie on the same side (McGraw & Wong's common
language effect size, 1992), and the median has to have moved by `least_change`. What moved in the same way a day or
a week before is the daily course and no change.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.units import length_text
from pitstop.model.window import Window
from pitstop.watch.conditions.course import SMALLEST, Labels, courses
from pitstop.watch.conditions.figures import PERCENTILES, figure_of, figure_text, said, unit_of
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

STEP_S = 60
LEAST_Z = 4.0  # one in 30,000 by chance, were minutes independent
LEAST_PAIRS = 0.9  # of all pairs of a minute after and one before lie on the same side
LEAST_SHARE = 0.5  # of the minutes of either span have to have data
USUAL_SHARE = 0.5  # of the change, seen a day or a week before too, is the daily course
PASTS_S = (86_400, 7 * 86_400)
LEAST_ERRORS = 0.01  # as in anomaly.py

Spans = tuple[list[float], list[float]]


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading for each set of labels that has enough minutes."""
    baseline_s = int(rule.wanted["baseline"])
    end_s = sight.end_s(rule.over_s) // STEP_S * STEP_S
    out = []
    for labels, (before, after) in _spans(rule, sight, end_s, baseline_s).items():
        if not _enough(before, baseline_s) or not _enough(after, rule.over_s):
            continue
        was, now = median(before), median(after)
        hot = changed(rule, before, after) and not _is_usual(rule, sight, labels, end_s, now - was)
        least = _least(rule, was)
        unit = unit_of(rule.metric)
        what = f"{said(rule.metric)} of {' '.join(value for _, value in labels)}"
        text = (
            f"{what} went from {figure_text(was, unit)} to {figure_text(now, unit)} within the last "
            f"{length_text(rule.over_s)}"
        )
        out.append(Reading(dict(labels), hot, not hot, now, was + (least if now >= was else -least), unit, text))
    return out


def changed(rule: Rule, before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether `after` lies on another level than `before`, in the direction of the rule."""
    share, z = rank_test(before, after)
    moved = median(after) - median(before)
    direction = rule.wanted["direction"]
    if (direction == "up" and moved < 0) or (direction == "down" and moved > 0):
        return False
    apart = max(share, 1 - share) >= LEAST_PAIRS and abs(z) >= LEAST_Z
    return apart and abs(moved) >= _least(rule, median(before))


def rank_test(before: Sequence[float], after: Sequence[float]) -> tuple[float, float]:
    """The share of pairs in which the value after is larger, ties half, and Mann and Whitney's z."""
    n, m = len(after), len(before)
    values = np.concatenate([np.array(after, dtype=float), np.array(before, dtype=float)])
    _, place, number = np.unique(values, return_inverse=True, return_counts=True)
    upper = np.cumsum(number)
    ranks = (upper - (number - 1) / 2)[place]  # mean rank of equal values
    u = float(ranks[:n].sum() - n * (n + 1) / 2)
    total = n + m
    ties = float((number.astype(float) ** 3 - number).sum()) / (total * (total - 1))
    deviation = (n * m / 12 * (total + 1 - ties)) ** 0.5
    return u / (n * m), (u - n * m / 2) / deviation if deviation > 0 else 0.0


def _least(rule: Rule, was: float) -> float:
    least = float(rule.wanted["least_change"]) * abs(was)
    return max(least, LEAST_ERRORS if rule.metric == "error_ratio" else SMALLEST)


def _enough(values: Sequence[float], length_s: int) -> bool:
    return len(values) >= LEAST_SHARE * length_s / STEP_S


def _is_usual(rule: Rule, sight: Sight, labels: Labels, end_s: int, moved: float) -> bool:
    baseline_s = int(rule.wanted["baseline"])
    for back_s in PASTS_S:
        before, after = _spans(rule, sight, end_s - back_s, baseline_s).get(labels, ([], []))
        if _enough(before, baseline_s) and _enough(after, rule.over_s):
            then = median(after) - median(before)
            if then * moved > 0 and abs(then) >= USUAL_SHARE * abs(moved):
                return True
    return False


def _spans(rule: Rule, sight: Sight, end_s: int, baseline_s: int) -> dict[Labels, Spans]:
    window = Window(end_s - rule.over_s - baseline_s, end_s)
    key = ("change", rule.name, rule.metric, rule.series, rule.service, rule.routes, rule.by, window)
    return sight.once(key, lambda: _read_spans(rule, sight, window, end_s - rule.over_s))


def _read_spans(rule: Rule, sight: Sight, window: Window, border_s: int) -> dict[Labels, Spans]:
    rows = sight.rollups(window, kind=rule.series, step_s=STEP_S, hist=rule.metric in PERCENTILES)
    out: dict[Labels, Spans] = {}
    for labels, course in courses(rule, rows, window, STEP_S).items():
        before: list[float] = []
        after: list[float] = []
        for ts, stats in course:
            value = figure_of(rule.metric, stats)
            if value is not None and stats.requests >= rule.least_events:
                (before if ts < border_s else after).append(value)
        out[labels] = before, after
    return out


KIND = Kind(
    "change_point",
    read,
    "a figure that went to another level and stayed there",
    keys=frozenset({
        "metric", "series", "service", "routes", "tenant", "outcome", "over", "least_events", "by", "direction",
        "least_change", "baseline",
    }),
    defaults={
        "metric": "p95", "over": "20m", "baseline": "2h", "every": "5m", "least_events": 5, "direction": "up",
        "least_change": 0.3, "keep": "30m",
    },
    metrics=("p50", "p90", "p95", "p99", "mean", "rate", "error_ratio"),
)  # fmt: skip
