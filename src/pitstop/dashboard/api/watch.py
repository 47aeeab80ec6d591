"""What can be asked of whoever watches: objectives, alerts, rules, channels, deliveries, components."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request

from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api import watch_shapes as shapes
from pitstop.dashboard.api.shapes import Problem
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.watching import Watching  # noqa: TC001

router = APIRouter(
    dependencies=[Depends(api_reader)], responses={code: {"model": Problem} for code in (401, 404, 422, 503)}
)
Ident = Annotated[int, Query(ge=0, le=2**63 - 1)]


@router.get("/slos")
def slos(
    request: Request,
    view: Viewed,
    watch: Watching,
    points: Annotated[bool, Query(description="with the budget left over each window")] = False,
) -> list[shapes.SloOut]:
    """Every objective now, over its own window; the least budget left first."""
    found = desk_of(request).answers.once(
        ("slos", view.service, points), 2.0, lambda: watch.slos(service=view.service, points=points)
    )
    return [shapes.SloOut.of(one) for one in found]


@router.get("/alerts")
def alerts(
    view: Viewed, watch: Watching, state: Annotated[str | None, Query(max_length=20)] = None
) -> shapes.IncidentsOut:
    """Incidents that lasted into the window; `state`: firing, pending or resolved."""
    found = watch.incidents(view.window, service=view.service, state=state)
    return shapes.IncidentsOut(window=view.window, incidents=[shapes.IncidentOut.of(one) for one in found])


@router.get("/alerts/detail")
def alert(watch: Watching, id: Ident) -> shapes.IncidentDetailOut:  # noqa: A002  the name in the address
    """One incident with its timeline."""
    incident, moments = watch.incident(id)
    return shapes.IncidentDetailOut(
        incident=shapes.IncidentOut.of(incident), timeline=[shapes.MomentOut.of(one) for one in moments]
    )


@router.get("/silences")
def silences(watch: Watching, ended: bool = False) -> list[shapes.SilenceOut]:
    """Silences in force or to come; with `ended`, past ones too."""
    return [shapes.SilenceOut(**one._asdict()) for one in watch.silences(ended=ended)]


@router.get("/rules")
def rules(watch: Watching) -> list[shapes.RuleOut]:
    """Every rule, firing ones first."""
    return [shapes.RuleOut(**one._asdict()) for one in watch.rules()]


@router.get("/channels")
def channels(watch: Watching) -> list[shapes.ChannelOut]:
    """Everybody who can be told."""
    return [shapes.ChannelOut(**one._asdict()) for one in watch.channels()]


@router.get("/deliveries")
def deliveries(
    watch: Watching,
    state: Literal["waiting", "sent", "dead"] | None = None,
    limit: Annotated[int, Query(ge=1, le=5000)] = 100,
) -> list[shapes.DeliveryOut]:
    """Messages on their way, sent and given up, the newest first."""
    return [shapes.DeliveryOut(**one._asdict()) for one in watch.deliveries(state=state, limit=limit)]


@router.get("/components")
def components(watch: Watching) -> list[shapes.ComponentOut]:
    """The state of everything: store, disk, cache, database, pools, memory, probes, channels, ourselves."""
    return [shapes.ComponentOut(**one._asdict()) for one in watch.components()]
