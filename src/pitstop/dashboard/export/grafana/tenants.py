"""What each tenant asks for, how slow it is for them, and what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import per_second, quantile, rate, top
from pitstop.dashboard.export.grafana.panels import BYTES_PER_SECOND, PER_SECOND, SECONDS, Panel, dashboard, variable

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_DURATION = "pitstop_tenant_request_duration_seconds"
_TENANT = 'tenant=~"$tenant"'


def board() -> Json:
    """The dashboard."""

    def largest(expression: str) -> list[tuple[str, str]]:
        return [(top(10, f"({expression})"), "{{tenant}}")]

    panels = [
        Panel("Who asks most?", largest(per_second(_DURATION, _TENANT, by="tenant")), PER_SECOND, stacked=True),
        Panel("For whom is it slow?", largest(quantile(0.95, _DURATION, _TENANT, by="tenant")), SECONDS),
        Panel("Whose requests fail?", largest(rate("pitstop_tenant_request_errors", _TENANT, by="tenant")), PER_SECOND),
        Panel(
            "Who uses the database?",
            largest(rate("pitstop_tenant_db_seconds", _TENANT, by="tenant")),
            SECONDS,
            stacked=True,
            text="Seconds spent in each second.",
        ),
        Panel("Who runs most statements?", largest(rate("pitstop_tenant_db_calls", _TENANT, by="tenant")), PER_SECOND),
        Panel(
            "Who gets most bytes?",
            largest(rate("pitstop_tenant_response_bytes", _TENANT, by="tenant")),
            BYTES_PER_SECOND,
        ),
    ]
    choice = variable("tenant", "pitstop_tenant_response_bytes_total", "tenant", "Tenant")
    return dashboard("tenants", "Tenants", "Requests, latency and cost by tenant.", panels, [choice])
