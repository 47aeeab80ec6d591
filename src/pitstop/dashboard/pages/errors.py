"""What goes wrong, how often and where; and one cause with its stack."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop import analyze
from pitstop.dashboard import charts, inside
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import NotFoundError

router = APIRouter(dependencies=[Depends(page_reader)])

MOST_ROWS = 300


@router.get("/errors")
def errors(
    request: Request,
    session: Reader,
    view: Viewed,
    route: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    q: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
) -> Response:
    """The table of all causes."""
    route = route or None
    rows = desk_of(request).answers.ask(
        view, ("errors", route), lambda store: analyze.errors(store, view.window, view.service, route)
    )
    values = frame(request, session, view, current="errors", title="Errors", compares=False) | {
        "rows": rows[:MOST_ROWS],
        "total": len(rows),
        "seen": sum(row.count for row in rows),
        "route": route,
        "search": q,
    }
    return page(request, "errors.html", values)


@router.get("/error")
def error(
    request: Request, session: Reader, view: Viewed, fingerprint: Annotated[str, Query(max_length=LONGEST_NAME)]
) -> Response:
    """One cause."""
    desk = desk_of(request)
    values = frame(request, session, view, current="errors", title="Error", compares=False)
    try:
        answer = desk.answers.ask(view, ("error", fingerprint), lambda store: inside.error(store, view, fingerprint))
    except NotFoundError:
        return page(request, "error_missing.html", values, status=404)
    one = max(answer.rows, key=lambda row: (bool(row.stack), row.last_s))
    values |= {
        "title": one.type,
        "answer": answer,
        "one": one,
        "seen": sum(row.count for row in answer.rows),
        "charts": {"course": charts.counts(answer.ts, answer.counts, answer.step_s, "errors", "bad")},
        "marks": charts.marks(desk.answers.events(view)),
    }
    return page(request, "error.html", values)
