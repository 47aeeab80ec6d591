"""Which objectives are met, how much of each error budget is left, and one budget burning down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard import charts
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.unwatched import unwatched
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.dashboard.watching import key_of
from pitstop.model import NotFoundError
from pitstop.model.watching import FIRING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.dashboard.desk import Desk
    from pitstop.dashboard.view import View
    from pitstop.model.watching import SloState, Watch

router = APIRouter(dependencies=[Depends(page_reader)])

_KEPT_S = 5.0  # budgets are of days; a few seconds are nothing of them
_SPENT, _SHORT = 0.0, 0.25  # share of the budget below which its bar is red, and amber


@router.get("/slos")
def slos(
    request: Request, session: Reader, view: Viewed, q: Annotated[str, Query(max_length=LONGEST_NAME)] = ""
) -> Response:
    """The table of all objectives."""
    desk = desk_of(request)
    values = frame(request, session, view, current="slos", title="SLOs", compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    states = _states(desk, desk.watch, view)
    values |= {
        "states": states,
        "search": q,
        "key_of": key_of,
        "level": level,
        "fastest": fastest,
        "firing": sum(1 for one in states if one.state == FIRING),
        "spent": sum(1 for one in states if one.budget_left is not None and one.budget_left <= _SPENT),
    }
    return page(request, "slos.html", values)


@router.get("/slo")
def slo(
    request: Request,
    session: Reader,
    view: Viewed,
    name: Annotated[str, Query(max_length=LONGEST_NAME)],
    of: Annotated[str, Query(max_length=LONGEST_NAME)] = "",
) -> Response:
    """One objective: its budget over time, and the windows that its alerts look at."""
    desk = desk_of(request)
    values = frame(request, session, view, current="slos", title=name, compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    found = [one for one in _states(desk, desk.watch, view) if one.name == name]
    found.sort(key=lambda one: key_of(one) != of)
    if not found:
        raise NotFoundError(f"'{name[:200]}' is no objective{' of this service' if view.service else ''}; see /slos")
    state = found[0]
    drawn = charts.limited(state.points, 0.0, "ratio", name="budget left", limit_name="spent", window=state.window)
    return page(
        request, "slo.html", values | {"slo": state, "key_of": key_of, "level": level, "charts": {"budget": drawn}}
    )


def _states(desk: Desk, watch: Watch, view: View) -> Sequence[SloState]:
    return desk.answers.once(
        ("slos", view.service, True), _KEPT_S, lambda: watch.slos(service=view.service, points=True)
    )


def level(left: float | None) -> str:
    """The colour of a budget's bar."""
    if left is None or left <= _SPENT:
        return "low"
    return "mid" if left < _SHORT else "good"


def fastest(state: SloState) -> float | None:
    """How fast the budget burns now: over the shortest of the long windows, an hour unless configured otherwise."""
    return min(state.burns, key=lambda burn: burn.long_s).long_rate if state.burns else None
