"""A figure that is far from what it is at this time of the week.

What is usual: the hours of the last four weeks at this hour of the week and beside it; where those are too few, of the
last seven days at this hour of the day, working days for a working day, Saturday and Sunday for those (UTC). Their
median m and their median absolute deviation, times 1.4826 as large as a standard deviation of a normal distribution,
say how far is far: sources are Iglewicz & Hoaglin, "How to Detect and Handle Outliers" (1993), whose modified z-score
this is, and Rousseeuw & Croux (1993). Added to that spread is the standard error of what was measured now from few
events. Bursts and outages in the past move neither, up to half of it.

A deviation has to be `above` times that spread (6; Iglewicz & Hoaglin flag single values at 3.5, but we look a
thousand times a day) and to change the figure by `least_change` (a half), since what is exact need not matter.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from pitstop.analyze.units import figures
from pitstop.model.window import Window
from pitstop.watch.conditions.course import Labels, courses, figured, uncertainty
from pitstop.watch.conditions.figures import NEED_COUNTS, PERCENTILES, figure_of, figure_text, said, unit_of
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze.stats import Stats
    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

HOUR_S, DAY_S = 3600, 86_400
WEEKS = (7, 14, 21, 28)  # days back: the same hour of the week
DAYS = (1, 2, 3, 4, 5, 6, 7)
EPOCH_DAY = 3  # the epoch began on a Thursday, the fourth day of the week
WEEKEND = (5, 6)
LEAST_HOURS = 6  # fewer say nothing of a spread
LEAST_PER_HOUR = 50  # requests of an hour that counts
NORMAL = 1.4826  # Rousseeuw & Croux: a normal distribution's deviation over its MAD
LEAST_SPREAD = 0.05  # of the median: figures are rounded to 1.1 %, and no two weeks are the same
LEAST_ERRORS = 0.01  # a change of an error ratio below one in a hundred is no anomaly
CALM = 0.5  # of both limits: how far it has to come back

Usual = dict[Labels, tuple[float, float]]


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading for each set of labels that has enough of a past."""
    window = sight.window(rule.over_s)
    hour_s = (window.start_s + rule.over_s // 2) // HOUR_S * HOUR_S
    key = ("anomaly", rule.metric, rule.series, rule.service, rule.routes, rule.tenant, rule.outcome, rule.by, hour_s)
    usual = sight.keep(key, lambda: _usual(rule, sight, hour_s))
    rows = sight.rollups(window, kind=rule.series, hist=rule.metric in NEED_COUNTS)
    whole = figured(rule, rows, window)
    out = []
    for labels, (centre, spread) in usual.items():
        stats = whole.get(labels)
        if stats is None or stats.requests < rule.least_events:
            continue
        out.append(_reading(rule, dict(labels), stats, centre, spread))
    return out


def _reading(rule: Rule, labels: dict[str, str], stats: Stats, centre: float, spread: float) -> Reading:
    value = figure_of(rule.metric, stats) or 0.0
    scale = (spread**2 + uncertainty(rule.metric, stats, centre) ** 2) ** 0.5
    change = float(rule.wanted["least_change"]) * centre
    if rule.metric == "error_ratio":
        change = max(change, LEAST_ERRORS)
    far = max((rule.above or 0.0) * scale, change)
    off = value - centre
    direction = rule.wanted["direction"]
    off = -off if direction == "down" else abs(off) if direction == "both" else off
    limit = centre - far if value < centre and direction != "up" else centre + far
    unit = unit_of(rule.metric)
    what = f"{said(rule.metric)} of {' '.join(labels.values())}"
    text = (
        f"{what} is {figure_text(value, unit)}, usually {figure_text(centre, unit)} at this time "
        f"({figures(abs(value - centre) / scale if scale else 0, 2)} deviations)"
    )
    return Reading(labels, off > far, off <= CALM * far, value, limit, unit, text)


def _usual(rule: Rule, sight: Sight, hour_s: int) -> Usual:
    """Median and spread of each set of labels at this hour."""
    weekly = _hours(rule, sight, hour_s, WEEKS)
    daily: dict[Labels, list[float]] | None = None
    out: Usual = {}
    if any(len(values) < LEAST_HOURS for values in weekly.values()) or not weekly:
        free = _is_weekend(hour_s)
        daily = _hours(rule, sight, hour_s, [back for back in DAYS if _is_weekend(hour_s - back * DAY_S) == free])
    for labels in {*weekly, *(daily or {})}:
        values = weekly.get(labels, [])
        if len(values) < LEAST_HOURS:
            values = (daily or {}).get(labels, [])
        if len(values) >= LEAST_HOURS:
            centre = median(values)
            spread = NORMAL * median(abs(value - centre) for value in values)
            out[labels] = centre, max(spread, LEAST_SPREAD * centre)
    return out


def _is_weekend(ts: int) -> bool:
    return (ts // DAY_S + EPOCH_DAY) % 7 in WEEKEND


def _hours(rule: Rule, sight: Sight, hour_s: int, days: Sequence[int]) -> dict[Labels, list[float]]:
    out: dict[Labels, list[float]] = {}
    for back in days:
        window = Window(hour_s - back * DAY_S - HOUR_S, hour_s - back * DAY_S + 2 * HOUR_S)
        rows = sight.rollups(window, kind=rule.series, step_s=HOUR_S, hist=rule.metric in PERCENTILES)
        for labels, course in courses(rule, rows, window, HOUR_S).items():
            for _, stats in course:
                value = figure_of(rule.metric, stats)
                if stats.requests >= LEAST_PER_HOUR and value is not None:
                    out.setdefault(labels, []).append(value)
    return out


KIND = Kind(
    "anomaly",
    read,
    "a figure that is far from what it is at this time of the week",
    keys=frozenset({
        "metric", "series", "service", "routes", "tenant", "outcome", "above", "over", "least_events", "by",
        "direction", "least_change",
    }),
    defaults={
        "metric": "p95", "over": "10m", "every": "1m", "for": "5m", "above": 6, "least_events": 50, "direction": "up",
        "least_change": 0.5,
    },
    metrics=("p50", "p95", "p99", "mean", "rate", "error_ratio"),
)  # fmt: skip
