"""Whether there is always a connection, which statements take the time, how they are run, what should change."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard import tuning
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.storage import LOG_WARNING_BYTES
from pitstop.dashboard.render import page

router = APIRouter(dependencies=[Depends(page_reader)])

BUSY_RATIO = 0.8  # of what may be open: beyond, the next hill of traffic waits


@router.get("/database")
def database(request: Request, session: Reader, view: Viewed) -> Response:
    """The database page."""
    desk = desk_of(request)
    answer = desk.answers.ask(view, ("database",), lambda store: tuning.database(store, view))
    values = frame(request, session, view, current="database", title="Database", compares=False) | {
        "answer": answer,
        "to_do": sum(len(one.items) for one in answer.advice),
        "in_use": sum(pool.in_use for pool in answer.pools),
        "most": sum(pool.most for pool in answer.pools),
        "waited_s": max((pool.waited_s for pool in answer.pools), default=None),
        "timeouts": sum(pool.timeouts for pool in answer.pools),
        "busy_ratio": BUSY_RATIO,
        "size_of_store": desk.answers.size(),
        "log_warning_bytes": LOG_WARNING_BYTES,
        "poor": answer.poor[: tuning.FIRST_PLANS],
    }
    return page(request, "database.html", values)
