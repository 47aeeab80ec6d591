"""Reports: a few rows a worker, each replaced by the next of its kind and name.

Appending would fit the rest better, but a worker says about the same every quarter of a minute; so few rows are
replaced within the transaction that is written anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.columns import Reports

if TYPE_CHECKING:
    import sqlite3

    from pitstop.model.window import Window

_PUT = (
    "INSERT INTO report (worker, kind, name, ts, service, host, body) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (worker, kind, name) DO UPDATE SET ts = excluded.ts, service = excluded.service,"
    " host = excluded.host, body = excluded.body WHERE excluded.ts >= ts"
)
_READ = (
    "SELECT report.ts, report.service, CASE host WHEN '' THEN ifnull(worker.name, '') ELSE host END, kind,"
    " report.name, body FROM report LEFT JOIN worker ON worker.id = report.worker WHERE ts >= ? AND ts < ?"
)


def put_reports(connection: sqlite3.Connection, reports: Reports, writer: str, worker: int) -> int:
    """Keep `reports` of the batch that `writer` wrote as `worker`; how many rows there are more than before."""
    before = _rows_of(connection, worker)
    columns = (reports.kind, reports.name, reports.ts, reports.service, reports.worker, reports.body)
    connection.executemany(
        _PUT,
        [
            (worker, kind, name, ts, service, "" if of == writer else of, body)
            for kind, name, ts, service, of, body in zip(*columns, strict=True)
        ],
    )
    return _rows_of(connection, worker) - before


def _rows_of(connection: sqlite3.Connection, worker: int) -> int:
    return int(connection.execute("SELECT count(*) FROM report WHERE worker = ?", (worker,)).fetchone()[0])


def reports_of(connection: sqlite3.Connection, window: Window, service: str | None, kind: str | None) -> Reports:
    """The newest reports; see `pitstop.model.Store`."""
    query, values = _READ, [window.start_s, window.end_s]
    wanted: list[int | str] = [*values]
    for column, value in (("report.service", service), ("kind", kind)):
        if value is not None:
            query += f" AND {column} = ?"
            wanted.append(value)
    out = Reports()
    for row in connection.execute(f"{query} ORDER BY kind, report.name, ts DESC, worker.name", wanted):
        for field, value in zip(("ts", "service", "worker", "kind", "name", "body"), row, strict=True):
            getattr(out, field).append(value)
    return out
