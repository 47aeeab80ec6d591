"""Calls to other services, tasks and queues."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.dashboard.export.facts import SLOW_BOUNDS
from pitstop.model.series import HTTP_CLIENT, QUEUE, TASK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family, LabelSet
    from pitstop.model import Series

_CLIENT = (
    "service_name", "tenant", "http_request_method", "server_address", "http_response_status_code", "error_type",
    "route",
)  # fmt: skip


def families(facts: Facts) -> Iterator[Family]:
    """OpenTelemetry's ``http.client.…``, and what runs apart from requests."""
    yield facts.durations(
        "http_client_request_duration_seconds", "Duration of requests to other services.", HTTP_CLIENT, _CLIENT, _call
    )
    yield facts.durations(
        "pitstop_task_duration_seconds", "Duration of tasks outside of requests.", TASK,
        ("service_name", "tenant", "task", "outcome"), lambda s: (s.service, s.tenant, s.name, s.outcome), SLOW_BOUNDS,
    )  # fmt: skip
    yield facts.durations(
        "pitstop_queue_operation_duration_seconds", "Duration of publishing to queues and waiting for messages.", QUEUE,
        ("service_name", "tenant", "operation", "outcome"), lambda s: (s.service, s.tenant, s.name, s.outcome),
    )  # fmt: skip


def _call(series: Series) -> LabelSet:
    method, _, address = series.name.partition(" ")
    status = series.outcome if series.outcome.isdigit() else ""
    return series.service, series.tenant, method, address, status, "" if status else series.outcome, series.parent
