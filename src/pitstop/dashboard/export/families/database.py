"""Statements, transactions, connections, and statements that are repeated within a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pitstop.model.series import DB, POOL_WAIT, REPEATED, TRANSACTION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts, Sums3
    from pitstop.dashboard.export.family import Family, LabelSet
    from pitstop.model import Series

LABELS = ("service_name", "tenant", "db_query_summary", "route", "error_type")
_STATEMENT = ("service_name", "tenant", "db_query_text")
_TARGET = re.compile(r"\b(?:FROM|INTO|UPDATE|JOIN|TABLE)\s+([\w.\"`\[\]$-]{1,120})", re.IGNORECASE)


def families(facts: Facts) -> Iterator[Family]:
    """OpenTelemetry's ``db.client.…`` by what a statement does to which table; counters by the statement itself."""
    yield facts.durations(
        "db_client_operation_duration_seconds", "Duration of database statements.", DB, LABELS, _operation
    )
    yield from facts.counters(
        DB, LABELS[:-1], lambda s: _operation(s)[:-1],
        ("pitstop_db_rows", "Rows returned, or touched by statements that return none.", "", _nbytes),
    )  # fmt: skip
    yield from facts.counters(
        DB, _STATEMENT, lambda s: (s.service, s.tenant, s.name),
        ("pitstop_db_statement_calls", "Executions of each statement, without its values.", "", _count),
        ("pitstop_db_statement_seconds", "Time taken by each statement.", "seconds", _sum_s),
        ("pitstop_db_statement_rows", "Rows of each statement.", "", _nbytes),
    )  # fmt: skip
    yield from facts.counters(
        DB, _STATEMENT, lambda s: (s.service, s.tenant, s.name) if s.outcome == "error" else None,
        ("pitstop_db_statement_errors", "Executions of each statement that failed.", "", _count),
    )  # fmt: skip
    yield facts.durations(
        "pitstop_db_transaction_duration_seconds", "Duration of transactions, begin to end.", TRANSACTION,
        ("service_name", "tenant", "route", "outcome"), lambda s: (s.service, s.tenant, s.parent, s.outcome),
    )  # fmt: skip
    yield facts.durations(
        "db_client_connection_wait_time_seconds", "Waits for a connection, or for a thread of an executor.", POOL_WAIT,
        ("service_name", "tenant", "pool_name", "route"), lambda s: (s.service, s.tenant, s.name, s.parent),
    )  # fmt: skip
    yield from facts.counters(
        REPEATED, ("service_name", "tenant", "route", "db_query_summary"),
        lambda s: (s.service, s.tenant, s.parent, summary(s.name)),
        ("pitstop_db_repeated_requests", "Requests that repeated a statement (N+1).", "", _count),
        ("pitstop_db_repeated_seconds", "Time that the repetitions took.", "seconds", _sum_s),
        ("pitstop_db_repeated_calls", "Executions that were repetitions.", "", _nbytes),
    )  # fmt: skip


def summary(statement: str) -> str:
    """``SELECT orders``: what is done, and to the first table that is named (OpenTelemetry's db.query.summary)."""
    verb = statement.lstrip("( ").split(" ", 1)[0].upper()[:20]
    table = _TARGET.search(statement)
    return f"{verb} {table[1]}" if table else verb


def _operation(series: Series) -> LabelSet:
    error = series.outcome if series.outcome != "ok" else ""
    return series.service, series.tenant, summary(series.name), series.parent, error


def _count(sums: Sums3) -> list[int]:
    return sums.events


def _sum_s(sums: Sums3) -> list[float]:
    return sums.sum_s


def _nbytes(sums: Sums3) -> list[int]:
    return sums.nbytes
