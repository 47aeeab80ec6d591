"""Agents, stages and functions that the service names; calls to others; tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import per_second, quantile, rate, ratio, seconds_per_second, top
from pitstop.dashboard.export.grafana.panels import PER_SECOND, RATIO, SECONDS, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_STAGE, _FUNCTION = "pitstop_stage_duration_seconds", "pitstop_function_duration_seconds"
_CALL, _TASK = "http_client_request_duration_seconds", "pitstop_task_duration_seconds"


def board() -> Json:
    """The dashboard."""
    panels = [
        Panel(
            "Which agents and functions take the time?",
            [(top(10, f"({seconds_per_second(_FUNCTION, by='function')})"), "{{function}}")],
            SECONDS,
            stacked=True,
            text="Seconds spent in each second.",
        ),
        Panel(
            "How slow are they?", [(top(10, f"({quantile(0.95, _FUNCTION, by='function')})"), "{{function}}")], SECONDS
        ),
        Panel("How often do they run?", [(per_second(_FUNCTION, by="function"), "{{function}}")], PER_SECOND),
        Panel("How often do they fail?", [(ratio(_FUNCTION, 'outcome="error"', by="function"), "{{function}}")], RATIO),
        Panel("How slow are stages?", [(quantile(0.95, _STAGE, by="stage"), "{{stage}}")], SECONDS),
        Panel(
            "Where are stages slow?",
            [(top(10, f"({quantile(0.95, _STAGE, by='stage, route')})"), "{{stage}} of {{route}}")],
            SECONDS,
        ),
        Panel(
            "How slow are other services?",
            [(quantile(0.95, _CALL, by="server_address"), "{{server_address}}")],
            SECONDS,
        ),
        Panel(
            "How often are they called?", [(per_second(_CALL, by="server_address"), "{{server_address}}")], PER_SECOND
        ),
        Panel("How long do tasks take?", [(quantile(0.95, _TASK, by="task"), "{{task}}")], SECONDS),
        Panel(
            "How often do they run, and how do they end?",
            [(per_second(_TASK, by="task, outcome"), "{{task}} {{outcome}}")],
            PER_SECOND,
        ),
        Panel("What the service counts", [(rate("pitstop_app_events", by="event"), "{{event}}")], PER_SECOND),
        Panel(
            "How long do templates take?",
            [(quantile(0.95, "pitstop_template_render_duration_seconds", by="template"), "{{template}}")],
            SECONDS,
        ),
    ]
    return dashboard("stages", "Stages, agents and tasks", "What the service names, calls and runs apart.", panels)
