"""Pools that count what they do and fit their server, and the report that they make of it.

Twenty connections are kept and forty more opened under load (`SIZE`, `OVERFLOW`). With several workers that may be more
than the server takes; then each worker gets its share, found out with its first connection.
"""

from __future__ import annotations

import weakref
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import AsyncAdaptedQueuePool, QueuePool

from pitstop.model.tuned import POOL_REPORT, PoolBody
from pitstop.record.operation import reset_current, set_current
from pitstop.record.recorder import NOBODY
from pitstop.record.reports import Report, add_reporter
from pitstop.tune.database.limits import Fit, fit, server_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

SIZE = 20
OVERFLOW = 40

_MADE = "pitstop_made"  # on a pool's entry: it has had a connection before


class Counts:
    """What a pool has done since the worker started; additions of two threads at a time may count once."""

    def __init__(self) -> None:
        self.opened = self.recycled = self.waits = self.timeouts = 0
        self.waited_ns = 0  # the longest since the last report
        self.disposed = False  # and no connection was needed since


class _Counting(QueuePool):
    """A queue pool that knows its waits and can be resized while it is used."""

    counts: Counts

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.counts = Counts()

    def recreate(self) -> QueuePool:
        """The pool after `Engine.dispose`: it counts on."""
        made = super().recreate()
        made.counts = self.counts  # type: ignore[attr-defined]  # it is of this class
        self.counts.disposed = True
        return made

    def _do_get(self) -> ConnectionPoolEntry:
        if self._max_overflow < 0 or self._overflow < self._max_overflow or self.checkedin():
            return super()._do_get()
        start_ns, counts = perf_counter_ns(), self.counts
        counts.waits += 1
        try:
            return super()._do_get()
        except PoolTimeoutError:
            counts.timeouts += 1
            raise
        finally:
            counts.waited_ns = max(counts.waited_ns, perf_counter_ns() - start_ns)

    def resize(self, size: int, overflow: int, recycle_s: int) -> None:
        """Keep `size` connections from now on and open `overflow` more; those that are open stay until given back."""
        with self._overflow_lock:
            self._overflow += self.size() - size
            self._max_overflow = overflow
            self._recycle = recycle_s
            self._pool.maxsize = size
            inner = self._pool.__dict__.get("_queue")  # asyncio's, once it is used
            if inner is not None:
                inner._maxsize = size  # noqa: SLF001  a queue of asyncio's cannot be resized otherwise


class CountingPool(_Counting):
    """For threads."""


class AsyncCountingPool(_Counting, AsyncAdaptedQueuePool):
    """For tasks."""


class Watched:
    """An engine whose pool is reported. Its first connection tells what the server takes."""

    def __init__(self, engine: Engine, *, workers: int | None, statement_timeout_s: float | None, pooled: bool) -> None:
        self._engine = weakref.ref(engine)
        self.name = _free_name(engine)
        self.workers = workers
        self.statement_timeout_s = statement_timeout_s
        self.pooled = pooled
        self.fit: Fit | None = None
        event.listen(engine, "connect", self._connected)
        _watched[engine] = self

    def _connected(self, connection: Any, entry: ConnectionPoolEntry) -> None:
        engine = self._engine()
        pool = engine.pool if engine is not None else None
        if engine is None or not isinstance(pool, _Counting):
            return
        pool.counts.disposed = False
        pool.counts.opened += 1
        known = entry.record_info
        if known is not None:
            pool.counts.recycled += _MADE in known
            known[_MADE] = True
        if self.fit is None and engine.dialect.name == "sqlite":
            advice = "a file has no limit of connections; its writers take turns"
            self.fit = Fit(pool.size(), pool._max_overflow, pool._recycle, None, advice)  # noqa: SLF001  ours
        elif self.fit is None:
            token = set_current(NOBODY)  # no work of the request that happens to come first
            limit, idle_s = server_limit(connection, engine.dialect.name)
            reset_current(token)
            self.fit = fit(
                pool.size(), pool._max_overflow, pool._recycle,  # noqa: SLF001  of a class of ours
                limit=None if self.pooled else limit, workers=self.workers, idle_s=idle_s,
            )  # fmt: skip
            if self.pooled:
                self.fit = self.fit._replace(
                    advice="behind a pooler in transaction mode, which shares the server's connections"
                )
            pool.resize(self.fit.size, self.fit.overflow, self.fit.recycle_s)

    def is_in_use(self) -> bool:
        """Whether the engine is there and was not disposed of for good."""
        engine = self._engine()
        pool = engine.pool if engine is not None else None
        return isinstance(pool, _Counting) and not pool.counts.disposed

    def body(self) -> PoolBody | None:
        """How the pool stands now; None where the engine is gone or has no such pool."""
        engine = self._engine()
        pool = engine.pool if engine is not None else None
        if engine is None or not isinstance(pool, _Counting):
            return None
        counts, found = pool.counts, self.fit
        waited_ns, counts.waited_ns = counts.waited_ns, 0
        advice = found.advice if found is not None else "no connection was needed yet"
        if counts.timeouts:
            advice = f"{counts.timeouts} callers got no connection in time: hold them shorter, or allow more. {advice}"
        return PoolBody(
            dialect=engine.dialect.name,
            size=pool.size(),
            max_overflow=pool._max_overflow,  # noqa: SLF001  of a class of ours
            in_use=pool.checkedout(),
            idle=pool.checkedin(),
            opened=counts.opened,
            recycled=counts.recycled,
            waits=counts.waits,
            waited_s=waited_ns / 1e9,
            timeouts=counts.timeouts,
            recycle_s=pool._recycle,  # noqa: SLF001
            statement_timeout_s=self.statement_timeout_s,
            server_limit=found.limit if found is not None else None,
            workers=self.workers,
            advice=advice,
        )


_watched: weakref.WeakKeyDictionary[Engine, Watched] = weakref.WeakKeyDictionary()


def name_of(engine: Engine) -> str:
    """``postgresql://host/database``: without user, password and driver."""
    url = engine.url
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or ''}{port}/{url.database or ''}"


def _free_name(engine: Engine) -> str:
    """Engines of one database, such as a sync and an async one, are told apart by their drivers, then by numbers."""
    name = name_of(engine)
    taken = {watched.name for watched in list(_watched.values()) if watched.is_in_use()}
    if name in taken:
        name = f"{name} ({engine.dialect.driver})"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name} #{number}"
    return free


def watch(
    engine: Engine, *, workers: int | None = None, statement_timeout_s: float | None = None, pooled: bool = False
) -> Watched:
    """Count and report the pool of `engine` from now on."""
    add_reporter(_reports)
    return Watched(engine, workers=workers, statement_timeout_s=statement_timeout_s, pooled=pooled)


def is_pooled(engine: Engine) -> bool:
    """Whether an engine made by `create_engine` is behind a pooler in transaction mode."""
    watched = _watched.get(engine)
    return watched is not None and watched.pooled


def pool_report(engine: Engine | AsyncEngine) -> PoolBody | None:
    """How the pool of an engine made by `create_engine` stands now. The longest wait is forgotten by being told."""
    watched = _watched.get(engine if isinstance(engine, Engine) else engine.sync_engine)
    return watched.body() if watched is not None else None


def _reports() -> Iterator[Report]:
    for watched in list(_watched.values()):
        body = watched.body() if watched.is_in_use() else None
        if body is not None:
            yield Report(POOL_REPORT, watched.name, body)


def forget_parents_connections() -> None:
    """In a forked child: connections are the parent's; they are let go of without a word to the server."""
    for engine in list(_watched):
        engine.dispose(close=False)
