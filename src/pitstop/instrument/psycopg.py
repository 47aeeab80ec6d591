"""psycopg 3 (≥ 3.1), sync and async: statements, COPY, server-side cursors, commits, connections, its pool's waits.

Its classes are Python: what is there already is recorded, too. In pipeline mode the rows of a statement are not known
when it is sent, and are 0.
"""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager, contextmanager
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.queries import (
    ATTACHED,
    ERROR,
    OK,
    Driver,
    Readings,
    recording,
    timed_connect,
    timed_connect_async,
    timed_pool,
    timed_pool_async,
)
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator
    from types import ModuleType

DRIVER = Driver("postgresql", POSTGRESQL)
_OWN = "__pitstop_original__"  # on our `connect`: psycopg's
_readings = Readings()


def _execute(execute: Any) -> Any:
    """For `execute` and `executemany` of the sync cursors."""

    def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if get_current() is None and not RECORDER.on:
            return execute(self, query, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = execute(self, query, *args, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0, self)
            raise
        DRIVER.filed(query, OK, start_ns, self.rowcount, self)
        return result

    return recorded


def _execute_async(execute: Any) -> Any:
    async def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if get_current() is None and not RECORDER.on:
            return await execute(self, query, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = await execute(self, query, *args, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0, self)
            raise
        DRIVER.filed(query, OK, start_ns, self.rowcount, self)
        return result

    return recorded


def _declare(declare: Any) -> Any:
    """For the generator in which a server-side cursor, sync or async, declares its statement."""

    def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        start_ns = perf_counter_ns()
        try:
            result = yield from declare(self, query, *args, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0, self)
            raise
        _readings.keep(self, DRIVER.filed(query, OK, start_ns, 0, self))
        return result

    return recorded


def _fetch(fetch: Any) -> Any:
    """For the one in which it fetches."""

    def recorded(self: Any, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        start_ns = perf_counter_ns()
        rows = yield from fetch(self, *args, **kwargs)
        _readings.add(self, len(rows), perf_counter_ns() - start_ns)
        return rows

    return recorded


def _stream(stream: Any) -> Any:
    def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        start_ns, rows, outcome = perf_counter_ns(), 0, ERROR
        try:
            for row in stream(self, query, *args, **kwargs):
                rows += 1
                yield row
            outcome = OK
        except GeneratorExit:
            outcome = OK
            raise
        finally:
            DRIVER.filed(query, outcome, start_ns, rows, self)

    return recorded


def _stream_async(stream: Any) -> Any:
    async def recorded(self: Any, query: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        start_ns, rows, outcome = perf_counter_ns(), 0, ERROR
        try:
            async for row in stream(self, query, *args, **kwargs):
                rows += 1
                yield row
            outcome = OK
        except GeneratorExit:
            outcome = OK
            raise
        finally:
            DRIVER.filed(query, outcome, start_ns, rows, self)

    return recorded


def _copy(copy: Any) -> Any:
    @contextmanager
    def recorded(self: Any, statement: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        start_ns, outcome = perf_counter_ns(), ERROR
        try:
            with copy(self, statement, *args, **kwargs) as running:
                yield running
            outcome = OK
        finally:
            DRIVER.filed(statement, outcome, start_ns, self.rowcount if outcome is OK else 0, self)

    return recorded


def _copy_async(copy: Any) -> Any:
    @asynccontextmanager
    async def recorded(self: Any, statement: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        start_ns, outcome = perf_counter_ns(), ERROR
        try:
            async with copy(self, statement, *args, **kwargs) as running:
                yield running
            outcome = OK
        finally:
            DRIVER.filed(statement, outcome, start_ns, self.rowcount if outcome is OK else 0, self)

    return recorded


def _command(run: Any) -> Any:
    """For the generator of the commands that psycopg sends by itself: COMMIT, ROLLBACK, SAVEPOINT ….

    BEGIN goes with the first statement and is part of its time; CLOSE and DEALLOCATE have names that count up.
    """

    def recorded(self: Any, command: Any, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        if type(command) is not bytes or command.startswith(_UNTOLD) or not recording():
            return (yield from run(self, command, *args, **kwargs))
        start_ns = perf_counter_ns()
        try:
            result = yield from run(self, command, *args, **kwargs)
        except BaseException:
            DRIVER.filed(command, ERROR, start_ns, 0)
            raise
        DRIVER.filed(command, OK, start_ns, 0)
        return result

    return recorded


_UNTOLD = (b"BEGIN", b"CLOSE", b"DEALLOCATE")

_POINTS: tuple[replacing.Point, ...] = (
    ("Cursor", "execute", _execute),
    ("Cursor", "executemany", _execute),
    ("Cursor", "stream", _stream),
    ("Cursor", "copy", _copy),
    ("AsyncCursor", "execute", _execute_async),
    ("AsyncCursor", "executemany", _execute_async),
    ("AsyncCursor", "stream", _stream_async),
    ("AsyncCursor", "copy", _copy_async),
)
_SERVER_POINTS: tuple[replacing.Point, ...] = (
    ("ServerCursorMixin", "_declare_gen", _declare),
    ("ServerCursorMixin", "_fetch_gen", _fetch),
)
_CONNECTION_POINTS: tuple[replacing.Point, ...] = (("BaseConnection", "_exec_command", _command),)
_POOL_POINTS: tuple[replacing.Point, ...] = (
    ("ConnectionPool", "getconn", timed_pool),
    ("AsyncConnectionPool", "getconn", timed_pool_async),
)


def _places(module: Any) -> list[tuple[Any, tuple[replacing.Point, ...]]]:
    from psycopg import _connection_base  # noqa: PLC0415  the host has it

    server = module.ServerCursor.__mro__[1]
    return [(module, _POINTS), (_module_of(server), _SERVER_POINTS), (_connection_base, _CONNECTION_POINTS)]


def _module_of(kind: Any) -> Any:
    import sys  # noqa: PLC0415

    return sys.modules[kind.__module__]


def attach(module: ModuleType) -> None:
    """Hook `module`, one of ``psycopg`` and ``psycopg_pool``."""
    if module.__name__ == "psycopg_pool":
        replacing.attach(module, _POOL_POINTS)
        return
    for owner, points in _places(module):
        replacing.attach(owner, points)
    host: Any = module
    _hook_connect(host.Connection, timed_connect)
    _hook_connect(host.AsyncConnection, timed_connect_async)
    host.connect = host.Connection.connect
    ATTACHED.add("psycopg")


def detach(module: ModuleType) -> None:
    """Undo `attach`."""
    if module.__name__ == "psycopg_pool":
        replacing.detach(module, _POOL_POINTS)
        return
    for owner, points in _places(module):
        replacing.detach(owner, points)
    host: Any = module
    for kind in (host.Connection, host.AsyncConnection):
        own = getattr(vars(kind)["connect"], _OWN, None)
        if own is not None:
            kind.connect = own
    host.connect = host.Connection.connect
    ATTACHED.discard("psycopg")


def _hook_connect(kind: Any, timed: Any) -> None:
    """Record the class method `connect` of `kind`, which its subclasses inherit."""
    own = vars(kind)["connect"]
    if hasattr(own, _OWN):
        return
    replacement = classmethod(functools.wraps(own.__func__)(timed(DRIVER, own.__func__)))
    setattr(replacement, _OWN, own)
    kind.connect = replacement
