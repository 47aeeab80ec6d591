"""asyncpg (≥ 0.28): statements, prepared ones, cursors, COPY, connections, its pool's waits.

Rows come from the server's command tag. Fetching a type's description and preparing a statement are not recorded.
"""

from __future__ import annotations

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
    timed_connect_async,
    timed_pool_async,
)
from pitstop.record.operation import get_current
from pitstop.record.recorder import RECORDER
from pitstop.record.statements import POSTGRESQL

if TYPE_CHECKING:
    from types import ModuleType

DRIVER = Driver("postgresql", POSTGRESQL)


def rows_of(status: Any, data: Any = None) -> int:
    """Rows by the command tag (``INSERT 0 5``, ``SELECT 3``), else by what came."""
    if status:
        last = (status if isinstance(status, str) else status.decode()).rpartition(" ")[2]
        if last.isdecimal():
            return int(last)
    return len(data) if data else 0


def _simple(execute: Any) -> Any:
    """For `Connection.execute`, which without arguments goes by itself."""

    async def recorded(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        if args or not recording():
            return await execute(self, query, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            status = await execute(self, query, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0)
            raise
        DRIVER.filed(query, OK, start_ns, rows_of(status))
        return status

    return recorded


def _extended(execute: Any) -> Any:
    """For `Connection._execute`, through which fetches and statements with arguments go."""

    async def recorded(self: Any, query: str, *args: Any, return_status: bool = False, **kwargs: Any) -> Any:
        if get_current() is None and not RECORDER.on:
            return await execute(self, query, *args, return_status=return_status, **kwargs)
        start_ns = perf_counter_ns()
        try:
            result = await execute(self, query, *args, return_status=True, **kwargs)
        except BaseException:
            DRIVER.filed(query, ERROR, start_ns, 0)
            raise
        data, status = result[0], result[1]
        DRIVER.filed(query, OK, start_ns, rows_of(status, data))
        return result if return_status else data

    return recorded


def _many(execute: Any) -> Any:
    """For `Connection._executemany`."""

    async def recorded(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        return await _run(query, execute, self, query, *args, **kwargs)

    return recorded


async def _run(text: str, execute: Any, *args: Any, **kwargs: Any) -> Any:
    """Await ``execute(…)``, recorded as `text` with the rows that it returns."""
    if not recording():
        return await execute(*args, **kwargs)
    start_ns = perf_counter_ns()
    try:
        result = await execute(*args, **kwargs)
    except BaseException:
        DRIVER.filed(text, ERROR, start_ns, 0)
        raise
    DRIVER.filed(text, OK, start_ns, rows_of(None, result) if isinstance(result, list) else 0)
    return result


def _prepared(execute: Any) -> Any:
    """For `PreparedStatement.__bind_execute`, through which its fetches go."""

    async def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        if get_current() is None and not RECORDER.on:
            return await execute(self, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            data = await execute(self, *args, **kwargs)
        except BaseException:
            DRIVER.filed(self._query, ERROR, start_ns, 0)
            raise
        DRIVER.filed(self._query, OK, start_ns, rows_of(self._last_status, data))
        return data

    return recorded


def _prepared_many(execute: Any) -> Any:
    async def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await _run(self._query, execute, self, *args, **kwargs)

    return recorded


def _bind(bind: Any) -> Any:
    """For the cursors' first step; `_more_of_cursor` adds what is fetched later."""

    async def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        start_ns = perf_counter_ns()
        try:
            data = await bind(self, *args, **kwargs)
        except BaseException:
            DRIVER.filed(self._query, ERROR, start_ns, 0)
            raise
        rows = len(data) if isinstance(data, list) else 0
        _readings.keep(self, DRIVER.filed(self._query, OK, start_ns, rows))
        return data

    return recorded


def _more_of_cursor(execute: Any) -> Any:
    async def recorded(self: Any, *args: Any, **kwargs: Any) -> Any:
        start_ns = perf_counter_ns()
        data = await execute(self, *args, **kwargs)
        _readings.add(self, len(data), perf_counter_ns() - start_ns)
        return data

    return recorded


def _copy(copy: Any) -> Any:
    """For `Connection._copy_in` and `_copy_out`."""

    async def recorded(self: Any, statement: str, *args: Any, **kwargs: Any) -> Any:
        if not recording():
            return await copy(self, statement, *args, **kwargs)
        start_ns = perf_counter_ns()
        try:
            status = await copy(self, statement, *args, **kwargs)
        except BaseException:
            DRIVER.filed(statement, ERROR, start_ns, 0)
            raise
        DRIVER.filed(statement, OK, start_ns, rows_of(status))
        return status

    return recorded


_readings = Readings()


def _copy_records(copy: Any) -> Any:
    """For `Connection.copy_records_to_table`, which makes its statement itself."""

    async def recorded(self: Any, table_name: str, **kwargs: Any) -> Any:
        if not recording():
            return await copy(self, table_name, **kwargs)
        schema, columns = kwargs.get("schema_name"), kwargs.get("columns")
        table = f'"{schema}"."{table_name}"' if schema else f'"{table_name}"'
        names = "({})".format(", ".join(f'"{name}"' for name in columns)) if columns else ""
        text = f"COPY {table}{names} FROM STDIN (FORMAT binary)"
        start_ns = perf_counter_ns()
        try:
            status = await copy(self, table_name, **kwargs)
        except BaseException:
            DRIVER.filed(text, ERROR, start_ns, 0)
            raise
        DRIVER.filed(text, OK, start_ns, rows_of(status))
        return status

    return recorded


def _connect(connect: Any) -> Any:
    return timed_connect_async(DRIVER, connect)


_POINTS: tuple[tuple[str, tuple[replacing.Point, ...]], ...] = (
    (
        "connection",
        (
            ("Connection", "execute", _simple),
            ("Connection", "_execute", _extended),
            ("Connection", "_executemany", _many),
            ("Connection", "_copy_in", _copy),
            ("Connection", "copy_records_to_table", _copy_records),
            ("Connection", "_copy_out", _copy),
            ("", "connect", _connect),
        ),
    ),
    (
        "prepared_stmt",
        (
            ("PreparedStatement", "_PreparedStatement__bind_execute", _prepared),
            ("PreparedStatement", "executemany", _prepared_many),
            ("PreparedStatement", "fetchmany", _prepared_many),
        ),
    ),
    (
        "cursor",
        (
            ("BaseCursor", "_bind_exec", _bind),
            ("BaseCursor", "_bind", _bind),
            ("BaseCursor", "_exec", _more_of_cursor),
        ),
    ),
    ("pool", (("Pool", "_acquire", timed_pool_async),)),
)


def attach(module: ModuleType) -> None:
    """Hook the package `asyncpg`."""
    host: Any = module
    for name, points in _POINTS:
        replacing.attach(getattr(host, name), points)
    host.connect = host.connection.connect
    ATTACHED.add("asyncpg")


def detach(module: ModuleType) -> None:
    """Undo `attach`."""
    host: Any = module
    for name, points in _POINTS:
        replacing.detach(getattr(host, name), points)
    host.connect = host.connection.connect
    ATTACHED.discard("asyncpg")
