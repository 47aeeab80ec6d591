"""What is kept, since when, how large it is, and throwing away what is old."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page

router = APIRouter(dependencies=[Depends(page_reader)])

LOG_WARNING_BYTES = 10_000_000  # R15: a checkpoint is due


@router.get("/storage")
def storage(request: Request, session: Reader, view: Viewed) -> Response:
    """The storage page."""
    desk = desk_of(request)
    size = desk.answers.size()
    now_s = int(desk.clock.now_s())
    oldest_s = min((table.oldest_s for table in size.tables if table.oldest_s is not None), default=now_s)
    values = frame(request, session, view, current="storage", title="Storage") | {
        "size_of_store": size,
        "now_s": now_s,
        "oldest_s": oldest_s,
        "log_warning_bytes": LOG_WARNING_BYTES,
    }
    return page(request, "storage.html", values)
