"""Where did the requests' time go? Database, caches, outgoing calls, waiting, garbage collection, own code.

From series of kind ``part``, which hold the exclusive time of each request's parts, overlaps counted once. They are
sums of every request, not samples, so the parts of a route and its own code add up to what its requests took.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.analyze.stats import numbered_by, sums
from pitstop.analyze.trend import automatic_step_s, placed, steps
from pitstop.model import Match
from pitstop.model.series import CACHE, DB, GC, HTTP, HTTP_CLIENT, LOOP_WAIT, PART, POOL_WAIT, QUEUE, TEMPLATE

if TYPE_CHECKING:
    from pitstop.model import Rollups, Store, Window

OWN = "own"
PART_NAMES = (DB, CACHE, HTTP_CLIENT, TEMPLATE, QUEUE, GC, POOL_WAIT, LOOP_WAIT, OWN)
"""In the order that charts stack them; ``own`` is what no other part has."""


class BreakdownPart(NamedTuple):
    """One of PART_NAMES: its time in all requests and in the mean one, seconds; `ratio` is its share of their time.

    `requests` spent time there; for ``own``, all of them.
    """

    name: str
    requests: int
    total_s: float
    per_request_s: float
    ratio: float


class Breakdown(NamedTuple):
    """Where the time of one route's requests went, or of all (`route` None). Always every part, in fixed order.

    `total_s` and `mean_s` are what the requests took, seconds. No parts when there were no requests.
    """

    route: str | None
    requests: int
    total_s: float
    mean_s: float | None
    parts: tuple[BreakdownPart, ...]

    def seconds(self) -> dict[str, float | None]:
        """``db_s`` … ``own_s``: seconds per request, None when there were no requests."""
        found = {part.name: part.per_request_s for part in self.parts}
        return {f"{name}_s": found.get(name) for name in PART_NAMES}


class BreakdownTrend(NamedTuple):
    """Equal steps of `step_s` from `ts[0]`; None where there were no requests.

    `parts` has seconds per request of every one of PART_NAMES; they add up to `mean_s`.
    """

    window: Window
    route: str | None
    step_s: int
    ts: tuple[int, ...]
    requests: tuple[int | None, ...]
    mean_s: tuple[float | None, ...]
    parts: dict[str, tuple[float | None, ...]]


def breakdown(store: Store, window: Window, service: str | None = None, route: str | None = None) -> Breakdown:
    """Of `route`, or of all routes together."""
    requests = store.rollups(window, Match(service=service, kind=HTTP, name=route), hist=False)
    parts = store.rollups(window, Match(service=service, kind=PART, parent=route), hist=False)
    return added_up(breakdowns_of(requests, parts), route)


def breakdowns(store: Store, window: Window, service: str | None = None) -> dict[str, Breakdown]:
    """Of every route that was asked for in `window`, by route."""
    return breakdowns_of(
        store.rollups(window, Match(service=service, kind=HTTP), hist=False),
        store.rollups(window, Match(service=service, kind=PART), hist=False),
    )


def breakdowns_of(requests: Rollups, parts: Rollups) -> dict[str, Breakdown]:
    """Rows of kind `http` and of kind `part`, by route; parts of what is no route (tasks) are left out."""
    routes, groups = numbered_by(requests.series, attrgetter("name"))
    asked = sums(requests, groups, len(routes), failed=False)
    keys, groups = numbered_by(parts.series, attrgetter("parent", "name"))
    spent = sums(parts, groups, len(keys), failed=False)
    found = {
        key: (count, sum_ns)
        for key, count, sum_ns in zip(keys, spent.count.tolist(), spent.sum_ns.tolist(), strict=True)
    }
    return {
        route: _breakdown(route, count, sum_ns, [found.get((route, name), (0, 0)) for name in PART_NAMES[:-1]])
        for route, count, sum_ns in zip(routes, asked.count.tolist(), asked.sum_ns.tolist(), strict=True)
    }


def added_up(by_route: dict[str, Breakdown], route: str | None = None) -> Breakdown:
    """All of `by_route` as one."""
    if not by_route:
        return Breakdown(route, 0, 0.0, None, ())
    if len(by_route) == 1:
        return next(iter(by_route.values()))._replace(route=route)
    requests = sum(one.requests for one in by_route.values())
    total_s = sum(one.total_s for one in by_route.values())
    columns = zip(*(one.parts for one in by_route.values()), strict=True)
    parts = []
    for column in columns:
        part_s = sum(part.total_s for part in column)
        parts.append(
            BreakdownPart(
                column[0].name,
                sum(part.requests for part in column),
                part_s,
                part_s / requests,
                part_s / total_s if total_s else 0.0,
            )
        )
    return Breakdown(route, requests, total_s, total_s / requests, tuple(parts))


def breakdown_trend(
    store: Store, window: Window, service: str | None = None, route: str | None = None, step_s: int | None = None
) -> BreakdownTrend:
    """The course of one route's breakdown, or of all, over `window`; `step_s` None: chosen to fit a chart."""
    step = step_s or automatic_step_s(window)
    requests = store.rollups(window, Match(service=service, kind=HTTP, name=route), step_s=step, hist=False)
    parts = store.rollups(window, Match(service=service, kind=PART, parent=route), step_s=step, hist=False)
    return breakdown_trend_of(requests, parts, window, step, route)


def breakdown_trend_of(
    requests: Rollups, parts: Rollups, window: Window, step_s: int, route: str | None = None
) -> BreakdownTrend:
    """Rows of kind `http` and of kind `part`, by step."""
    ts = steps(window, step_s)
    asked = sums(requests, placed(requests, window, step_s), len(ts), failed=False)
    routes = {series.name for series in set(requests.series)}
    names, groups = numbered_by(parts.series, lambda series: series.name if series.parent in routes else "")
    spent = sums(parts, groups * len(ts) + placed(parts, window, step_s), len(names) * len(ts), failed=False)
    by_name = dict(zip(names, spent.sum_ns.reshape(len(names), len(ts)), strict=True))
    nothing = np.zeros(len(ts), dtype=np.int64)
    columns = [by_name.get(name, nothing) for name in PART_NAMES[:-1]]
    columns.append(np.maximum(asked.sum_ns - sum(columns, nothing), 0))
    some = asked.count > 0
    divisor = np.where(some, asked.count, 1) * 1e9

    def per_request(sum_ns: np.ndarray) -> tuple[float | None, ...]:
        return tuple(v if known else None for v, known in zip((sum_ns / divisor).tolist(), some.tolist(), strict=True))

    return BreakdownTrend(
        window=window,
        route=route,
        step_s=step_s,
        ts=tuple(ts),
        requests=tuple(count or None for count in asked.count.tolist()),
        mean_s=per_request(asked.sum_ns),
        parts={name: per_request(column) for name, column in zip(PART_NAMES, columns, strict=True)},
    )


def _breakdown(route: str, requests: int, sum_ns: int, spent: list[tuple[int, int]]) -> Breakdown:
    own_ns = max(0, sum_ns - sum(part_ns for _, part_ns in spent))
    parts = tuple(
        BreakdownPart(
            name,
            count,
            part_ns / 1e9,
            part_ns / 1e9 / requests,
            part_ns / sum_ns if sum_ns else 0.0,
        )
        for name, (count, part_ns) in zip(PART_NAMES, [*spent, (requests, own_ns)], strict=True)
    )
    return Breakdown(route, requests, sum_ns / 1e9, sum_ns / 1e9 / requests, parts)
