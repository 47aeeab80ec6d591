"""What is wrong now, what was, who looks after it; and one alert from its beginning to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.unwatched import unwatched
from pitstop.dashboard.render import page
from pitstop.dashboard.states import labels_text
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.dashboard.watching import MOST_LANES, OPEN, lanes, needing, open_incidents
from pitstop.model import NotFoundError, Window

if TYPE_CHECKING:
    from pitstop.model.watching import Incident

router = APIRouter(dependencies=[Depends(page_reader)])

MOST_ROWS = 300
AROUND_S = 1800  # before and after an alert: what its rule is tested on
LONGEST_AROUND_S = 86_400
LENGTHS = ((3600, "1 hour"), (4 * 3600, "4 hours"), (86_400, "1 day"), (7 * 86_400, "1 week"), (30 * 86_400, "30 days"))
"""For how long a silence may be asked for with a click."""


@router.get("/alerts")
def alerts(
    request: Request, session: Reader, view: Viewed, q: Annotated[str, Query(max_length=LONGEST_NAME)] = ""
) -> Response:
    """What is open, the timeline, what is over, and silences."""
    desk = desk_of(request)
    values = frame(request, session, view, current="alerts", title="Alerts", compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    watch, now_s = desk.watch, desk.clock.now_s()
    incidents = desk.answers.ask(view, ("alerts",), lambda _: watch.incidents(view.window, service=view.service))
    rules = desk.answers.once(("rules",), 1.0, watch.rules)
    drawn = lanes(incidents, view.window, now_s)
    opened = open_incidents(desk, view.service)
    past = [one for one in incidents if one.state not in OPEN]
    values |= {
        "opened": opened,
        "needing": needing(opened),
        "past": past[:MOST_ROWS],
        "total": len(past),
        "lanes": drawn[:MOST_LANES],
        "more_lanes": max(0, len(drawn) - MOST_LANES),
        "silences": watch.silences(),
        "components": desk.answers.once(("components",), 2.0, watch.components),
        "rules": len(rules),
        "checked_s": max((one.checked_s for one in rules if one.checked_s is not None), default=None),
        "lengths": LENGTHS,
        "now_s": now_s,
        "search": q,
    }
    return page(request, "alerts.html", values)


@router.get("/alert")
def alert(
    request: Request,
    session: Reader,
    view: Viewed,
    id: Annotated[int, Query(ge=0, le=2**63 - 1)],  # noqa: A002  the name in the address
) -> Response:
    """One alert."""
    desk = desk_of(request)
    values = frame(request, session, view, current="alerts", title="Alert", compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    try:
        incident, moments = desk.watch.incident(id)
    except NotFoundError:
        return page(request, "alert_missing.html", values | {"ident": id}, status=404)
    start_s, end_s = around(incident, desk.clock.now_s())
    span = {"last": None, "from": str(start_s), "to": str(end_s)}
    values |= {
        "title": incident.rule,
        "one": incident,
        "moments": moments,
        "now_s": desk.clock.now_s(),
        "opened": incident.state in OPEN,
        "tested": view.query(**span, name=incident.rule, run="1"),
        "slo_of": labels_text(incident.labels, ("rule", "severity", "slo")),
        "around_window": Window(start_s, end_s),
        "around": view.query(**span),
        "lengths": LENGTHS,
        "refresh_s": 5 if incident.state in OPEN else 0,
    }
    return page(request, "alert.html", values)


def around(incident: Incident, now_s: float) -> tuple[int, int]:
    """The span that shows how it came about and how it ended."""
    end_s = min(now_s, (incident.ended_s if incident.ended_s is not None else now_s) + AROUND_S)
    start_s = max(incident.began_s - AROUND_S, end_s - LONGEST_AROUND_S)
    return int(min(start_s, end_s - AROUND_S)), int(end_s)
