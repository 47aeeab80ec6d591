"""Stages and functions that the host named (agents, steps of a pipeline), templates, waits and collections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.series import FUNCTION, GC, LOOP_WAIT, STAGE, TEMPLATE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family, LabelSet
    from pitstop.model import Series

_WITHIN = ("service_name", "tenant", "route")


def families(facts: Facts) -> Iterator[Family]:
    """One histogram each, by route."""
    for kind, name, text, label in (
        (STAGE, "pitstop_stage_duration_seconds", "Duration of stages, the first byte among them.", "stage"),
        (FUNCTION, "pitstop_function_duration_seconds", "Duration of spans, functions and agents.", "function"),
        (TEMPLATE, "pitstop_template_render_duration_seconds", "Duration of rendering templates.", "template"),
        (GC, "pitstop_request_gc_pause_seconds", "Garbage collections within requests.", "generation"),
        (LOOP_WAIT, "pitstop_request_loop_wait_seconds", "Waits of requests for a busy event loop.", "wait"),
    ):
        yield facts.durations(name, text, kind, (*_WITHIN, label, "outcome"), _within)


def _within(series: Series) -> LabelSet:
    return series.service, series.tenant, series.parent, series.name, series.outcome
