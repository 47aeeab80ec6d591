"""sqlite3 of the standard library, and aiosqlite (≥ 0.19) above it.

A connection is of a subclass of the factory that was asked for, its cursors likewise: the C classes allow no change.
SQLite works while rows are read, so the time and the rows of a statement grow with each fetch. What a ``for`` loop over
a cursor reads is counted and, beyond the first row, not timed. Connections of Pitstop's own stores are left alone.
"""

from __future__ import annotations

import sqlite3
import sys
from contextvars import copy_context
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.queries import (
    ATTACHED,
    CALLER,
    COMMIT,
    ERROR,
    OK,
    ROLLBACK,
    Driver,
    more,
    recording,
)
from pitstop.record.caller import line_attrs
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from pitstop.instrument.queries import Reading

DRIVER = Driver("sqlite", SQLITE)
_OURS = ("pitstop.store", "pitstop.dashboard")
_END = object()

_cursors: dict[Any, Any] = {}  # classes and their recorded subclasses
_connections: dict[Any, Any] = {}


def recorded_cursor(kind: Any) -> Any:
    """The recorded subclass of a cursor class."""
    known = _cursors.get(kind)
    if known is None:
        known = _cursors[kind] = kind if kind in _cursors.values() else _recorded_cursor(kind)
    return known


def _recorded_cursor(kind: Any) -> Any:  # noqa: C901  its methods are short
    execute, fetchall, fetchmany, fetchone = kind.execute, kind.fetchall, kind.fetchmany, kind.fetchone

    class Recorded(kind):  # type: ignore[misc]  # whichever class the host uses
        __slots__ = ("_pitstop",)  # where the statement was filed; a cursor has no dict, and making one takes time
        _pitstop: Reading | None

        def execute(self, sql: Any, /, *args: Any) -> Any:
            if get_current() is None and not RECORDER.on:
                self._pitstop = None
                return execute(self, sql, *args)
            start_ns = perf_counter_ns()
            try:
                result = execute(self, sql, *args)
            except BaseException:
                self._pitstop = None
                DRIVER.filed(sql, ERROR, start_ns, 0)
                raise
            reading = DRIVER.filed(sql, OK, start_ns, self.rowcount)
            self._pitstop = None if self.description is None else reading
            return result

        def executemany(self, sql: Any, /, *args: Any) -> Any:
            return self._run(kind.executemany, sql, *args)

        def executescript(self, sql: Any, /) -> Any:
            return self._run(kind.executescript, sql)

        def _run(self, run: Any, sql: Any, *args: Any) -> Any:
            self._pitstop = None
            if not recording():
                return run(self, sql, *args)
            start_ns = perf_counter_ns()
            try:
                result = run(self, sql, *args)
            except BaseException:
                DRIVER.filed(sql, ERROR, start_ns, 0)
                raise
            DRIVER.filed(sql, OK, start_ns, self.rowcount)
            return result

        def fetchall(self) -> Any:
            try:
                reading = self._pitstop
            except AttributeError:  # nothing was executed
                reading = None
            if reading is None:
                return fetchall(self)
            start_ns = perf_counter_ns()
            rows = fetchall(self)
            more(reading, len(rows), perf_counter_ns() - start_ns)
            return rows

        def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
            reading = getattr(self, "_pitstop", None)
            if reading is None:
                return fetchmany(self, *args, **kwargs)
            start_ns = perf_counter_ns()
            rows = fetchmany(self, *args, **kwargs)
            more(reading, len(rows), perf_counter_ns() - start_ns)
            return rows

        def fetchone(self) -> Any:
            reading = getattr(self, "_pitstop", None)
            if reading is None:
                return fetchone(self)
            start_ns = perf_counter_ns()
            row = fetchone(self)
            more(reading, row is not None, perf_counter_ns() - start_ns)
            return row

        def __iter__(self) -> Iterator[Any]:
            reading = getattr(self, "_pitstop", None)
            return super().__iter__() if reading is None else _counted(partial(next, self, _END), reading)

    return _as(kind, Recorded)


def _counted(take: Callable[[], Any], reading: Reading) -> Iterator[Any]:
    rows = 0
    try:
        for row in iter(take, _END):
            rows += 1
            yield row
    finally:
        more(reading, rows, 0)


def _as(kind: Any, recorded: Any) -> Any:
    """`recorded` looks like the class it extends."""
    recorded.__name__, recorded.__qualname__, recorded.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    recorded.__doc__ = kind.__doc__
    return recorded


