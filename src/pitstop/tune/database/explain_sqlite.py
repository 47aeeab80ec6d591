"""Asking SQLite for a plan.

It cannot tell what the steps of a statement took: to analyze is to run it whole, and to time that.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.tune.database.clock import CLOCK, set_handler
from pitstop.tune.database.plan_sqlite import read_sqlite
from pitstop.tune.database.statement import calls_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from pitstop.model.tuned import PlanBody
    from pitstop.tune.database.question import Question

_DETERMINISTIC = 0x800  # SQLITE_DETERMINISTIC in the flags of pragma_function_list
_HARMFUL = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_PAIR = re.compile(  # a name and the one behind it, which may be the first of the next pair
    r'(?<![\w$])([^\W\d][\w$]*+)["`\]]?\s++(?=(?:as\s++)?["`\[]?([^\W\d][\w$]*+))', re.IGNORECASE
)


def explain_sqlite(question: Question, *, analyze: bool) -> PlanBody:
    """The plan; with `analyze` with the time that the whole statement took."""
    connection = question.connection
    with _read_only(connection), _deadline(connection, question.timeout_s):
        rows = [(int(r[0]), int(r[1]), int(r[2]), str(r[3])) for r in question.run("EXPLAIN QUERY PLAN ")]
        sizes = _sizes(connection)
        aliases = _aliases(question.pattern, sizes)
        if not analyze:
            return read_sqlite(rows, question.text, sizes, aliases=aliases)
        _must_be_harmless(question)
        start_ns = time.perf_counter_ns()
        given = len(question.run(""))
        duration_s = (time.perf_counter_ns() - start_ns) / 1e9
    return read_sqlite(rows, question.text, sizes, aliases=aliases, duration_s=duration_s, rows_given=given)


@contextmanager
def _read_only(connection: Connection) -> Iterator[None]:
    before = connection.exec_driver_sql("PRAGMA query_only").scalar()
    connection.exec_driver_sql("PRAGMA query_only = ON")
    try:
        yield
    finally:
        if not before:
            connection.exec_driver_sql("PRAGMA query_only = OFF")


@contextmanager
def _deadline(connection: Connection, timeout_s: float) -> Iterator[None]:
    """SQLite has none of its own: it asks every some instructions whether to go on."""
    deadline_s = time.monotonic() + timeout_s
    driver, clock = connection.connection.dbapi_connection, connection.info.get(CLOCK)
    set_handler(driver, lambda: time.monotonic() > deadline_s)
    try:
        yield
    finally:
        set_handler(driver, clock.look if clock is not None else None)


def _sizes(connection: Connection) -> dict[str, int]:
    """Rows of each table: as ANALYZE has counted them, else by the largest rowid, which is found at once."""
    tables = list(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())
    sizes: dict[str, int] = {}
    if "sqlite_stat1" in tables:
        for table, stat in connection.exec_driver_sql("SELECT tbl, stat FROM sqlite_stat1").all():
            with suppress(ValueError, IndexError):
                sizes[table] = max(sizes.get(table, 0), int(stat.split()[0]))
    for table in tables:
        if table not in sizes:
            quoted = table.replace('"', '""')
            with suppress(Exception):  # a table without rowids, or of a module that is not there
                rows = connection.exec_driver_sql(f'SELECT max(rowid) FROM "{quoted}"').scalar()  # noqa: S608  quoted
                sizes[table] = int(rows or 0)
    return sizes


def _aliases(pattern: str, tables: dict[str, int]) -> dict[str, str]:
    known = {table.lower(): table for table in tables}
    found: dict[str, str] = {}
    for match in _PAIR.finditer(pattern):
        table = known.get(match[1].lower())
        if table is not None:
            found.setdefault(match[2].lower(), table)
    return found


def _must_be_harmless(question: Question) -> None:
    called = calls_in(question.pattern)
    known = question.connection.exec_driver_sql("SELECT lower(name), flags FROM pragma_function_list WHERE NOT builtin")
    own = {name for name, flags in known.all() if not flags & _DETERMINISTIC}
    for name in sorted(called & (own | _HARMFUL)):
        raise SettingError(f"{name}() may do more than read, so the statement is not run; explain it instead")
