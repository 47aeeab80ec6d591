"""psycopg2 (≥ 2.9): statements, COPY, calls of procedures, commits, connections.

Its classes are C and allow no change: a connection is of a subclass of the factory that was asked for, its cursors
likewise. Cursors with a name stay on the server and have the rows that were fetched.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.queries import ATTACHED, COMMIT, ERROR, OK, ROLLBACK, Driver, more, recording, timed_connect
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import POSTGRESQL

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from pitstop.instrument.queries import Reading

DRIVER = Driver("postgresql", POSTGRESQL)

_classes: dict[Any, Any] = {}  # of the host and their recorded subclasses


def recorded_cursor(kind: Any) -> Any:
    """The recorded subclass of a cursor class; of psycopg2's own for None."""
    if kind is None:
        import psycopg2.extensions  # noqa: PLC0415  the host has it

        kind = psycopg2.extensions.cursor
    return _recorded(kind, _recorded_cursor)


def _recorded(kind: Any, extend: Callable[[Any], Any]) -> Any:
    known = _classes.get(kind)
    if known is None:
        known = _classes[kind] = kind if kind in _classes.values() else extend(kind)
        known.__name__, known.__qualname__, known.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return known


def _run(cursor: Any, text: Any, run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """``run(cursor, …)``, recorded as `text`."""
    if get_current() is None and not RECORDER.on:
        return run(cursor, *args, **kwargs)
    start_ns = perf_counter_ns()
    try:
        result = run(cursor, *args, **kwargs)
    except BaseException:
        DRIVER.filed(text, ERROR, start_ns, 0, cursor)
        raise
    reading = DRIVER.filed(text, OK, start_ns, cursor.rowcount if cursor.name is None else 0, cursor)
    cursor._pitstop = reading if cursor.name is not None else None  # noqa: SLF001  ours
    return result


def _recorded_cursor(kind: Any) -> Any:  # noqa: C901  its methods are short
    class Recorded(kind):  # type: ignore[misc]  # whichever class the host uses
        _pitstop: Reading | None = None

        def execute(self, query: Any, vars: Any = None) -> Any:  # noqa: A002  psycopg2's name for it
            return _run(self, query, kind.execute, query, vars)

        def executemany(self, query: Any, vars_list: Any) -> Any:
            return _run(self, query, kind.executemany, query, vars_list)

        def callproc(self, procname: Any, *args: Any) -> Any:
            name = f"SELECT * FROM {procname}(?)"  # noqa: S608  a name, not run
            return _run(self, name, kind.callproc, procname, *args)

        def copy_expert(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
            return _run(self, sql, kind.copy_expert, sql, *args, **kwargs)

        def copy_from(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
            return _run(self, f"COPY {table} FROM STDIN", kind.copy_from, file, table, *args, **kwargs)

        def copy_to(self, file: Any, table: Any, *args: Any, **kwargs: Any) -> Any:
            return _run(self, f"COPY {table} TO STDOUT", kind.copy_to, file, table, *args, **kwargs)

        def fetchone(self) -> Any:
            reading = self._pitstop
            if reading is None:
                return kind.fetchone(self)
            start_ns = perf_counter_ns()
            row = kind.fetchone(self)
            more(reading, row is not None, perf_counter_ns() - start_ns)
            return row

        def fetchmany(self, *args: Any, **kwargs: Any) -> Any:
            return self._read(kind.fetchmany, *args, **kwargs)

        def fetchall(self) -> Any:
            return self._read(kind.fetchall)

        def _read(self, fetch: Any, *args: Any, **kwargs: Any) -> Any:
            reading = self._pitstop
            if reading is None:
                return fetch(self, *args, **kwargs)
            start_ns = perf_counter_ns()
            rows = fetch(self, *args, **kwargs)
            more(reading, len(rows), perf_counter_ns() - start_ns)
            return rows

        def __next__(self) -> Any:
            row = kind.__next__(self)
            if self._pitstop is not None:
                more(self._pitstop, 1, 0)
            return row

    return Recorded


def _recorded_connection(kind: Any) -> Any:
    class Recorded(kind):  # type: ignore[misc]  # whichever class the host uses
        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            if len(args) > 1:  # name, cursor_factory
                args = (args[0], recorded_cursor(args[1] or self.cursor_factory), *args[2:])
            else:
                kwargs["cursor_factory"] = recorded_cursor(kwargs.get("cursor_factory") or self.cursor_factory)
            return super().cursor(*args, **kwargs)

        def commit(self) -> None:
            self._end(super().commit, COMMIT)

        def rollback(self) -> None:
            self._end(super().rollback, ROLLBACK)

        def _end(self, end: Callable[[], Any], name: str) -> None:
            if self.closed or not self.info.transaction_status or not recording():  # 0: idle
                end()
                return
            start_ns = perf_counter_ns()
            try:
                end()
            except BaseException:
                DRIVER.named(name, ERROR, start_ns)
                raise
            DRIVER.named(name, OK, start_ns)

    return Recorded


def _connect(connect: Any) -> Any:
    timed = timed_connect(DRIVER, connect)

    def recorded(dsn: Any = None, connection_factory: Any = None, cursor_factory: Any = None, **kwargs: Any) -> Any:
        if connection_factory is None:
            import psycopg2.extensions  # noqa: PLC0415

            connection_factory = psycopg2.extensions.connection
        if isinstance(connection_factory, type):  # else a function: whatever it makes stays what it is
            connection_factory = _recorded(connection_factory, _recorded_connection)
        return timed(dsn, connection_factory, cursor_factory, **kwargs)

    return recorded


_POINTS: tuple[replacing.Point, ...] = (("", "connect", _connect),)


def attach(module: ModuleType) -> None:
    """Hook the package `psycopg2`."""
    replacing.attach(module, _POINTS)
    ATTACHED.add("psycopg2")


def detach(module: ModuleType) -> None:
    """Undo `attach`; connections that were made meanwhile stay recorded."""
    replacing.detach(module, _POINTS)
    ATTACHED.discard("psycopg2")
