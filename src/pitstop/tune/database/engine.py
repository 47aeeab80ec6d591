"""`create_engine`: SQLAlchemy's, with a pool, timeouts and a server side that a web service can live with.

    engine = create_engine("postgresql+psycopg://shop@db/shop")
    engine = create_async_engine("postgresql+asyncpg://…", tenant_timeouts_s={"big": 60})

What SQLAlchemy leaves at its defaults, and what stands here instead, with the reason: docs/tune-database.md.
"""

from __future__ import annotations

import os
import weakref
from time import perf_counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import create_async_engine as sqlalchemys_async
from sqlalchemy.pool import NullPool

from pitstop.model.errors import SettingError
from pitstop.record.operation import reset_current, set_current
from pitstop.record.recorder import NOBODY, RECORDER
from pitstop.tune.database import pool as pools
from pitstop.tune.database.clock import Clock
from pitstop.tune.database.connecting import Connecting, connect_arguments, prepare_connection
from pitstop.tune.database.limits import workers_of
from pitstop.tune.database.pooler import is_transaction_pooled
from pitstop.tune.database.slow import SlowStatements
from pitstop.tune.database.timeouts import DEFAULT_S, LONGEST_S, Timeouts, is_lent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import URL, Engine
    from sqlalchemy.pool import ConnectionPoolEntry

    from pitstop.tune.database.pooler import Pooler

RECYCLE_S = 3600
POOL_TIMEOUT_S = 10.0  # who waits longer for a connection has lost its caller: SQLAlchemy's 30 s outlast most clients
CONNECT_TIMEOUT_S = 10


def create_engine(
    url: str | URL,
    *,
    statement_timeout_s: float | None = DEFAULT_S,
    tenant_timeouts_s: Mapping[str, float] | None = None,
    workers: int | None = None,
    pooler: Pooler = "auto",
    slow_query_s: float | None = None,
    **options: Any,
) -> Engine:
    """An SQLAlchemy engine. `options` are SQLAlchemy's and win over everything that is chosen here.

    `statement_timeout_s`: a statement's deadline, None for none; `tenant_timeouts_s` of single tenants, 15 … 60 s.
    `workers`: processes that share the server; by default WEB_CONCURRENCY or ``--workers``. `pooler`: ``transaction``
    behind PgBouncer or Supabase in that mode, by default found by host and port. `slow_query_s`: from when on a
    statement's plan is taken, by default the setting of that name. Raises SettingError.
    """
    making = _Making(url, statement_timeout_s, tenant_timeouts_s, workers, pooler, slow_query_s, options)
    engine = sa.create_engine(making.url, **making.options(pools.CountingPool))
    making.attach(engine, lambda: sa.create_engine(making.url, **making.plain()))
    return engine


def create_async_engine(
    url: str | URL,
    *,
    statement_timeout_s: float | None = DEFAULT_S,
    tenant_timeouts_s: Mapping[str, float] | None = None,
    workers: int | None = None,
    pooler: Pooler = "auto",
    slow_query_s: float | None = None,
    **options: Any,
) -> AsyncEngine:
    """`create_engine` for asyncio."""
    making = _Making(url, statement_timeout_s, tenant_timeouts_s, workers, pooler, slow_query_s, options)
    engine = sqlalchemys_async(making.url, **making.options(pools.AsyncCountingPool))
    making.attach(engine.sync_engine, lambda: sqlalchemys_async(making.url, **making.plain()))
    return engine


