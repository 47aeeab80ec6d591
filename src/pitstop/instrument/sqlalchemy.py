"""SQLAlchemy (≥ 2.0, 2.1 too), sync and async, ORM and Core: what only it knows.

Waits for a connection of its pools and transactions from begin to end; statements are recorded by their driver, and
here where the driver has no integration (`pitstop.instrument.queries.ATTACHED`). Hooked on its classes, so engines and
connections that are there already are recorded, too.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.queries import ATTACHED, COMMIT, ERROR, OK, ROLLBACK, Driver, recording, waited
from pitstop.model.series import TRANSACTION
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import ANY, MYSQL, POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

_BEGUN = "_pitstop_begun_ns"  # on a Connection
_PACKAGES = {  # by the name that a dialect gives its driver
    "pysqlite": "sqlite3",
    "aiosqlite": "sqlite3",
    "psycopg": "psycopg",
    "psycopg_async": "psycopg",
    "psycopg2": "psycopg2",
    "asyncpg": "asyncpg",
    "pymysql": "pymysql",
    "mysqldb": "MySQLdb",
}
_DIALECTS = {"postgresql": POSTGRESQL, "mysql": MYSQL, "mariadb": MYSQL, "sqlite": SQLITE}

_makers: dict[Any, Callable[..., Any]] = {}
_drivers: dict[str, Driver] = {}


def _begin(begin: Any) -> Any:
    """For ``Connection._begin_impl``."""

    def begun(self: Any, *args: Any) -> Any:
        if get_current() is not None or RECORDER.on:
            self.__dict__[_BEGUN] = perf_counter_ns()
        return begin(self, *args)

    return begun


def _end(outcome: str) -> Callable[[Any], Any]:
    """For ``Connection._commit_impl`` and ``_rollback_impl``."""

    def wrap(end: Any) -> Any:
        def ended(self: Any, *args: Any) -> Any:
            begun_ns = self.__dict__.pop(_BEGUN, None)
            if begun_ns is None:
                return end(self, *args)
            try:
                result = end(self, *args)
            except BaseException:
                leaf(TRANSACTION, TRANSACTION, ERROR, begun_ns, perf_counter_ns())
                raise
            leaf(TRANSACTION, TRANSACTION, outcome, begun_ns, perf_counter_ns())
            return result

        return ended

    return wrap


def _get(get: Any) -> Any:
    """For the `get` of the pools' queues: a wait where there is none and one may be waited for."""

    def got(self: Any, block: bool = True, timeout: float | None = None) -> Any:
        if not block or not _is_empty(self) or not recording():
            return get(self, block, timeout)
        start_ns = perf_counter_ns()
        try:
            connection = get(self, block, timeout)
        except BaseException:
            waited(ERROR, start_ns)
            raise
        waited(OK, start_ns)
        return connection

    return got


def _is_empty(queue: Any) -> bool:
    waiting = getattr(queue, "_queue", None)  # of the async ones
    return waiting.empty() if waiting is not None else not queue._qsize()  # noqa: SLF001  `empty` would take the lock


def _cursor(cursor: Any) -> Any:
    """For ``_ConnectionFairy.cursor``, by which statements get their cursor."""

    def made(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self.dbapi_connection
        make = _makers.get(type(connection))
        if make is None:
            make = _makers[type(connection)] = _maker(type(connection), self._pool._dialect)  # noqa: SLF001
        if args or kwargs or connection is None:
            return cursor(self, *args, **kwargs)
        return make(connection)

    return made


def _maker(kind: Any, dialect: Any) -> Callable[..., Any]:
    """What makes a recorded cursor on a connection of class `kind`."""
    try:
        driver = str(getattr(dialect, "driver", ""))
        if _PACKAGES.get(driver) not in ATTACHED:
            _hook_dialect(type(dialect))
        else:
            plain = _PLAIN.get(f"{kind.__module__}.{kind.__qualname__}")
            if plain is not None:
                return plain(kind)
    except Exception:  # noqa: BLE001  the host goes on
        fault("sqlalchemy.cursor")
    make: Callable[..., Any] = kind.cursor
    return make


def _plain_sqlite(kind: Any) -> Callable[..., Any]:
    """Of a connection that was made before sqlite3 was hooked, or that is ours and asked for cursors directly."""
    module: Any = sys.modules["pitstop.instrument.sqlite"]
    usual, cursor = module.recorded_cursor(module.sqlite3.Cursor), kind.cursor
    return lambda connection: cursor(connection, usual)


def _plain_psycopg2(kind: Any) -> Callable[..., Any]:
    module: Any = sys.modules["pitstop.instrument.psycopg2"]
    cursor = kind.cursor

    def make(connection: Any) -> Any:
        return cursor(connection, cursor_factory=module.recorded_cursor(connection.cursor_factory))

    return make


_PLAIN: dict[str, Callable[[Any], Callable[..., Any]]] = {
    "sqlite3.Connection": _plain_sqlite,
    "psycopg2.extensions.connection": _plain_psycopg2,
}


def _hook_dialect(kind: Any) -> None:
    """Record the statements of a dialect whose driver has no integration."""
    for name in _DO:
        replacing.replace(kind, name, _do)
    if kind not in _hooked:
        _hooked.append(kind)


def _do(execute: Any) -> Any:
    """For `do_execute`, `do_executemany` and `do_execute_no_params` of a dialect."""

    def done(self: Any, cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        if _PACKAGES.get(self.driver) in ATTACHED or not recording():
            return execute(self, cursor, statement, *args, **kwargs)
        driver = _drivers.get(self.name) or _drivers.setdefault(
            self.name, Driver(self.name, _DIALECTS.get(self.name, ANY))
        )
        start_ns = perf_counter_ns()
        try:
            result = execute(self, cursor, statement, *args, **kwargs)
        except BaseException:
            driver.filed(statement, ERROR, start_ns, 0)
            raise
        rows = getattr(cursor, "rowcount", 0)
        driver.filed(statement, OK, start_ns, rows if isinstance(rows, int) else 0)
        return result

    return done


_DO = ("do_execute", "do_executemany", "do_execute_no_params")
_hooked: list[Any] = []

_POINTS: tuple[tuple[str, tuple[replacing.Point, ...]], ...] = (
    (
        "sqlalchemy.engine.base",
        (
            ("Connection", "_begin_impl", _begin),
            ("Connection", "_commit_impl", _end(COMMIT.lower())),
            ("Connection", "_rollback_impl", _end(ROLLBACK.lower())),
        ),
    ),
    ("sqlalchemy.util.queue", (("Queue", "get", _get), ("AsyncAdaptedQueue", "get", _get))),
    ("sqlalchemy.pool.base", (("_ConnectionFairy", "cursor", _cursor),)),
)


def attach(_: ModuleType) -> None:
    """Hook the package `sqlalchemy`, which has been imported whole."""
    for name, points in _POINTS:
        replacing.attach(sys.modules[name], points)


def detach(_: ModuleType) -> None:
    """Undo `attach`."""
    for name, points in _POINTS:
        replacing.detach(sys.modules[name], points)
    for kind in _hooked:
        for name in _DO:
            replacing.undo(kind, name)
    _hooked.clear()
    _makers.clear()
