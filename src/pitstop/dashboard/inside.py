"""What the pages about the inside of requests show, from one store and one view: statements, traces, errors, stacks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop import analyze
from pitstop.analyze.breakdown import added_up, breakdown_trend_of, breakdowns_of
from pitstop.analyze.stats import numbered_by, sums
from pitstop.analyze.trend import steps
from pitstop.dashboard.view import WEEK_S
from pitstop.model import Match, NotFoundError
from pitstop.model.series import DB, ERROR, HTTP, PART
from pitstop.model.trace import FAILED, TraceMatch

if TYPE_CHECKING:
    from pitstop.dashboard.view import View
    from pitstop.model import Rollups, Store, Window
    from pitstop.model.columns import Profiles

MOST_TRACES = 200  # rows of the list; the address narrows it further
TRACES_OF_ONE = 10  # on the page of a route, statement or error
MOST_FRAMES_RATIO = 0.00002  # of the whole: narrower frames are added up; 1/20 of a pixel on any screen
MOST_FUNCTIONS = 60
MOST_SEARCHED = 1000  # failed traces looked through for one error's


@dataclass(frozen=True, slots=True)
class TracesWanted:
    """Which traces the address asks for; durations in seconds."""

    route: str | None = None
    reason: str | None = None
    outcome: str | None = None
    min_s: float | None = None
    max_s: float | None = None
    slowest: bool = False

    def match(self, service: str | None, *, durations: bool = True) -> TraceMatch:
        """The same as the store takes it; without `durations` for the histogram that they are chosen from."""
        return TraceMatch(
            service,
            self.route,
            self.reason,
            self.outcome,
            round(self.min_s * 1e9) if durations and self.min_s is not None else None,
            round(self.max_s * 1e9) if durations and self.max_s is not None else None,
        )


@dataclass(frozen=True, slots=True)
class TracesAnswer:
    """The list and its histogram, which leaves the chosen durations out."""

    rows: list[analyze.TraceRow]
    histogram: analyze.TraceHistogram
    outcomes: list[str]


@dataclass(frozen=True, slots=True)
class HeavyStatement:
    """A statement and its share of the database's time; without percentiles, which cost ten times as much to read."""

    statement: str
    calls: int
    mean_s: float
    time_ratio: float


@dataclass(frozen=True, slots=True)
class QueriesAnswer:
    """Every statement, and those that requests repeat."""

    rows: list[analyze.QueryRow]
    repeated: list[analyze.NPlusOneRow]


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """One statement, where it is repeated, and traces of the routes that run it."""

    detail: analyze.QueryDetail
    base: analyze.QueryRow | None
    repeated: list[analyze.NPlusOneRow]
    traces: list[analyze.TraceRow]


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """One cause, in all routes it was seen in; `ts`, `counts` and `step_s` are its course."""

    rows: list[analyze.ErrorRow]
    traces: list[analyze.TraceRow]
    ts: list[int]
    counts: list[int | None]
    step_s: int


@dataclass(frozen=True, slots=True)
class ProfileAnswer:
    """One mode of a route, or of all; `diff` when another span is compared with."""

    graph: analyze.FlameGraph
    diff: analyze.ProfileDiff | None
    functions: list[analyze.FunctionRow]
    routes: list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class RouteInside:
    """What a route's requests did."""

    breakdown: analyze.Breakdown
    course: analyze.BreakdownTrend
    queries: list[analyze.QueryRow]
    repeated: list[analyze.NPlusOneRow]
    outgoing: list[analyze.LeafRow]
    caches: list[analyze.CacheRow]
    templates: list[analyze.LeafRow]
    slowest: list[analyze.TraceRow]
    failed: list[analyze.TraceRow]
    errors: list[analyze.ErrorRow]
    graph: analyze.FlameGraph


def traces(store: Store, view: View, wanted: TracesWanted, limit: int = MOST_TRACES) -> TracesAnswer:
    """The list of kept traces."""
    rows = analyze.traces(
        store, view.window, view.service, wanted.match(view.service), limit=limit, slowest=wanted.slowest
    )
    whole = wanted.match(view.service, durations=False)
    return TracesAnswer(
        rows, analyze.trace_histogram(store, view.window, view.service, whole), sorted({row.outcome for row in rows})
    )


def heaviest(store: Store, view: View, most: int) -> list[HeavyStatement]:
    """The statements that take most of the database's time."""
    rows = store.rollups(view.window, Match(service=view.service, kind=DB), hist=False)
    names, groups = numbered_by(rows.series, lambda series: series.name)
    added = sums(rows, groups, len(names))
    whole_ns = int(added.sum_ns.sum()) or 1
    found = zip(names, added.count.tolist(), added.sum_ns.tolist(), strict=True)
    first = sorted(found, key=lambda one: (-one[2], one[0]))[:most]
    return [HeavyStatement(name, calls, ns / max(calls, 1) / 1e9, ns / whole_ns) for name, calls, ns in first]


def route_names(store: Store, view: View) -> list[str]:
    """The routes that were asked for, those that took most time first."""
    rows = store.rollups(view.window, Match(service=view.service, kind=HTTP), hist=False)
    names, groups = numbered_by(rows.series, lambda series: series.name)
    spent_ns = dict(zip(names, sums(rows, groups, len(names)).sum_ns.tolist(), strict=True))
    return sorted(names, key=lambda name: (-spent_ns[name], name))


