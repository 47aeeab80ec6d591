"""What can be asked about the inside of requests: statements, calls, traces, errors, where the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pitstop import analyze
from pitstop.dashboard import inside
from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api import inside_shapes as shapes
from pitstop.dashboard.api.export import csv_of, iso
from pitstop.dashboard.api.shapes import Problem
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.pages.traces import LONGEST_ID, Wanted
from pitstop.dashboard.view import LONGEST_NAME, LONGEST_STATEMENT

if TYPE_CHECKING:
    from pitstop.dashboard.view import View
    from pitstop.model import Store

router = APIRouter(
    dependencies=[Depends(api_reader)], responses={code: {"model": Problem} for code in (401, 404, 422, 503)}
)
RouteName = Annotated[str | None, Query(max_length=LONGEST_NAME, description="method and template; all when left out")]
Limit = Annotated[int, Query(ge=1, le=5000)]
MOST_IN_CSV = 5000


@router.get("/queries")
def queries(request: Request, view: Viewed, route: RouteName = None, limit: Limit = 100) -> shapes.QueriesOut:
    """The statements that take most of the database's time first, and those that requests repeat."""
    found = _queries(request, view, route)
    return shapes.QueriesOut(
        window=view.window,
        total=len(found.rows),
        queries=[shapes.QueryOut.of(row) for row in found.rows[:limit]],
        n_plus_one=[shapes.NPlusOneOut.of(row) for row in found.repeated],
    )


@router.get("/queries/detail")
def query(
    request: Request, view: Viewed, statement: Annotated[str, Query(max_length=LONGEST_STATEMENT)]
) -> shapes.QueryDetailOut:
    """One statement: percentiles, course, who runs it, from which code."""
    found = desk_of(request).answers.ask(view, ("query", statement), lambda store: inside.query(store, view, statement))
    assert found.detail.row is not None
    trend = found.detail.trend
    return shapes.QueryDetailOut(
        window=view.window,
        query=shapes.QueryOut.of(found.detail.row),
        n_plus_one=[shapes.NPlusOneOut.of(row) for row in found.repeated],
        lines=[shapes.CodeLineOut(**line._asdict()) for line in found.detail.lines],
        step_s=trend.step_s,
        ts=list(trend.ts),
        calls=list(trend.requests),
        mean_s=list(trend.mean_s),
        p95_s=list(trend.p95_s),
    )


@router.get("/calls")
def calls(request: Request, view: Viewed, route: RouteName = None) -> shapes.CallsOut:
    """Outgoing calls, caches and templates (of a route), what took most time first."""

    def ask(store: Store) -> shapes.CallsOut:
        where = (store, view.window, view.service, route or None)
        return shapes.CallsOut(
            window=view.window,
            http_client=[shapes.CallOut.of(row) for row in analyze.outgoing(*where)],
            cache=[shapes.CallOut.of(row) for row in analyze.caches(*where)],
            template=[shapes.CallOut.of(row) for row in analyze.templates(*where)],
        )

    return desk_of(request).answers.ask(view, ("calls", route), ask)


@router.get("/breakdown")
def breakdown(request: Request, view: Viewed, route: RouteName = None) -> shapes.BreakdownOut:
    """Where the time of requests goes, seconds a request, and over time."""

    def ask(store: Store) -> shapes.BreakdownOut:
        whole = analyze.breakdown(store, view.window, view.service, route or None)
        course = analyze.breakdown_trend(store, view.window, view.service, route or None)
        return shapes.BreakdownOut.of(whole.seconds(), course)

    return desk_of(request).answers.ask(view, ("breakdown", route), ask)


@router.get("/traces")
def traces(request: Request, view: Viewed, wanted: Wanted, limit: Limit = 100) -> shapes.TracesOut:
    """Kept requests, the newest (or slowest) first, and how long they took."""
    found = _traces(request, view, wanted, limit)
    histogram = found.histogram
    return shapes.TracesOut(
        window=view.window,
        traces=[shapes.TraceOut.of(row) for row in found.rows],
        histogram=shapes.HistogramOut(
            edges_s=list(histogram.edges_s),
            counts=list(histogram.counts),
            weights=list(histogram.weights),
            complete=histogram.complete,
        ),
    )


@router.get("/trace")
def trace(
    request: Request,
    id: Annotated[str, Query(max_length=LONGEST_ID)],  # noqa: A002  the name in the address
    view: Viewed,
) -> shapes.TraceTreeOut:
    """One trace with all its spans, in the order of a waterfall."""
    tree = desk_of(request).answers.ask(view, ("trace", id), lambda store: analyze.trace_tree(store, id))
    return shapes.TraceTreeOut.of(tree)


@router.get("/errors")
def errors(request: Request, view: Viewed, route: RouteName = None, limit: Limit = 100) -> shapes.ErrorsOut:
    """What requests died of, the most frequent first."""
    rows = _errors(request, view, route)
    return shapes.ErrorsOut(
        window=view.window, total=len(rows), errors=[shapes.ErrorOut.of(row) for row in rows[:limit]]
    )


@router.get("/queries.csv", response_class=Response)
def queries_csv(request: Request, view: Viewed, route: RouteName = None) -> Response:
    """Every statement."""
    names = [name for name in shapes.QueryOut.model_fields if name not in {"routes", "by_route"}]
    rows = ([*(getattr(row, name) for name in names), len(row.routes)] for row in _queries(request, view, route).rows)
    return csv_of("queries", [*names, "routes"], rows)


@router.get("/traces.csv", response_class=Response)
def traces_csv(request: Request, view: Viewed, wanted: Wanted) -> Response:
    """Kept requests."""
    names = ["trace_id", "service", "route", "duration_s", "outcome", "reason", "weight", "spans", "left_out"]
    found = _traces(request, view, wanted, MOST_IN_CSV)
    rows = ([iso(row.started_at), *(getattr(row, name) for name in names)] for row in found.rows)
    return csv_of("traces", ["time", *names], rows)


@router.get("/errors.csv", response_class=Response)
def errors_csv(request: Request, view: Viewed, route: RouteName = None) -> Response:
    """Every cause."""
    names = ["type", "service", "route", "line", "count", "message", "fingerprint", "trace_id"]
    rows = (
        [*(getattr(row, name) for name in names), iso(row.first_s), iso(row.last_s)]
        for row in _errors(request, view, route)
    )
    return csv_of("errors", [*names, "first", "last"], rows)


def _queries(request: Request, view: View, route: str | None) -> inside.QueriesAnswer:
    asked = route or None
    return desk_of(request).answers.ask(view, ("queries", asked), lambda store: inside.queries(store, view, asked))


def _traces(request: Request, view: View, wanted: inside.TracesWanted, limit: int) -> inside.TracesAnswer:
    return desk_of(request).answers.ask(
        view, ("traces", wanted, limit), lambda store: inside.traces(store, view, wanted, limit)
    )


def _errors(request: Request, view: View, route: str | None) -> list[analyze.ErrorRow]:
    asked = route or None
    return desk_of(request).answers.ask(
        view, ("errors", asked), lambda store: analyze.errors(store, view.window, view.service, asked)
    )
