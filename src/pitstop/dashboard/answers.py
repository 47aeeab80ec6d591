"""What a page or an API call shows, asked of the store once however many ask.

Whole pages are kept for a second or a few, so that a hundred open tabs cost what one does.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from pitstop import analyze
from pitstop.dashboard import inside
from pitstop.dashboard.shared_read import SharedRead
from pitstop.model import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.dashboard.view import View
    from pitstop.model import Clock, Events, Store, StoreSize

T = TypeVar("T")

KEPT_S = ((3_600, 1.0), (86_400, 2.0))  # a window up to so long: its answers are kept so long, seconds
KEPT_LONG_S = 5.0  # … and of anything longer: five seconds of 7 days are 0.001 %
MOST_KEPT = 64
SPARK_POINTS = 40
FIRST_ROUTES = 8
FIRST_CAUSES = 4  # statements, repetitions and errors named on the overview
FEWEST_FOR_SLOWEST = 20  # requests: below, a P95 is one request's luck (analyze.compare.FEWEST_REQUESTS)


@dataclass(frozen=True, slots=True)
class OverviewAnswer:
    """Everything on the overview. `base…` are None when nothing is compared."""

    now: analyze.Overview
    base: analyze.Overview | None
    health: analyze.Health
    base_health: analyze.Health | None
    verdict: analyze.Verdict
    rows: list[analyze.RouteRow]
    base_rows: dict[str, analyze.Stats]
    slowest: analyze.RouteRow | None
    sparks: dict[str, analyze.Sparkline]
    trend: analyze.Trend
    base_trend: analyze.Trend | None
    heatmap: analyze.Heatmap
    events: Events
    queries: list[inside.HeavyStatement]
    repeated: list[analyze.NPlusOneRow]
    errors: list[analyze.ErrorRow]


@dataclass(frozen=True, slots=True)
class RoutesAnswer:
    """Every route with its line; `base_rows` holds the figures of the span compared with."""

    rows: list[analyze.RouteRow]
    base_rows: dict[str, analyze.Stats]
    sparks: dict[str, analyze.Sparkline]


@dataclass(frozen=True, slots=True)
class RouteAnswer:
    """Everything about one route."""

    detail: analyze.RouteDetail
    base: analyze.RouteDetail | None
    trend: analyze.Trend
    base_trend: analyze.Trend | None
    heatmap: analyze.Heatmap
    events: Events


def slowest_of(rows: list[analyze.RouteRow]) -> analyze.RouteRow | None:
    """The route with the highest P95 among those with enough requests to have one."""
    enough = [row for row in rows if row.stats.requests >= FEWEST_FOR_SLOWEST]
    return max(enough, key=lambda row: row.stats.p95_s or 0.0, default=None)


class Answers:
    """Answers from one store, kept for a moment. Safe from any thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[object, ...], _Kept] = OrderedDict()

    def overview(self, view: View) -> OverviewAnswer:
        """The overview page."""
        return self.once(("overview", *_key(view)), _kept_s(view), lambda: self._overview(view))

    def routes(self, view: View) -> RoutesAnswer:
        """The routes page."""
        return self.once(("routes", *_key(view)), _kept_s(view), lambda: self._routes(view))

    def route(self, view: View, route: str) -> RouteAnswer:
        """The page of one route. Raises NotFoundError for one that was not asked for in the window."""
        return self.once(("route", route, *_key(view)), _kept_s(view), lambda: self._route(view, route))

    def ask(self, view: View, key: tuple[object, ...], question: Callable[[Store], T]) -> T:
        """What `question` answers, kept under `key` for this view."""
        return self.once((*key, *_key(view)), _kept_s(view), lambda: question(self._store))

    def runtime(self, view: View) -> analyze.Runtime:
        """Gauges of every worker."""
        return self.once(
            ("runtime", *_key(view)), _kept_s(view), lambda: analyze.runtime(self._store, view.window, view.service)
        )

    def events(self, view: View) -> Events:
        """Deploys, starts and the like in the window."""
        return self.once(
            ("events", *_key(view)), _kept_s(view), lambda: self._store.events(view.window, service=view.service)
        )

    def services(self) -> list[str]:
        """The names of all services."""
        return self.once(("services",), 2.0, self._store.services)

    def size(self) -> StoreSize:
        """What the store takes."""
        return self.once(("size",), 1.0, self._store.size)

    def forget(self) -> None:
        """Something was changed: answer afresh."""
        with self._lock:
            self._kept.clear()

    def _overview(self, view: View) -> OverviewAnswer:
        store, window, service = self._store, view.window, view.service
        step_s = analyze.automatic_step_s(window)
        read = SharedRead(store, window, service, step_s)
        course, totals = read.course(), read.totals()  # in this order: they are decoded at once
        now = analyze.overview(totals, window, service)
        rows = read.route_rows(parts=True)
        shown = {row.route for row in rows[:FIRST_ROUTES]}
        slowest = slowest_of(rows)
        base = base_rows = base_trend = None
        if view.baseline is not None:
            base_read = SharedRead(store, view.baseline, service, step_s)
            base_course, base_totals = base_read.course(), base_read.totals()
            base = analyze.overview(base_totals, view.baseline, service)
            base_rows = base_read.route_rows(parts=False)
            base_trend = analyze.trend(base_course, view.baseline, service, step_s=step_s)
        return OverviewAnswer(
            now=now,
            base=base,
            health=analyze.health_of(now),
            base_health=analyze.health_of(base) if base and base.stats.requests else None,
            verdict=analyze.verdict_of(rows, base_rows or []),
            rows=rows,
            base_rows={row.route: row.stats for row in base_rows or []},
            slowest=slowest,
            sparks=analyze.sparklines(
                read.routes(shown | ({slowest.route} if slowest else set())), window, service, SPARK_POINTS
            ),
            trend=analyze.trend(course, window, service, step_s=step_s),
            base_trend=base_trend,
            heatmap=analyze.heatmap(course, window, service, step_s=step_s),
            events=store.events(window, service=service),
            queries=inside.heaviest(store, view, FIRST_CAUSES),
            repeated=analyze.n_plus_one(totals, window, service),
            errors=analyze.errors(store, window, service),
        )

    def _routes(self, view: View) -> RoutesAnswer:
        window, service = view.window, view.service
        step_s = analyze.automatic_step_s(window)  # divides the step of the lines, which is never finer
        read = SharedRead(self._store, window, service, step_s)
        base: list[analyze.RouteRow] = []
        if view.baseline is not None:
            base_read = SharedRead(self._store, view.baseline, service, None)
            base = base_read.route_rows(parts=False)
        return RoutesAnswer(
            rows=read.route_rows(parts=True),
            base_rows={row.route: row.stats for row in base},
            sparks=analyze.sparklines(read.routes(), window, service, SPARK_POINTS),
        )

    def _route(self, view: View, route: str) -> RouteAnswer:
        store, window, service = self._store, view.window, view.service
        step_s = analyze.automatic_step_s(window)
        read = SharedRead(store, window, service, step_s, route).routes()
        base = base_trend = None
        if view.baseline is not None:
            base_read = SharedRead(store, view.baseline, service, step_s, route).routes()
            base = analyze.route_detail(base_read, view.baseline, service, route)
            base_trend = analyze.trend(base_read, view.baseline, service, route, step_s)
        detail = analyze.route_detail(read, window, service, route)
        if not detail.stats.requests and not (base and base.stats.requests):
            raise NotFoundError(
                f"nobody asked for '{route[:200]}' from {window.start_s} to {window.end_s}; take a longer range"
            )
        return RouteAnswer(
            detail=detail,
            base=base,
            trend=analyze.trend(read, window, service, route, step_s),
            base_trend=base_trend,
            heatmap=analyze.heatmap(read, window, service, route, step_s),
            events=store.events(window, service=service),
        )

    def once(self, key: tuple[object, ...], kept_s: float, ask: Callable[[], T]) -> T:
        """What `ask` answers, asked by one thread at a time for each `key` and kept for `kept_s`."""
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        with kept.lock:
            now_s = self._clock.monotonic_ns() / 1e9
            if now_s >= kept.until_s:
                kept.value = ask()
                kept.until_s = self._clock.monotonic_ns() / 1e9 + kept_s
            return cast("T", kept.value)


class _Kept:
    __slots__ = ("lock", "until_s", "value")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.until_s = float("-inf")
        self.value: object = None


def _key(view: View) -> tuple[object, ...]:
    """A range that is named moves with time and is one key all along; one picked by hand is itself."""
    return (view.service, view.last or view.window, view.compare)


def _kept_s(view: View) -> float:
    return next((kept_s for upto_s, kept_s in KEPT_S if view.window.duration_s <= upto_s), KEPT_LONG_S)
