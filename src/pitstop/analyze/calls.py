"""What requests wait for besides the database: other services, caches, templates; and the tasks that run apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.leaves import LeafRow, RouteCalls, leaves, leaves_of
from pitstop.analyze.overview import CACHE_HIT, CACHE_MISS
from pitstop.analyze.stats import Stats, numbered_by, stats_by_group, sums
from pitstop.model import Match
from pitstop.model.series import CACHE, HTTP_CLIENT, TASK, TEMPLATE

if TYPE_CHECKING:
    from pitstop.model import Store, Window


class CacheRow(NamedTuple):
    """One region or command of a cache. `hit_ratio` is hits over lookups, None for what looks nothing up.

    `calls` are all of its calls, lookups among them; durations in seconds.
    """

    name: str
    calls: int
    hits: int
    misses: int
    hit_ratio: float | None
    errors: int
    total_s: float
    mean_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float
    time_ratio: float
    routes: tuple[RouteCalls, ...]


class TaskRow(NamedTuple):
    """One task that runs outside of requests. Its stats' errors are runs that failed."""

    name: str
    stats: Stats


def outgoing(store: Store, window: Window, service: str | None = None, route: str | None = None) -> list[LeafRow]:
    """Calls to other services by method and host, the one that took most time first.

    An error is a status of 500 or above, or no answer at all.
    """
    return leaves(store, window, HTTP_CLIENT, service, route=route)


def templates(store: Store, window: Window, service: str | None = None, route: str | None = None) -> list[LeafRow]:
    """Rendered templates, the one that took most time first."""
    return leaves(store, window, TEMPLATE, service, route=route)


def caches(store: Store, window: Window, service: str | None = None, route: str | None = None) -> list[CacheRow]:
    """Cache regions and commands, the one that took most time first."""
    found = store.rollups(window, Match(service=service, kind=CACHE, parent=route))
    keys, groups = numbered_by(found.series, lambda series: (series.name, series.outcome))
    counts = dict(zip(keys, sums(found, groups, len(keys)).count.tolist(), strict=True))
    return [
        _cache_row(row, counts.get((row.name, CACHE_HIT), 0), counts.get((row.name, CACHE_MISS), 0))
        for row in leaves_of(found, window.duration_s)
    ]


def _cache_row(row: LeafRow, hits: int, misses: int) -> CacheRow:
    return CacheRow(
        name=row.name,
        calls=row.calls,
        hits=hits,
        misses=misses,
        hit_ratio=hits / (hits + misses) if hits + misses else None,
        errors=row.errors,
        total_s=row.total_s,
        mean_s=row.mean_s,
        p50_s=row.p50_s,
        p95_s=row.p95_s,
        p99_s=row.p99_s,
        max_s=row.max_s,
        time_ratio=row.time_ratio,
        routes=row.routes,
    )


def tasks(store: Store, window: Window, service: str | None = None) -> list[TaskRow]:
    """Tasks of queues and background tasks, the one that took most time first."""
    found = store.rollups(window, Match(service=service, kind=TASK))
    names, groups = numbered_by(found.series, lambda series: series.name)
    stats = stats_by_group(found, groups, len(names), window.duration_s)
    rows = [TaskRow(name, one) for name, one in zip(names, stats, strict=True)]
    return sorted(rows, key=lambda row: (-(row.stats.total_s or 0.0), row.name))
