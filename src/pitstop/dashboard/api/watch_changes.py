"""What can be changed about alerts: acknowledge, silence, rules, channels, dead letters. Every change is logged."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from pitstop.dashboard.access import api_changer, api_sender
from pitstop.dashboard.api import watch_shapes as shapes
from pitstop.dashboard.api.shapes import Problem
from pitstop.dashboard.api.watch import Ident  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.auth import Session
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001
from pitstop.dashboard.watching import Watching  # noqa: TC001
from pitstop.model import SettingError

_RESPONSES: dict[int | str, dict[str, object]] = {code: {"model": Problem} for code in (401, 403, 404, 422, 503)}
trying = APIRouter(dependencies=[Depends(api_sender)], responses=_RESPONSES)  # changes nothing: a reader may, too
changing = APIRouter(dependencies=[Depends(api_changer)], responses=_RESPONSES)
Changer = Annotated[Session, Depends(api_changer)]
RuleName = Annotated[str, Query(min_length=1, max_length=200)]
_audit = logging.getLogger("pitstop.audit")


@trying.post("/rules/check")
def check_rule(body: shapes.RuleIn, watch: Watching) -> shapes.CheckOut:
    """What a rule as TOML would be, or what is wrong with it; nothing is saved."""
    try:
        return shapes.CheckOut(rule=shapes.RuleOut(**watch.check_rule(body.text)._asdict()), problem="")
    except SettingError as error:
        return shapes.CheckOut(rule=None, problem=str(error))


@trying.post("/rules/test")
def test_rule(body: shapes.RuleIn, view: Viewed, watch: Watching) -> shapes.ReplayOut:
    """What a rule, as TOML or by its name, would have done in the window."""
    return shapes.ReplayOut.of(watch.test_rule(body.text, view.window))


@changing.post("/alerts/acknowledge")
def acknowledge(
    request: Request,
    id: Ident,  # noqa: A002  the name in the address
    body: shapes.AcknowledgeIn,
    watch: Watching,
    session: Changer,
) -> shapes.IncidentOut:
    """Say that you look after it: it is not told again until it ends."""
    incident = watch.acknowledge(id, session.user, body.note)
    _done(request, "%s acknowledged alert %d", session.user, id)
    return shapes.IncidentOut.of(incident)


@changing.post("/silences")
def silence(request: Request, body: shapes.SilenceIn, watch: Watching, session: Changer) -> shapes.SilenceOut:
    """Tell nobody of incidents with labels like these until `end_s`."""
    start_s = desk_of(request).clock.now_s() if body.start_s is None else body.start_s
    made = watch.silence(body.matches, session.user, body.why, start_s, body.end_s)
    _done(request, "%s made silence %d", session.user, made.id)
    return shapes.SilenceOut(**made._asdict())


@changing.delete("/silences")
def unsilence(request: Request, id: Ident, watch: Watching, session: Changer) -> shapes.DoneOut:  # noqa: A002
    """End a silence now."""
    watch.unsilence(id, session.user)
    _done(request, "%s ended silence %d", session.user, id)
    return shapes.DoneOut()


@changing.post("/rules")
def save_rule(request: Request, body: shapes.RuleIn, watch: Watching, session: Changer) -> shapes.RuleOut:
    """Add a rule, objective or probe, or replace the one of its name."""
    made = watch.save_rule(body.text, session.user)
    _done(request, "%s saved rule %r", session.user, made.name)
    return shapes.RuleOut(**made._asdict())


@changing.delete("/rules")
def delete_rule(request: Request, name: RuleName, watch: Watching, session: Changer) -> shapes.DoneOut:
    """Remove a rule that was made in the dashboard."""
    watch.delete_rule(name, session.user)
    _done(request, "%s deleted rule %r", session.user, name)
    return shapes.DoneOut()


@changing.post("/heartbeats")
def beat(name: RuleName, watch: Watching) -> shapes.DoneOut:
    """Report that `name` is alive: what a rule of kind heartbeat waits for. It is not logged."""
    watch.beat(name)
    return shapes.DoneOut()


@changing.post("/channels")
def save_channel(request: Request, body: shapes.ChannelIn, watch: Watching, session: Changer) -> shapes.ChannelOut:
    """Add a channel, or replace the one of its name."""
    made = watch.save_channel(body.name, body.kind, body.address, body.options(), session.user)
    _done(request, "%s saved channel %r", session.user, made.name)
    return shapes.ChannelOut(**made._asdict())


@changing.delete("/channels")
def delete_channel(request: Request, name: RuleName, watch: Watching, session: Changer) -> shapes.DoneOut:
    """Remove a channel that was made in the dashboard."""
    watch.delete_channel(name, session.user)
    _done(request, "%s deleted channel %r", session.user, name)
    return shapes.DoneOut()


@changing.post("/channels/test")
def test_channel(request: Request, body: shapes.TestIn, watch: Watching, session: Changer) -> list[shapes.TestedOut]:
    """Send a test message to one channel or to all, and wait for what comes of each."""
    tested = watch.send_test(body.name)
    _done(request, "%s sent a test to %s", session.user, body.name or "every channel")
    return [shapes.TestedOut(**one._asdict()) for one in tested]


@changing.post("/deliveries/redeliver")
def redeliver(request: Request, id: Ident, watch: Watching, session: Changer) -> shapes.DeliveryOut:  # noqa: A002
    """Send a dead letter again."""
    again = watch.redeliver(id, session.user)
    _done(request, "%s sent dead letter %d again", session.user, id)
    return shapes.DeliveryOut(**again._asdict())


@changing.delete("/deliveries")
def discard(request: Request, id: Ident, watch: Watching, session: Changer) -> shapes.DoneOut:  # noqa: A002
    """Forget a dead letter."""
    watch.discard(id, session.user)
    _done(request, "%s discarded dead letter %d", session.user, id)
    return shapes.DoneOut()


def _done(request: Request, text: str, *values: object) -> None:
    desk_of(request).answers.forget()
    _audit.info(text, *values)
