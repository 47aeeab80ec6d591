"""Tenants: what each asked for and what that cost. Only where the host names tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.stats import is_error
from pitstop.dashboard.export.facts import SLOW_BOUNDS
from pitstop.model.series import DB, HTTP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family, LabelSet
    from pitstop.model import Series

_LABELS = ("service_name", "tenant")


def families(facts: Facts) -> Iterator[Family]:
    """Sums over all routes of a tenant, so that many routes times many tenants need not be queried."""
    yield facts.durations(
        "pitstop_tenant_request_duration_seconds", "Duration of the requests of each tenant.", HTTP, _LABELS, _tenant,
        SLOW_BOUNDS,
    )  # fmt: skip
    yield from facts.counters(
        HTTP, _LABELS, lambda s: _tenant(s) if is_error(s.outcome) else None,
        ("pitstop_tenant_request_errors", "Requests of each tenant that failed.", "", lambda sums: sums.events),
    )  # fmt: skip
    yield from facts.counters(
        HTTP, _LABELS, _tenant,
        ("pitstop_tenant_response_bytes", "Bytes sent to each tenant.", "bytes", lambda sums: sums.nbytes),
    )  # fmt: skip
    yield from facts.counters(
        DB, _LABELS, _tenant,
        ("pitstop_tenant_db_calls", "Database statements of each tenant.", "", lambda sums: sums.events),
        ("pitstop_tenant_db_seconds", "Time in the database of each tenant.", "seconds", lambda sums: sums.sum_s),
    )  # fmt: skip


def _tenant(series: Series) -> LabelSet | None:
    return (series.service, series.tenant) if series.tenant else None
