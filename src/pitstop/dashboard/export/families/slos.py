"""Objectives: how much of each error budget is left, and how fast it burns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.family import GAUGE, Family, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import LabelSet
    from pitstop.model.watching import SloState

_LABELS = ("slo", "kind", "service_name", "route", "tenant", "probe", "window")
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def families(facts: Facts) -> Iterator[Family]:
    """Of every objective that somebody watches."""
    slos = facts.seldom("objectives", lambda: facts.watched(lambda watch: watch.slos()))
    for name, text, unit, values in (
        ("pitstop_slo_target_ratio", "Share of events that has to be good.", "ratio", [one.target for one in slos]),
        ("pitstop_slo_good_ratio", "Share that was good over the window.", "ratio", [one.ratio for one in slos]),
        ("pitstop_slo_threshold_seconds", "What is good is not slower, or older.", "seconds",
         [one.threshold_s for one in slos]),
        ("pitstop_slo_budget_left_ratio", "Share of the error budget that is left; negative: overspent.", "ratio",
         [one.budget_left for one in slos]),
        ("pitstop_slo_runs_out_timestamp_seconds", "When the budget will be spent at the rate of the last hour.",
         "seconds", [one.runs_out_s for one in slos]),
        ("pitstop_slo_window_events", "Events over the window.", "", [float(one.total) for one in slos]),
        ("pitstop_slo_window_good_events", "Good events over the window.", "", [float(one.good) for one in slos]),
    ):  # fmt: skip
        found = [(_labels(one), value) for one, value in zip(slos, values, strict=True) if value is not None]
        yield Family(name, GAUGE, text, unit, _LABELS, found)
    rates: dict[LabelSet, float] = {}
    burning: list[tuple[LabelSet, float]] = []
    for one in slos:
        for burn in one.burns:
            for span_s, rate in ((burn.long_s, burn.long_rate), (burn.short_s, burn.short_rate)):
                if rate is not None:
                    rates[(*_labels(one), span_text(span_s))] = rate
            burning.append(((*_labels(one), burn.severity, span_text(burn.long_s)), float(burn.firing)))
    yield Family(
        "pitstop_slo_burn_rate", GAUGE, "How fast the budget burns: 1 spends it in exactly the window.",
        labels=(*_LABELS, "over"), values=list(rates.items()),
    )  # fmt: skip
    yield Family(
        "pitstop_slo_burn_alert", GAUGE, "Whether a pair of windows burns too fast.",
        labels=(*_LABELS, "severity", "over"), values=burning,
    )  # fmt: skip


def _labels(slo: SloState) -> LabelSet:
    known = slo.labels.get
    found = (
        slo.name,
        slo.kind,
        known("service", ""),
        known("route", known("routes", "")),
        known("tenant", ""),
        known("probe", ""),
    )
    return tuple(map(shown, (*found, slo.window_text)))


def span_text(span_s: int) -> str:
    """``5m``, ``6h``, ``3d``: as Prometheus writes durations."""
    return next(f"{span_s // unit_s}{letter}" for unit_s, letter in _SPANS if span_s % unit_s == 0)
