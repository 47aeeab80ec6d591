"""What does one route do: its percentiles, its statuses, and when its first byte left."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.severity import Severity, severity
from pitstop.analyze.stats import NO_DATA, Stats, is_error, numbered_by, stats_by_group
from pitstop.model import Match
from pitstop.model.series import HTTP, STAGE

if TYPE_CHECKING:
    from pitstop.model import Rollups, Store, Window

FIRST_BYTE = "first byte"  # the stage that the adapters record for streamed bodies: model/series.py


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The requests of a route that ended with one status; `ratio` is their share of the route's requests."""

    status: str
    stats: Stats
    ratio: float
    is_error: bool


@dataclass(frozen=True, slots=True)
class RouteDetail:
    """One route over one window; all of it empty when nobody asked for it. `first_byte` None: nothing was streamed."""

    route: str
    window: Window
    stats: Stats
    severity: Severity
    statuses: tuple[StatusRow, ...]
    first_byte: Stats | None


def route_detail(store: Store, window: Window, service: str | None, route: str) -> RouteDetail:
    """The figures of `route` over `window`, its statuses in numeric order."""
    requests = store.rollups(window, Match(service=service, kind=HTTP, name=route))
    stages = store.rollups(window, Match(service=service, kind=STAGE, name=FIRST_BYTE, parent=route))
    statuses = _statuses(requests, window.duration_s)
    stats = _all(requests, window.duration_s)
    return RouteDetail(
        route=route,
        window=window,
        stats=stats,
        severity=severity(stats.p95_s),
        statuses=statuses,
        first_byte=_all(stages, window.duration_s) if len(stages) else None,
    )


def _all(rollups: Rollups, duration_s: float) -> Stats:
    if not len(rollups):
        return NO_DATA
    return stats_by_group(rollups, np.zeros(len(rollups), dtype=np.int64), 1, duration_s)[0]


def _statuses(requests: Rollups, duration_s: float) -> tuple[StatusRow, ...]:
    names, groups = numbered_by(requests.series, attrgetter("outcome"))
    stats = stats_by_group(requests, groups, len(names), duration_s)
    count = sum(requests.count)
    rows = [
        StatusRow(status=name, stats=one, ratio=one.requests / count if count else 0.0, is_error=is_error(name))
        for name, one in zip(names, stats, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: row.status))
