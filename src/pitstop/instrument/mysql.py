"""PyMySQL (≥ 1.0) and mysqlclient (≥ 2.1), for MySQL and MariaDB: statements, procedures, commits, connections.

Their classes are Python: what is there already is recorded, too. Both send `executemany` as statements of their own,
and those are recorded. Unbuffered cursors do not know how many rows there are; theirs are 0.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.queries import ATTACHED, COMMIT, ERROR, OK, ROLLBACK, Driver, recording
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import MYSQL

if TYPE_CHECKING:
    from types import ModuleType

DRIVER = Driver("mysql", MYSQL)
_UNKNOWN_ROWS = 1 << 63  # and above: the library's unsigned −1


def _rows(cursor: Any) -> int:
    rows: int = cursor.rowcount
    return rows if rows < _UNKNOWN_ROWS else 0


def _execute(execute: Any) -> Any:
    def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if get_current() is None and not RECORDER.on:
            return execute(self, query, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = execute(self, query, *args, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0)
            raise
        DRIVER.filed(query, OK, start_ns, _rows(self))
        return result

    return recorded


def _callproc(callproc: Any) -> Any:
    def recorded(self: Any, procname: Any, *args: Any, **kwargs: Any) -> Any:
        if not recording():
            return callproc(self, procname, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = callproc(self, procname, *args, **kwargs)
        except BaseException:
            DRIVER.filed(f"CALL {procname}(?)", ERROR, start_ns, 0)
            raise
        DRIVER.filed(f"CALL {procname}(?)", OK, start_ns, _rows(self))
        return result

    return recorded


def _named(name: str) -> Any:
    """For `commit` and `rollback`: a round trip each time, whether or not there is a transaction."""

    def wrap(end: Any) -> Any:
        def recorded(self: Any, *args: Any) -> Any:
            if not recording():
                return end(self, *args)
            start_ns = perf_counter_ns()
            try:
                result = end(self, *args)
            except BaseException:
                DRIVER.named(name, ERROR, start_ns)
                raise
            DRIVER.named(name, OK, start_ns)
            return result

        return recorded

    return wrap


def _connect(connect: Any) -> Any:
    """For `Connection.connect` of PyMySQL and `Connection.__init__` of mysqlclient."""

    def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not recording():
            return connect(self, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = connect(self, *args, **kwargs)
        except BaseException:
            DRIVER.connected(ERROR, start_ns)
            raise
        DRIVER.connected(OK, start_ns)
        return result

    return recorded


def _places(module: Any) -> list[tuple[Any, str, Any]]:
    from importlib import import_module  # noqa: PLC0415

    connection = import_module(f"{module.__name__}.connections").Connection
    of_pymysql = module.__name__ == "pymysql"
    cursor = getattr(import_module(f"{module.__name__}.cursors"), "Cursor" if of_pymysql else "BaseCursor")
    return [
        (cursor, "execute", _execute),
        (cursor, "callproc", _callproc),
        (connection, "commit", _named(COMMIT)),
        (connection, "rollback", _named(ROLLBACK)),
        (connection, "connect" if of_pymysql else "__init__", _connect),
    ]


def attach(module: ModuleType) -> None:
    """Hook `module`, one of ``pymysql`` and ``MySQLdb``."""
    for owner, name, wrap in _places(module):
        replacing.replace(owner, name, wrap)
    ATTACHED.add(module.__name__)


def detach(module: ModuleType) -> None:
    """Undo `attach`."""
    for owner, name, _ in _places(module):
        replacing.undo(owner, name)
    ATTACHED.discard(module.__name__)
