"""What was running: the flame graph of a route and window, two windows compared, and the same as a table."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze.profile import MODES
from pitstop.dashboard import flame, inside
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, changed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import SettingError

router = APIRouter(dependencies=[Depends(page_reader)])

AGAINST = ("none", "previous", "week")
AGAINST_NAMES = {"none": "nothing", "previous": "the time before", "week": "last week"}
MODE_WORDS = {
    "wall": "where time passes, waiting included",
    "cpu": "what the processor computes",
    "blocked": "what held an event loop for more than 100 ms",
}
OUTSIDE = ""  # stacks of no request


@router.get("/profile")
def profile(
    request: Request,
    session: Reader,
    view: Viewed,
    route: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    mode: Annotated[str, Query(max_length=20)] = "wall",
    against: Annotated[str, Query(max_length=20)] = "none",
) -> Response:
    """The profile page."""
    check(mode, against)
    route = route or None
    answer = desk_of(request).answers.ask(
        view, ("profile", route, mode, against), lambda store: inside.profile(store, view, route, mode, against)
    )
    drawn = flame.differing(answer.diff) if answer.diff else flame.flat(answer.graph)
    values = frame(request, session, view, current="profile", title="Profile", live=False, compares=False) | {
        "answer": answer,
        "route": route,
        "mode": mode,
        "modes": MODES,
        "mode_words": MODE_WORDS,
        "against": against,
        "comparing": AGAINST_NAMES,
        "to": changed(
            request,
            view,
            "/profile",
            route=route,
            mode=None if mode == "wall" else mode,
            against=None if against == "none" else against,
        ),
        "island": {"flame": drawn, "window": view.window, "marks": []},
        "frames": len(drawn["depth"]),
    }
    return page(request, "profile.html", values)


def check(mode: str, against: str = "none") -> None:
    """Raises SettingError for what there is not."""
    if mode not in MODES:
        raise SettingError(f"mode='{mode[:40]}' is none of {', '.join(MODES)}")
    if against not in AGAINST:
        raise SettingError(f"against='{against[:40]}' is none of {', '.join(AGAINST)}")
