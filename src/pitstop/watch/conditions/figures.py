"""The figures that rules compare: where each stands among a set's stats, its unit, and how it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.units import bytes_text, count_text, duration_text, figures, ratio_text
from pitstop.watch.conditions.reading import BYTES, NUMBER, PER_S, RATIO, SECONDS

if TYPE_CHECKING:
    from pitstop.analyze.stats import Stats

PERCENTILES = ("p50", "p90", "p95", "p99")
NEED_COUNTS = (*PERCENTILES, "mean")  # the standard error of a mean comes from the histogram, too
COUNTED = ("rate", "count")
SAMPLE = "sample:"
_UNITS = {"mean": SECONDS, "error_ratio": RATIO, "rate": PER_S, "count": NUMBER} | dict.fromkeys(PERCENTILES, SECONDS)
_FIELDS = {"mean": "mean_s", "error_ratio": "error_ratio"} | {name: f"{name}_s" for name in PERCENTILES}


def figure_of(metric: str, stats: Stats) -> float | None:
    """`metric` of one set; None without data, but counts and rates of nothing are zero."""
    if metric == "count":
        return float(stats.requests)
    if metric == "rate":
        return stats.rate_per_s or 0.0
    value: float | None = getattr(stats, _FIELDS[metric])
    return value


def said(metric: str) -> str:
    """`metric` in a sentence: ``P95``, ``error ratio``, ``queue_depth``."""
    if metric.startswith(SAMPLE):
        return metric.removeprefix(SAMPLE)
    return metric.upper() if metric in PERCENTILES else metric.replace("_", " ")


def unit_of(metric: str) -> str:
    """The unit of a metric; a gauge carries its own in its name."""
    if not metric.startswith(SAMPLE):
        return _UNITS.get(metric, NUMBER)
    return next((u for end, u in (("_bytes", BYTES), ("_ratio", RATIO), ("_s", SECONDS)) if metric.endswith(end)), "")


def figure_text(value: float | None, unit: str) -> str:
    """`value` as a person reads it."""
    if value is None:
        return "not known"
    if unit == SECONDS:
        return duration_text(value)
    if unit == RATIO:
        return ratio_text(value)
    if unit == BYTES:
        return bytes_text(value)
    if unit == PER_S:
        return f"{count_text(value)}/s"
    return f"{figures(value)}{f' {unit}' if unit else ''}"
