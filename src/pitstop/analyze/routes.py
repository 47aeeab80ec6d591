"""The routes that take the users' time."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from pitstop.analyze.breakdown import breakdowns_of
from pitstop.analyze.severity import Severity, severity
from pitstop.analyze.stats import Stats, numbered_by, stats_by_group
from pitstop.model import Match
from pitstop.model.series import HTTP, PART

if TYPE_CHECKING:
    from pitstop.analyze.breakdown import Breakdown
    from pitstop.model import Rollups, Store, Window


@dataclass(frozen=True, slots=True)
class RouteRow:
    """One route over one window.

    `time_ratio` is its share of the time all users waited (requests × mean). `popularity` is its rank by requests,
    1 the most asked for; routes with equally many requests share a rank. `breakdown` None: parts were not asked for.
    """

    route: str
    stats: Stats
    severity: Severity
    time_ratio: float
    popularity: int
    breakdown: Breakdown | None = None


def routes(store: Store, window: Window, service: str | None = None) -> list[RouteRow]:
    """Every route that was asked for in `window`, the one that took most of the users' time first."""
    requests = store.rollups(window, Match(service=service, kind=HTTP))
    parts = store.rollups(window, Match(service=service, kind=PART), hist=False)
    return routes_of(requests, window.duration_s, parts)


def routes_of(requests: Rollups, duration_s: float, parts: Rollups | None = None) -> list[RouteRow]:
    """Rows of kind `http`, by route, with the breakdown from rows of kind `part`."""
    names, groups = numbered_by(requests.series, attrgetter("name"))
    stats = stats_by_group(requests, groups, len(names), duration_s)
    all_s = sum(one.total_s or 0.0 for one in stats)
    counts = sorted((one.requests for one in stats), reverse=True)
    rank: dict[int, int] = {}
    for position, count in enumerate(counts, 1):
        rank.setdefault(count, position)
    spent = {} if parts is None else breakdowns_of(requests, parts)
    rows = [
        RouteRow(
            route=name,
            stats=one,
            severity=severity(one.p95_s),
            time_ratio=(one.total_s or 0.0) / all_s if all_s else 0.0,
            popularity=rank[one.requests],
            breakdown=spent.get(name),
        )
        for name, one in zip(names, stats, strict=True)
    ]
    return sorted(rows, key=lambda row: (-(row.stats.total_s or 0.0), row.route))
