"""Errors: rows of failures, whose stacks are kept once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.columns import Errors
from pitstop.store.sqlite.frames import stack_id, stacks_of
from pitstop.store.sqlite.names import failure_id
from pitstop.store.sqlite.traces import packed_hex, unpacked_hex
from pitstop.store.stacks import OF_ERRORS

if TYPE_CHECKING:
    import sqlite3

    from pitstop.model.window import Window
    from pitstop.store.sqlite.names import Appended, Names

_INSERT = (
    "INSERT INTO error (ts, worker, seq, n, failure, type, message, line, stack, trace_id)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_NEWEST = (
    "SELECT ts, type, message, line, stack, trace_id FROM error WHERE failure = ? AND ts >= ? AND ts < ?"
    " ORDER BY ts DESC, worker DESC, seq DESC, n DESC LIMIT 1"
)


def append_errors(
    connection: sqlite3.Connection, errors: Errors, author: tuple[int, int], names: Names, added: Appended
) -> int:
    """Write `errors` of the batch `author`; the number of rows."""
    rows = []
    for n, ts in enumerate(errors.ts):
        failed = (errors.fingerprint[n], errors.route[n], errors.service[n])
        failure = failure_id(connection, failed, ts, names, added)
        stack = stack_id(connection, errors.stack[n], OF_ERRORS, ts, names, added)
        what = (errors.type[n], errors.message[n], errors.line[n])
        rows.append((ts, *author, n, failure, *what, stack, packed_hex(errors.trace_id[n])))
    connection.executemany(_INSERT, rows)
    return len(rows)


def errors_of(connection: sqlite3.Connection, window: Window, service: str | None, route: str | None) -> Errors:
    """The newest row of each failure; see `pitstop.model.Store`."""
    conditions = [f"{field} = ?" for field, value in (("service", service), ("route", route)) if value is not None]
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = f"SELECT id, fingerprint, route, service FROM failure {where}"  # noqa: S608
    values = [value for value in (service, route) if value is not None]
    found = []
    for i, *failed in connection.execute(query, values).fetchall():
        row = connection.execute(_NEWEST, (i, window.start_s, window.end_s)).fetchone()
        if row is not None:
            found.append((*row, *failed))
    found.sort(key=lambda row: row[0], reverse=True)
    stacks = stacks_of(connection, {row[4] for row in found})
    out = Errors()
    for ts, kind, message, line, stack, trace_id, fingerprint, of_route, of in found:
        out.ts.append(ts)
        out.service.append(of)
        out.route.append(of_route)
        out.fingerprint.append(fingerprint)
        out.type.append(kind)
        out.message.append(message)
        out.line.append(line)
        out.stack.append(stacks.get(stack, ""))
        out.trace_id.append(unpacked_hex(trace_id))
    return out