def queries(store: Store, view: View, route: str | None) -> QueriesAnswer:
    """Every statement (of a route)."""
    return QueriesAnswer(
        analyze.queries(store, view.window, view.service, route),
        analyze.n_plus_one(store, view.window, view.service, route),
    )


def query(store: Store, view: View, statement: str) -> QueryAnswer:
    """One statement. Raises NotFoundError when it did not run."""
    detail = analyze.query(store, view.window, view.service, statement)
    if detail.row is None:
        raise NotFoundError("this statement did not run in this range; take a longer one")
    base = None
    if view.baseline is not None:
        base = analyze.query(store, view.baseline, view.service, statement).row
    found: list[analyze.TraceRow] = []
    for one in detail.row.routes[:3]:
        if one.route:
            match = TraceMatch(name=one.route)
            found += analyze.traces(store, view.window, view.service, match, limit=TRACES_OF_ONE, slowest=True)
    found.sort(key=lambda row: -row.duration_s)
    repeated = analyze.n_plus_one(store, view.window, view.service)
    return QueryAnswer(detail, base, [row for row in repeated if row.statement == statement], found[:TRACES_OF_ONE])


def error(store: Store, view: View, fingerprint: str) -> ErrorAnswer:
    """One cause. Raises NotFoundError when it was not seen."""
    rows = [row for row in analyze.errors(store, view.window, view.service) if row.fingerprint == fingerprint]
    if not rows:
        raise NotFoundError("this error was not seen in this range; take a longer one")
    step_s = analyze.automatic_step_s(view.window)
    seen = store.rollups(
        view.window, Match(service=view.service, kind=ERROR, name=fingerprint), step_s=step_s, hist=False
    )
    found = analyze.traces(store, view.window, view.service, TraceMatch(reason=FAILED), limit=MOST_SEARCHED)
    return ErrorAnswer(
        rows,
        [row for row in found if row.fingerprint == fingerprint][:TRACES_OF_ONE],
        *counts_of(seen, view.window, step_s),
        step_s,
    )


def counts_of(seen: Rollups, window: Window, step_s: int) -> tuple[list[int], list[int | None]]:
    """Starts of the steps, and how much was counted in each; None for a step without any."""
    ts = steps(window, step_s)
    counts: list[int | None] = [None] * len(ts)
    for at, count in zip(seen.ts, seen.count, strict=True):
        place = (at - ts[0]) // step_s
        if 0 <= place < len(ts):
            counts[place] = (counts[place] or 0) + count
    return list(ts), counts


def profile(store: Store, view: View, route: str | None, mode: str, against: str) -> ProfileAnswer:
    """The flame graph of a route, or of all; against the baseline, or against the route's own past."""
    found = store.profiles(view.window, service=view.service, mode=mode)
    by_route: dict[str, int] = {}
    for name, weight_ns in zip(found.route, found.weight_ns, strict=True):
        by_route[name] = by_route.get(name, 0) + weight_ns
    diff = None
    chosen = found if route is None else _of_route(found, route)
    before = against_window(view, against)
    if before is not None:
        was = store.profiles(before, service=view.service, route=route, mode=mode)
        diff = analyze.profile_diff(chosen, was, least_ratio=MOST_FRAMES_RATIO) if len(was) or len(chosen) else None
    return ProfileAnswer(
        graph=analyze.flame_graph(chosen, least_ratio=MOST_FRAMES_RATIO),
        diff=diff,
        functions=analyze.top_functions(chosen)[:MOST_FUNCTIONS],
        routes=sorted(((name, ns / 1e9) for name, ns in by_route.items()), key=lambda one: -one[1]),
    )


def against_window(view: View, against: str) -> Window | None:
    """The span that a profile is compared with."""
    if against == "previous":
        return view.window.before()
    return view.window.before(WEEK_S) if against == "week" else None


def _of_route(found: Profiles, route: str) -> Profiles:
    return found.chosen(i for i, name in enumerate(found.route) if name == route)


def route(store: Store, view: View, name: str) -> RouteInside:
    """What the requests of route `name` did."""
    window, service = view.window, view.service
    step_s = analyze.automatic_step_s(window)
    requests = store.rollups(window, Match(service=service, kind=HTTP, name=name), step_s=step_s, hist=False)
    parts = store.rollups(window, Match(service=service, kind=PART, parent=name), step_s=step_s, hist=False)
    slow = analyze.traces(store, window, service, TraceMatch(name=name), limit=TRACES_OF_ONE, slowest=True)
    failed = analyze.traces(store, window, service, TraceMatch(name=name, reason=FAILED), limit=TRACES_OF_ONE)
    return RouteInside(
        breakdown=added_up(breakdowns_of(requests, parts), name),
        course=breakdown_trend_of(requests, parts, window, step_s, name),
        queries=analyze.queries(store, window, service, name),
        repeated=analyze.n_plus_one(store, window, service, name),
        outgoing=analyze.outgoing(store, window, service, name),
        caches=analyze.caches(store, window, service, name),
        templates=analyze.templates(store, window, service, name),
        slowest=slow,
        failed=failed,
        errors=analyze.errors(store, window, service, name),
        graph=analyze.flame_graph(store.profiles(window, service=service, route=name, mode="wall"), least_ratio=0.002),
    )
