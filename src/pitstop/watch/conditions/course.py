"""Figures by set of labels and step of time, from the rows of one read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.stats import NOISE_Z, Stats, numbered_by, stats_by_group
from pitstop.analyze.trend import placed, steps

if TYPE_CHECKING:
    from pitstop.model import Rollups, Series, Window
    from pitstop.watch.rules import Rule

Labels = tuple[tuple[str, str], ...]
SMALLEST = 1e-9


def labels_of(rule: Rule, series: Series) -> Labels | None:
    """The labels that `series` is counted under; None when the rule is not about it."""
    route = series.parent or series.name
    if not rule.concerns(service=series.service, route=route, tenant=series.tenant, outcome=series.outcome):
        return None
    has = {"route": route, "tenant": series.tenant, "outcome": series.outcome}
    return (("service", series.service), *((name, has[name]) for name in rule.by if name in has))


def figured(rule: Rule, rows: Rollups, window: Window) -> dict[Labels, Stats]:
    """Stats of the whole of `window`, by labels."""
    names, groups = numbered_by(rows.series, lambda one: labels_of(rule, one))
    if not any(names):
        return {}
    found = stats_by_group(rows, groups, len(names), window.duration_s)
    return {labels: stats for labels, stats in zip(names, found, strict=True) if labels is not None}


def courses(rule: Rule, rows: Rollups, window: Window, step_s: int) -> dict[Labels, list[tuple[int, Stats]]]:
    """Stats of every step that has data, oldest first, by labels."""
    names, groups = numbered_by(rows.series, lambda one: labels_of(rule, one))
    ts = steps(window, step_s)
    out: dict[Labels, list[tuple[int, Stats]]] = {}
    for number, labels in enumerate(names):
        if labels is None:
            continue
        # one set after the other: counts of all sets and steps at once would take 8 kB each
        mine = rows.chosen(np.flatnonzero(groups == number).tolist()) if len(names) > 1 else rows
        found = stats_by_group(mine, placed(mine, window, step_s), len(ts), step_s)
        out[labels] = [(at, stats) for at, stats in zip(ts, found, strict=True) if stats.requests]
    return out


def uncertainty(metric: str, stats: Stats, usual: float) -> float:
    """The standard error of a figure that was measured from few events; `usual` is what was to be expected.

    Percentiles: from the 99 % interval of `analyze.stats`. Rates: Poisson's. Error ratios: the binomial's.
    """
    if metric == "mean":
        return stats.mean_error_s or 0.0
    if metric == "rate":
        rate = max(stats.rate_per_s or 0.0, usual)
        return float(rate / max(stats.requests, 1) ** 0.5)
    if metric == "error_ratio":
        expected = max(usual, 1 / max(stats.requests, 1))
        return float((expected * (1 - min(expected, 1.0)) / max(stats.requests, 1)) ** 0.5)
    interval = {"p50": stats.p50_range_s, "p95": stats.p95_range_s, "p99": stats.p99_range_s}[metric]
    return (interval[1] - interval[0]) / (2 * NOISE_Z) if interval else 0.0
