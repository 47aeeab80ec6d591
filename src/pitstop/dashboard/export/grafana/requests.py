"""How many requests, how slow, how many fail, and where their time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.grafana.expressions import mean, per_second, quantile, rate, ratio, selector, top
from pitstop.dashboard.export.grafana.panels import (
    BYTES_PER_SECOND,
    NUMBER,
    PER_SECOND,
    RATIO,
    SECONDS,
    Panel,
    dashboard,
)

if TYPE_CHECKING:
    from pitstop.dashboard.export.grafana import Json

_DURATION = "http_server_request_duration_seconds"
_FAILED = 'http_response_status_code=~"5.."'
_ROUTE = "http_request_method, http_route"
_NAMED = "{{http_request_method}} {{http_route}}"


def board() -> Json:
    """The dashboard."""
    panels = [
        Panel("Requests a second", [(per_second(_DURATION), "")], PER_SECOND, 6, "stat"),
        Panel("P95", [(quantile(0.95, _DURATION), "")], SECONDS, 6, "stat"),
        Panel("P99", [(quantile(0.99, _DURATION), "")], SECONDS, 6, "stat"),
        Panel("Failed", [(ratio(_DURATION, _FAILED), "")], RATIO, 6, "stat"),
        Panel(
            "How slow are requests?",
            [
                (mean(_DURATION), "mean"),
                (quantile(0.5, _DURATION), "P50"),
                (quantile(0.95, _DURATION), "P95"),
                (quantile(0.99, _DURATION), "P99"),
            ],
            SECONDS,
        ),
        Panel(
            "How many requests?",
            [(per_second(_DURATION, by="http_response_status_code"), "{{http_response_status_code}}")],
            PER_SECOND,
            stacked=True,
        ),
        Panel("Which routes are slow?", [(top(10, f"({quantile(0.95, _DURATION, by=_ROUTE)})"), _NAMED)], SECONDS),
        Panel("Which routes are busy?", [(top(10, f"({per_second(_DURATION, by=_ROUTE)})"), _NAMED)], PER_SECOND),
        Panel("Which routes fail?", [(top(10, f"({ratio(_DURATION, _FAILED, by=_ROUTE)})"), _NAMED)], RATIO),
        Panel(
            "Where does the time go?",
            [(rate("pitstop_http_request_part_seconds", by="part"), "{{part}}")],
            SECONDS,
            text="Seconds spent in each second; what is not here is the service's own code.",
            stacked=True,
        ),
        Panel(
            "What fails?", [(rate("pitstop_errors", by="error_type, route"), "{{error_type}} {{route}}")], PER_SECOND
        ),
        Panel(
            "How much is sent?",
            [(rate("http_server_response_body_size_bytes", by="service_name"), "{{service_name}}")],
            BYTES_PER_SECOND,
        ),
        Panel(
            "How many are answered at once?",
            [(f"sum by (service_name) (http_server_active_requests{selector()})", "{{service_name}}")],
            NUMBER,
        ),
        Panel(
            "Percentiles of the last five minutes, without buckets",
            [
                (
                    f"max by (percentile) (pitstop_http_request_recent_seconds{selector()})",
                    "{{percentile}}, slowest route",
                )
            ],
            SECONDS,
        ),
    ]
    return dashboard("requests", "Requests", "Rate, latency, failures and time of HTTP requests.", panels)