class _Making:
    """What an engine is made of, sync or async alike."""

    def __init__(
        self,
        url: str | URL,
        statement_timeout_s: float | None,
        tenant_timeouts_s: Mapping[str, float] | None,
        workers: int | None,
        pooler: Pooler,
        slow_query_s: float | None,
        options: Mapping[str, Any],
    ) -> None:
        self.url = make_url(url)
        if statement_timeout_s is not None and not 0 < statement_timeout_s <= LONGEST_S:
            raise SettingError(f"statement_timeout_s = {statement_timeout_s} is outside 0 … {LONGEST_S:.0f} s")
        if workers is not None and workers < 1:
            raise SettingError(f"workers = {workers}; there is at least 1")
        self.dialect = self.url.get_backend_name()
        self.pooled = self.dialect == "postgresql" and is_transaction_pooled(self.url, pooler)
        self.workers = workers if workers is not None else workers_of()
        self.slow_query_s = slow_query_s
        self._given = dict(options)
        self._connecting = Connecting(
            self.dialect, self.url.get_driver_name(), CONNECT_TIMEOUT_S, statement_timeout_s, pooled=self.pooled
        )
        arguments = connect_arguments(self._connecting, self.url, self._given.pop("connect_args", {}))
        self._arguments = arguments.all
        session_s = statement_timeout_s if arguments.has_timeout else None
        self.timeouts = Timeouts(
            self.dialect, statement_timeout_s, tenant_timeouts_s or {}, session_s=session_s, pooled=self.pooled
        )

    def options(self, pool: type[Any]) -> dict[str, Any]:
        """For SQLAlchemy. A database in memory keeps the pool that SQLAlchemy has for it."""
        chosen: dict[str, Any] = {"connect_args": self._arguments}
        if not self._in_memory() and self._given.get("poolclass", pool) is pool and "creator" not in self._given:
            chosen |= {
                "poolclass": pool,
                "pool_size": pools.SIZE,
                "max_overflow": pools.OVERFLOW,
                "pool_timeout": POOL_TIMEOUT_S,
                "pool_recycle": RECYCLE_S,
                "pool_pre_ping": self.dialect != "sqlite",  # a file does not go away
                "pool_use_lifo": True,  # what is not needed any more grows old and is let go of
            }
        return chosen | self._given

    def plain(self) -> dict[str, Any]:
        """For a connection beside the pool."""
        kept = ("creator", "isolation_level", "execution_options", "echo", "module")
        return {"connect_args": self._arguments, "poolclass": NullPool} | {
            name: self._given[name] for name in kept if name in self._given
        }

    def attach(self, engine: Engine, again: Callable[[], Engine | AsyncEngine]) -> None:
        """Listen to what the engine does."""
        slow = SlowStatements(self.dialect, again, threshold_s=self.slow_query_s)
        if self._in_memory():
            slow = SlowStatements(self.dialect, again, threshold_s=float("inf"))  # nobody else sees that database
        prepares = self._connecting

        def connected(connection: Any, entry: ConnectionPoolEntry) -> None:
            token = set_current(NOBODY)  # no work of the host's
            try:
                prepare_connection(prepares, connection)
            finally:
                reset_current(token)
            if prepares.dialect == "sqlite":
                Clock(slow).install(connection, entry.info)

        event.listen(engine, "connect", connected)
        _listen(engine, self.timeouts, slow)
        pools.watch(engine, workers=self.workers, statement_timeout_s=self.timeouts.default_s, pooled=self.pooled)
        _slow.add(slow)

    def _in_memory(self) -> bool:
        return self.dialect == "sqlite" and (
            self.url.database in {None, "", ":memory:"} or "mode=memory" in str(self.url)
        )


def _listen(engine: Engine, timeouts: Timeouts, slow: SlowStatements) -> None:
    """By the dialect's events: those of connections cost each transaction 15 µs, whether they are of use or not."""

    def timed(run: Callable[[], None], statement: str, parameters: Any, context: Any) -> bool:
        timeouts.apply(context.root_connection, context)
        if not RECORDER.on:
            run()
            return True
        started_s = perf_counter()
        run()
        duration_s = perf_counter() - started_s
        if slow.is_slow(duration_s) and is_lent(context.root_connection):
            slow.offer(statement, parameters, duration_s)
        return True

    def execute(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        return timed(
            lambda: context.dialect.do_execute(cursor, statement, parameters, context), statement, parameters, context
        )

    def execute_bare(cursor: Any, statement: str, context: Any) -> bool:
        return timed(lambda: context.dialect.do_execute_no_params(cursor, statement, context), statement, None, context)

    def execute_many(_cursor: Any, _statement: str, _parameters: Any, context: Any) -> None:
        timeouts.apply(context.root_connection, context)

    event.listen(engine, "do_execute", execute)
    event.listen(engine, "do_execute_no_params", execute_bare)
    event.listen(engine, "do_executemany", execute_many)


_slow: weakref.WeakSet[SlowStatements] = weakref.WeakSet()


def _after_fork() -> None:
    pools.forget_parents_connections()
    for slow in list(_slow):
        slow.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
