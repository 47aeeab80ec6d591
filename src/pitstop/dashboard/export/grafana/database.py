"""Which statements take the time, which routes run them, and what waits for a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import (
    mean,
    per_second,
    quantile,
    rate,
    seconds_per_second,
    selector,
    top,
)
from pitstop.dashboard.export.grafana.panels import NUMBER, PER_SECOND, SECONDS, Panel, dashboard

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_DURATION = "db_client_operation_duration_seconds"
_WAIT = "db_client_connection_wait_time_seconds"
_CALLS = f"increase(pitstop_db_statement_calls_total{selector()}[$__range])"
_TIME = f"increase(pitstop_db_statement_seconds_total{selector()}[$__range])"


def board() -> Json:
    """The dashboard."""
    summary = "db_query_summary"
    panels = [
        Panel("Statements a second", [(per_second(_DURATION), "")], PER_SECOND, 8, "stat"),
        Panel("Mean", [(mean(_DURATION), "")], SECONDS, 8, "stat"),
        Panel("P99", [(quantile(0.99, _DURATION), "")], SECONDS, 8, "stat"),
        Panel(
            "What takes the time?",
            [(top(10, f"({seconds_per_second(_DURATION, by=summary)})"), "{{db_query_summary}}")],
            SECONDS,
            stacked=True,
            text="Seconds spent in each second.",
        ),
        Panel(
            "How slow are statements?",
            [(top(10, f"({quantile(0.95, _DURATION, by=summary)})"), "{{db_query_summary}}")],
            SECONDS,
        ),
        Panel(
            "Which routes use the database?",
            [(top(10, f"({seconds_per_second(_DURATION, by='route')})"), "{{route}}")],
            SECONDS,
            stacked=True,
        ),
        Panel("How many rows?", [(rate("pitstop_db_rows", by=summary), "{{db_query_summary}}")], PER_SECOND),
        Panel(
            "Statements that took most time", [(top(20, f"sum by (db_query_text) ({_TIME})"), "")], SECONDS, 12, "table"
        ),
        Panel(
            "Statements that ran most often", [(top(20, f"sum by (db_query_text) ({_CALLS})"), "")], NUMBER, 12, "table"
        ),
        Panel(
            "Statements repeated within a request (N+1)",
            [(rate("pitstop_db_repeated_requests", by="route, db_query_summary"), "{{route}}: {{db_query_summary}}")],
            PER_SECOND,
        ),
        Panel("Waits for a connection", [(quantile(0.95, _WAIT, by="pool_name"), "{{pool_name}}")], SECONDS),
        Panel(
            "How long are transactions?",
            [(quantile(0.95, "pitstop_db_transaction_duration_seconds", by="route"), "{{route}}")],
            SECONDS,
        ),
    ]
    return dashboard("database", "Database", "Statements, rows, repeated statements and waits.", panels)
