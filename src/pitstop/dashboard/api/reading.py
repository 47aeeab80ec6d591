"""What can be asked. Durations are seconds, ratios 0 … 1, times Unix seconds, UTC; null is "no data", never zero."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from pitstop import analyze
from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api.answers import (
    HealthOut,
    HeatmapOut,
    OverviewOut,
    RouteDetailOut,
    RuntimeOut,
    ServiceOut,
    TrendOut,
    VerdictOut,
)
from pitstop.dashboard.api.shapes import Problem, RouteOut, RoutesOut, StorageOut
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.pages.routes import ORDERS, ordered
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import SettingError

router = APIRouter(
    dependencies=[Depends(api_reader)],
    responses={code: {"model": Problem} for code in (401, 404, 422, 503)},
)
RouteName = Annotated[str | None, Query(max_length=LONGEST_NAME, description="method and template; all when left out")]
MOST_STEPS = 2000


@router.get("/overview")
def overview(request: Request, view: Viewed) -> OverviewOut:
    """The figures of one service, or of all."""
    return OverviewOut.model_validate(desk_of(request).answers.overview(view).now)


@router.get("/health")
def health(request: Request, view: Viewed) -> HealthOut:
    """The score, its letter and its parts."""
    return HealthOut.model_validate(desk_of(request).answers.overview(view).health)


@router.get("/verdict")
def verdict(request: Request, view: Viewed) -> VerdictOut:
    """What stands out, in a sentence or two, against the span compared with."""
    return VerdictOut.model_validate(desk_of(request).answers.overview(view).verdict)


@router.get("/routes")
def routes(
    request: Request,
    view: Viewed,
    limit: Annotated[int, Query(ge=1, le=5000)] = 100,
    sort: str = "time",
    route: RouteName = None,
) -> RoutesOut:
    """The routes that take most of the users' time first, or sorted by a column, the largest first."""
    if sort not in ORDERS:
        raise SettingError(f"sort='{sort[:40]}' is none of {', '.join(ORDERS)}")
    rows = desk_of(request).answers.routes(view).rows
    rows = [row for row in rows if route is None or row.route == route]
    chosen = ordered(rows, sort, descending=sort != "route")[:limit]
    return RoutesOut(window=view.window, total=len(rows), routes=[RouteOut.of(row) for row in chosen])


@router.get("/routes/detail")
def route_detail(
    request: Request, view: Viewed, route: Annotated[str, Query(max_length=LONGEST_NAME)]
) -> RouteDetailOut:
    """One route: percentiles, statuses, first byte."""
    return RouteDetailOut.model_validate(desk_of(request).answers.route(view, route).detail)


@router.get("/routes/trend")
def trend(
    request: Request, view: Viewed, route: RouteName = None, step: Annotated[int | None, Query(ge=1)] = None
) -> TrendOut:
    """The course of one route, or of all; `step` in seconds, chosen to fit a chart when left out."""
    _check_step(view.window.duration_s, step)
    return TrendOut.model_validate(analyze.trend(desk_of(request).store, view.window, view.service, route, step))


@router.get("/heatmap")
def heatmap(
    request: Request, view: Viewed, route: RouteName = None, step: Annotated[int | None, Query(ge=1)] = None
) -> HeatmapOut:
    """How many requests took how long, step by step."""
    _check_step(view.window.duration_s, step)
    return HeatmapOut.model_validate(analyze.heatmap(desk_of(request).store, view.window, view.service, route, step))


@router.get("/runtime")
def runtime(request: Request, view: Viewed) -> RuntimeOut:
    """Gauges of every worker."""
    return RuntimeOut.model_validate(desk_of(request).answers.runtime(view))


@router.get("/storage")
def storage(request: Request) -> StorageOut:
    """Size, tables and their ranges, log, lease."""
    return StorageOut.model_validate(desk_of(request).answers.size(), from_attributes=True)


@router.get("/services")
def services(request: Request, view: Viewed) -> list[ServiceOut]:
    """Every service that is kept, the busiest first."""
    rows = analyze.services(desk_of(request).store, view.window)
    return [ServiceOut.model_validate(row) for row in rows]


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request) -> dict[str, Any]:
    """The contract of this API."""
    document: dict[str, Any] = request.app.openapi()
    return document


def _check_step(duration_s: int, step_s: int | None) -> None:
    if step_s is not None and duration_s // step_s > MOST_STEPS:
        raise SettingError(
            f"step={step_s} cuts {duration_s} s into {duration_s // step_s} steps, at most {MOST_STEPS}: "
            f"take {-(-duration_s // MOST_STEPS)} or more"
        )
