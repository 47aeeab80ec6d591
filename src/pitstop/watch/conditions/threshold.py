"""A figure of a series, or a gauge, beyond a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.stats import NO_DATA
from pitstop.watch.conditions.course import figured
from pitstop.watch.conditions.figures import COUNTED, PERCENTILES, SAMPLE, figure_of, figure_text, said, unit_of
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

METRICS = (*PERCENTILES, "mean", "error_ratio", *COUNTED, SAMPLE)


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading a service, and a value of what the rule is divided by."""
    if rule.metric.startswith(SAMPLE):
        return _of_samples(rule, sight)
    window = sight.window(rule.over_s)
    rows = sight.rollups(window, kind=rule.series, hist=rule.metric in PERCENTILES)
    by_labels = figured(rule, rows, window)
    if rule.metric in COUNTED and not rule.by:  # silence counts as zero where it is known who is silent
        for service in rule.service:
            if not set("*?[") & set(service):
                by_labels.setdefault((("service", service),), NO_DATA)
    out = []
    for labels, stats in by_labels.items():
        value = figure_of(rule.metric, stats) if stats.requests >= rule.least_events else None
        out.append(reading(rule, dict(labels), value))
    return out


def reading(rule: Rule, labels: dict[str, str], value: float | None) -> Reading:
    """`value` against the limit of the rule."""
    hot, calm = rule.verdict(value)
    unit = unit_of(rule.metric)
    side = "above" if rule.above is not None else "below"
    about = " ".join(labels[name] for name in labels if labels[name])
    now = figure_text(value, unit)
    return Reading(
        labels, hot, calm, value, rule.limit, unit,
        f"{said(rule.metric)} of {about} is {now}{f', {side} {figure_text(rule.limit, unit)}' if hot else ''}",
    )  # fmt: skip


def _of_samples(rule: Rule, sight: Sight) -> list[Reading]:
    """The mean of each worker over the window; without ``by = ["worker"]`` the worst of them counts."""
    name = rule.metric.removeprefix(SAMPLE)
    samples = sight.samples(sight.window(rule.over_s), (name,), 10)
    sums: dict[tuple[str, str], list[float]] = {}
    for service, worker, value in zip(samples.service, samples.worker, samples.value, strict=True):
        if rule.watches(service):
            sums.setdefault((service, worker), []).append(value)
    worst: dict[tuple[str, str], float] = {}
    pick = max if rule.above is not None else min
    for (service, worker), values in sums.items():
        key = (service, worker if "worker" in rule.by else "")
        mean = sum(values) / len(values)
        worst[key] = pick(mean, worst.get(key, mean))
    return [
        reading(rule, {"service": service} | ({"worker": worker} if worker else {}), value)
        for (service, worker), value in worst.items()
    ]


KIND = Kind(
    "threshold",
    read,
    "a figure of a series, or a gauge, beyond a limit",
    keys=frozenset({
        "metric", "series", "service", "routes", "tenant", "outcome", "above", "below", "clear", "over",
        "least_events", "by",
    }),
    defaults={"over": "5m", "least_events": 0},
    metrics=METRICS,
    needs=("metric",),
    either=("above", "below"),
)  # fmt: skip
