"""Is it fine, what changed, where: the page that opens first."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze import compare
from pitstop.analyze.breakdown import added_up
from pitstop.dashboard import charts
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.answers import FIRST_CAUSES, FIRST_ROUTES
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.watching import open_incidents

router = APIRouter(dependencies=[Depends(page_reader)])


@router.get("/")
def overview(request: Request, session: Reader, view: Viewed) -> Response:
    """The overview page."""
    desk = desk_of(request)
    answer = desk.answers.overview(view)
    slowest = answer.slowest
    values = frame(request, session, view, current="overview", title="Overview") | {
        "answer": answer,
        "opened": open_incidents(desk, view.service),
        "now_s": desk.clock.now_s(),
        "rows": answer.rows[:FIRST_ROUTES],
        "sparks": answer.sparks,
        "shares": {row.route: charts.shares(row.breakdown) for row in answer.rows},
        "all_shares": charts.shares(added_up({row.route: row.breakdown for row in answer.rows if row.breakdown})),
        "queries": answer.queries,
        "repeated": answer.repeated[:FIRST_CAUSES],
        "errors": answer.errors[:FIRST_CAUSES],
        "delta": compare(answer.now.stats, answer.base.stats) if answer.base else None,
        "slowest": slowest,
        "slowest_delta": compare(slowest.stats, answer.base_rows[slowest.route])
        if slowest and slowest.route in answer.base_rows
        else None,
        "charts": {
            "latency": charts.latency(answer.trend, answer.base_trend, view.baseline_name),
            "heatmap": charts.heat(answer.heatmap),
            "traffic": charts.traffic(answer.trend),
        },
        "marks": charts.marks(answer.events),
    }
    return page(request, "overview.html", values)