def recorded_connection(kind: Any) -> Any:
    """The recorded subclass of a connection class."""
    known = _connections.get(kind)
    if known is None:
        known = _connections[kind] = _recorded_connection(kind)
    return known


def _recorded_connection(kind: Any) -> Any:  # noqa: C901
    cursor, usual = kind.cursor, recorded_cursor(sqlite3.Cursor)

    class Recorded(kind):  # type: ignore[misc]  # whichever class the host uses
        def cursor(self, factory: Any = None) -> Any:
            if factory is None:
                return cursor(self, usual)
            if isinstance(factory, type) and issubclass(factory, sqlite3.Cursor):
                factory = recorded_cursor(factory)
            return cursor(self, factory)

        def execute(self, sql: Any, /, *args: Any) -> Any:
            return self.cursor().execute(sql, *args)

        def executemany(self, sql: Any, /, *args: Any) -> Any:
            return self.cursor().executemany(sql, *args)

        def executescript(self, sql: Any, /) -> Any:
            return self.cursor().executescript(sql)

        def commit(self) -> None:
            self._end(super().commit, COMMIT)

        def rollback(self) -> None:
            self._end(super().rollback, ROLLBACK)

        def __exit__(self, *exc_info: object) -> Any:
            end = partial(super().__exit__, *exc_info)
            return self._end(end, COMMIT if exc_info[0] is None else ROLLBACK)

        def _end(self, end: Callable[[], Any], name: str) -> Any:
            if not self.in_transaction or not recording():
                return end()
            start_ns = perf_counter_ns()
            try:
                result = end()
            except BaseException:
                DRIVER.named(name, ERROR, start_ns)
                raise
            DRIVER.named(name, OK, start_ns)
            return result

    return _as(kind, Recorded)


def _connect(connect: Any) -> Any:
    """For ``sqlite3.connect``."""

    def recorded(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_globals.get("__name__", "").startswith(_OURS):  # noqa: SLF001  our own are not the host's
            return connect(*args, **kwargs)
        if len(args) > _FACTORY_AT:  # positional, which Python 3.15 ends
            factory = args[_FACTORY_AT]
            args = (*args[:_FACTORY_AT], _recorded_factory(factory), *args[_FACTORY_AT + 1 :])
        else:
            kwargs["factory"] = _recorded_factory(kwargs.get("factory") or sqlite3.Connection)
        if not recording():
            return connect(*args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            connection = connect(*args, **kwargs)
        except BaseException:
            DRIVER.connected(ERROR, start_ns)
            raise
        DRIVER.connected(OK, start_ns)
        return connection

    return recorded


_FACTORY_AT = 5


def _recorded_factory(factory: Any) -> Any:
    if isinstance(factory, type) and issubclass(factory, sqlite3.Connection):
        return recorded_connection(factory)
    return factory  # a function: whatever it makes stays what it is


def _in_callers_context(execute: Any) -> Any:
    """For ``aiosqlite.Connection._execute``: its thread works for the operation that waits for it."""

    def attached(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        if get_current() is None:
            return execute(self, function, *args, **kwargs)
        context = copy_context()
        context.run(CALLER.set, line_attrs(DRIVER.attrs))
        return execute(self, context.run, function, *args, **kwargs)

    return attached


_POINTS: tuple[replacing.Point, ...] = (("", "connect", _connect),)
_AIO_POINTS: tuple[replacing.Point, ...] = (("Connection", "_execute", _in_callers_context),)


def attach(module: ModuleType) -> None:
    """Hook `module`, one of ``sqlite3``, ``sqlite3.dbapi2`` and ``aiosqlite.core``."""
    if module.__name__.startswith("aiosqlite"):
        replacing.attach(module, _AIO_POINTS)
        return
    for each in (module, sqlite3.dbapi2, sqlite3):
        replacing.attach(each, _POINTS)
    ATTACHED.add("sqlite3")


def detach(module: ModuleType) -> None:
    """Undo `attach`; connections that were made meanwhile stay recorded."""
    if module.__name__.startswith("aiosqlite"):
        replacing.detach(module, _AIO_POINTS)
        return
    for each in (module, sqlite3.dbapi2, sqlite3):
        replacing.detach(each, _POINTS)
    ATTACHED.discard("sqlite3")
