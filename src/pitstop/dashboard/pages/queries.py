"""Which statements take the database's time, who repeats them, and one of them from all sides."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop import analyze
from pitstop.analyze.units import cut_middle
from pitstop.dashboard import charts, inside
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.kinds import short_statement
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME, LONGEST_STATEMENT
from pitstop.model import NotFoundError

router = APIRouter(dependencies=[Depends(page_reader)])

MOST_ROWS = 300  # statements in the table; the CSV has all
Statement = Annotated[str, Query(max_length=LONGEST_STATEMENT)]
RouteName = Annotated[str | None, Query(max_length=LONGEST_NAME)]


@router.get("/queries")
def queries(
    request: Request,
    session: Reader,
    view: Viewed,
    route: RouteName = None,
    q: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
) -> Response:
    """The table of all statements."""
    route = route or None
    answer = desk_of(request).answers.ask(view, ("queries", route), lambda store: inside.queries(store, view, route))
    values = frame(request, session, view, current="queries", title="Queries", compares=False) | {
        "rows": answer.rows[:MOST_ROWS],
        "total": len(answer.rows),
        "repeated": answer.repeated,
        "route": route,
        "search": q,
    }
    return page(request, "queries.html", values)


@router.get("/query")
def query(request: Request, session: Reader, view: Viewed, statement: Statement) -> Response:
    """One statement."""
    desk = desk_of(request)
    values = frame(request, session, view, current="queries", title="Query") | {"statement": statement}
    try:
        answer = desk.answers.ask(view, ("query", statement), lambda store: inside.query(store, view, statement))
    except NotFoundError:
        return page(request, "query_missing.html", values, status=404)
    drawn = {
        "latency": charts.latency(answer.detail.trend, None, ""),
        "traffic": charts.traffic(answer.detail.trend),
    }
    taken = desk.answers.ask(view, ("plans of all",), lambda store: analyze.plans(store, int(desk.clock.now_s())))
    values |= {
        "plan": taken.get(statement),
        "title": cut_middle(short_statement(statement), 80),
        "answer": answer,
        "row": answer.detail.row,
        "charts": drawn,
    }
    return page(request, "query.html", values | {"marks": charts.marks(desk.answers.events(view))})
