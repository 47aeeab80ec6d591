"""Who is told, whether it works, what is on its way and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, changed, frame
from pitstop.dashboard.pages.rules import BY_HAND
from pitstop.dashboard.pages.unwatched import unwatched
from pitstop.dashboard.render import page
from pitstop.model import NotFoundError, SettingError
from pitstop.model.watching import DEAD, SENT, SEVERITIES, WAITING

if TYPE_CHECKING:
    from pitstop.model.watching import Channel

router = APIRouter(dependencies=[Depends(page_reader)])

KINDS = {
    "apprise": "Slack, Teams, Discord, Telegram, e-mail, PagerDuty … by Apprise",
    "webhook": "a webhook of your own, signed",
    "alertmanager": "Prometheus Alertmanager",
}
STATES = (WAITING, SENT, DEAD)
MOST_DELIVERIES = 200


@router.get("/channels")
def channels(
    request: Request,
    session: Reader,
    view: Viewed,
    state: Annotated[str, Query(max_length=20)] = "",
    edit: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Channels, deliveries and the form for one."""
    if state and state not in STATES:
        raise SettingError(f"state='{state}' is none of {', '.join(STATES)}")
    desk = desk_of(request)
    values = frame(request, session, view, current="channels", title="Channels", compares=False)
    if desk.watch is None:
        return unwatched(request, values)
    found = desk.watch.channels()
    edited: Channel | None = None
    if edit:
        edited = next((one for one in found if one.name == edit and one.source == BY_HAND), None)
        if edited is None:
            raise NotFoundError(f"'{edit}' is no channel that was made in the dashboard; see /channels")
    values |= {
        "rows": found,
        "deliveries": desk.watch.deliveries(state=state or None, limit=MOST_DELIVERIES),
        "dead": sum(one.dead for one in found),
        "waiting": sum(one.waiting for one in found),
        "state": state,
        "states": STATES,
        "most": MOST_DELIVERIES,
        "kinds": KINDS,
        "severities": SEVERITIES,
        "edited": edited,
        "by_hand": BY_HAND,
        "to": changed(request, view, "/channels", state=state or None, edit=edit or None),
    }
    return page(request, "channels.html", values)
