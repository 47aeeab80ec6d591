"""Which routes take the time, and what one of them does."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze import compare
from pitstop.dashboard import charts, flame, inside
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.analyze import RouteRow

router = APIRouter(dependencies=[Depends(page_reader)])

BY_NAME = "route"
_FIGURES: dict[str, Callable[[RouteRow], float | None]] = {
    "time": lambda row: row.time_ratio,
    "requests": lambda row: row.stats.requests,
    "rate": lambda row: row.stats.rate_per_s,
    "mean": lambda row: row.stats.mean_s,
    "p50": lambda row: row.stats.p50_s,
    "p95": lambda row: row.stats.p95_s,
    "p99": lambda row: row.stats.p99_s,
    "max": lambda row: row.stats.max_s,
    "errors": lambda row: row.stats.error_ratio,
}
ORDERS = (BY_NAME, *_FIGURES)
"""What the table can be sorted by; `state` sorts as the P95 it is made of."""


@router.get("/routes")
def routes(
    request: Request,
    session: Reader,
    view: Viewed,
    sort: str = "time",
    order: str = "",
    q: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
) -> Response:
    """The table of all routes."""
    answer = desk_of(request).answers.routes(view)
    sort = sort if sort in ORDERS else "time"
    descending = order != "asc" if sort != BY_NAME else order == "desc"
    values = frame(request, session, view, current="routes", title="Routes") | {
        "rows": ordered(answer.rows, sort, descending=descending),
        "sparks": answer.sparks,
        "shares": {row.route: charts.shares(row.breakdown) for row in answer.rows},
        "sort": sort,
        "descending": descending,
        "search": q,
    }
    return page(request, "routes.html", values)


@router.get("/route")
def route(
    request: Request, session: Reader, view: Viewed, route: Annotated[str, Query(max_length=LONGEST_NAME)]
) -> Response:
    """One route."""
    values = frame(request, session, view, current="routes", title=route)
    try:
        answer = desk_of(request).answers.route(view, route)
    except NotFoundError as error:
        return page(request, "route_missing.html", values | {"route": route, "problem": str(error)}, status=404)
    found = desk_of(request).answers.ask(view, ("inside", route), lambda store: inside.route(store, view, route))
    return page(
        request,
        "route.html",
        values
        | {
            "route": route,
            "answer": answer,
            "stats": answer.detail.stats,
            "delta": compare(answer.detail.stats, answer.base.stats)
            if answer.base and answer.base.stats.requests
            else None,
            "charts": {
                "latency": charts.latency(answer.trend, answer.base_trend, view.baseline_name),
                "heatmap": charts.heat(answer.heatmap),
                "traffic": charts.traffic(answer.trend),
                "breakdown": charts.stack(found.course),
            },
            "found": found,
            "shares": charts.shares(found.breakdown),
            "island": {"flame": flame.flat(found.graph)} if found.graph.samples else {},
            "marks": charts.marks(answer.events),
        },
    )


def ordered(rows: list[RouteRow], sort: str, *, descending: bool) -> list[RouteRow]:
    """`rows` by one column, those without a value last either way, equals by name."""
    by_name = sorted(rows, key=lambda row: row.route)
    if sort == BY_NAME:
        return by_name[::-1] if descending else by_name
    figure_of = _FIGURES[sort]
    figures = [(figure, row) for row in by_name if (figure := figure_of(row)) is not None]
    figures.sort(key=itemgetter(0), reverse=descending)
    return [row for _, row in figures] + [row for row in by_name if figure_of(row) is None]
