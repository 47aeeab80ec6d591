"""Kept requests: rows to list them by, and their spans apart, so that a list reads none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.model.columns import Traces
from pitstop.model.series import Series
from pitstop.store.sqlite.listing import paths_of, rows_from
from pitstop.store.sqlite.names import series_ids
from pitstop.store.sqlite.tallies import house_value, set_house_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window
    from pitstop.store.sqlite.names import Appended, Names

Key = tuple[int, int, int, int]  # ts, worker, seq, n

_INSERT = (
    "INSERT INTO trace (ts, worker, seq, n, series, reason, duration_ns, start_ns, trace_id, span_id, parent_id, host,"
    " nbytes, weight, fingerprint, spans, left_out, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_COLUMNS = (
    "ts, start_ns, duration_ns, trace_id, span_id, parent_id, series.service, trace.host, worker.name,"
    " series.tenant, series.kind, series.name, series.outcome, nbytes, reason, weight, fingerprint, trace.spans,"
    " left_out"
)
_TABLES = "FROM trace CROSS JOIN series ON series.id = trace.series LEFT JOIN worker ON worker.id = trace.worker"
_BODY = "LEFT JOIN trace_body ON trace_body.id = trace.body"
_TS, _START_NS, _DURATION_NS = 0, 1, 2
_NO_BODY = "x''"
_WITH_BODY = "ifnull(trace_body.spans, x'')"


def packed_hex(text: str) -> bytes | str:
    """Hex digits as bytes, half as long; what would not come back the same as it is."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        return text
    return data if data.hex() == text else text


def unpacked_hex(value: bytes | str) -> str:
    """What `packed_hex` was given."""
    return value.hex() if isinstance(value, bytes) else value


def append_traces(
    connection: sqlite3.Connection,
    traces: Traces,
    worker: str,
    author: tuple[int, int],
    names: Names,
    added: Appended,
) -> int:
    """Write `traces` of the batch `author`, whose worker is called `worker`; the number of rows."""
    identities = zip(traces.service, traces.tenant, traces.kind, traces.name, traces.outcome, strict=True)
    roots = [Series(service, tenant, kind, name, "", outcome) for service, tenant, kind, name, outcome in identities]
    series = series_ids(connection, list(zip(traces.ts, roots, strict=True)), names, added)
    rows = []
    for n, body in enumerate(traces.body):
        insert = "INSERT INTO trace_body (spans) VALUES (?)"
        body_id = connection.execute(insert, (body,)).lastrowid if body else 0
        host = "" if traces.worker[n] == worker else traces.worker[n]
        ids = (packed_hex(traces.trace_id[n]), packed_hex(traces.span_id[n]), packed_hex(traces.parent_id[n]))
        rows.append((
            traces.ts[n], *author, n, series[n], traces.reason[n], traces.duration_ns[n], traces.start_ns[n], *ids,
            host, traces.nbytes[n], traces.weight[n], packed_hex(traces.fingerprint[n]), traces.spans[n],
            traces.left_out[n], body_id,
        ))  # fmt: skip
    connection.executemany(_INSERT, rows)
    more = house_value(connection, "trace_bytes") + sum(map(len, traces.body))
    set_house_value(connection, "trace_bytes", more)
    return len(rows)


def traces_of(
    connection: sqlite3.Connection, window: Window, match: TraceMatch, limit: int, slowest: bool, body: bool
) -> Traces:
    """The newest or slowest that match; see `pitstop.model.Store`."""
    if limit <= 0:
        return Traces()
    select = f"SELECT {_COLUMNS}, {_WITH_BODY if body else _NO_BODY} {_TABLES} {_BODY if body else ''}"
    paths = paths_of(connection, window, match, slowest=slowest)
    found: list[tuple[Any, ...]] = []
    for path, least in rows_from(connection, paths, limit, slowest=slowest):
        where, values = path.where(least, slowest=slowest)
        found += connection.execute(f"{select} WHERE {where}", values)
    first = _DURATION_NS if slowest else _TS
    found.sort(key=lambda row: (row[first], row[_START_NS]), reverse=True)
    return _columns(found[:limit])


def trace_of(connection: sqlite3.Connection, trace_id: str) -> Traces:
    """Every part of one trace with its spans, oldest first."""
    query = f"SELECT {_COLUMNS}, {_WITH_BODY} {_TABLES} {_BODY} WHERE trace_id = ? ORDER BY start_ns"
    return _columns(connection.execute(query, (packed_hex(trace_id),)))


def _columns(rows: Iterable[tuple[Any, ...]]) -> Traces:
    out = Traces()
    found = list(rows)
    if found:
        (
            out.ts, out.start_ns, out.duration_ns, trace_ids, span_ids, parent_ids, out.service, hosts, workers,
            out.tenant, out.kind, out.name, out.outcome, out.nbytes, out.reason, out.weight, fingerprints, out.spans,
            out.left_out, out.body,
        ) = map(list, zip(*found, strict=True))  # fmt: skip
        out.trace_id, out.span_id, out.parent_id, out.fingerprint = (
            list(map(unpacked_hex, column)) for column in (trace_ids, span_ids, parent_ids, fingerprints)
        )
        out.worker = [str(host or worker or "") for host, worker in zip(hosts, workers, strict=True)]
    return out
