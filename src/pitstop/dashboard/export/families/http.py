"""Requests and websockets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.columns import ranks, values_of_rank_ns
from pitstop.analyze.stats import numbered_by
from pitstop.dashboard.export.blocks import in_blocks
from pitstop.dashboard.export.facts import SLOW_BOUNDS
from pitstop.dashboard.export.family import GAUGE, Family, shown
from pitstop.model.series import HTTP, PART, WEBSOCKET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import LabelSet
    from pitstop.model import Series

ROUTE = ("service_name", "tenant", "http_request_method", "http_route")
LABELS = (*ROUTE, "http_response_status_code")
_QUANTILES = (0.5, 0.9, 0.95, 0.99)
_RANKED = (*ROUTE, "percentile")


def families(facts: Facts) -> Iterator[Family]:
    """OpenTelemetry's ``http.server.…``, percentiles that need no query, where the time went, websockets."""
    yield facts.durations(
        "http_server_request_duration_seconds", "Duration of HTTP requests.", HTTP, LABELS, _request, SLOW_BOUNDS,
        exemplars=True,
    )  # fmt: skip
    yield from facts.counters(
        HTTP, LABELS, _request,
        ("http_server_response_body_size_bytes", "Bytes of response bodies.", "bytes", lambda sums_: sums_.nbytes),
    )  # fmt: skip
    yield facts.gauges("http_server_active_requests", "Requests that are being answered.", "requests.in_flight")
    yield facts.seldom("http percentiles", lambda: _percentiles(facts))
    yield from facts.counters(
        PART, (*ROUTE, "part"), lambda s: (*route_of(s, s.parent), s.name),
        (
            "pitstop_http_request_part_seconds",
            "Time of requests by what it was spent on, each moment counted once; the rest is the service's own code.",
            "seconds", lambda sums_: sums_.sum_s,
        ),
    )  # fmt: skip
    yield facts.durations(
        "pitstop_websocket_connection_duration_seconds", "How long websockets were open.", WEBSOCKET,
        ("service_name", "tenant", "route", "close_code"), lambda s: (s.service, s.tenant, s.name, s.outcome),
        SLOW_BOUNDS,
    )  # fmt: skip
    yield facts.gauges("pitstop_websocket_open_connections", "Websockets that are open.", "websockets.open")


def route_of(series: Series, route: str) -> LabelSet:
    """Values of ROUTE: method and template apart, where `route` has both."""
    method, space, template = route.partition(" ")
    return (series.service, series.tenant, method, template) if space else (series.service, series.tenant, "", route)


def _request(series: Series) -> LabelSet:
    return (*route_of(series, series.name), series.outcome)


def _percentiles(facts: Facts) -> Family:
    """Of the last five minutes, as the dashboard shows them: within 1.1 %, without a query over buckets."""
    rows = facts.recent(HTTP)
    names, groups = numbered_by(rows.series, lambda series: route_of(series, series.name))
    values: list[tuple[LabelSet, float]] = []
    for block, merged in in_blocks(rows.hist, groups, len(names)):
        wanted = np.stack([ranks(merged.totals(), q) for q in _QUANTILES], axis=1)
        found = np.nan_to_num(values_of_rank_ns(merged, wanted)) / 1e9
        for name, quantiles in zip(names[block.start : block.stop], found.tolist(), strict=True):
            labels = tuple(map(shown, name))
            values += [((*labels, f"p{q * 100:.0f}"), value) for q, value in zip(_QUANTILES, quantiles, strict=True)]
    return Family(
        "pitstop_http_request_recent_seconds",
        GAUGE,
        "Percentiles of the duration of requests in the last five minutes.",
        "seconds",
        _RANKED,
        values,
    )
