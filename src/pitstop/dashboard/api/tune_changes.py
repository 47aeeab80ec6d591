"""What processes of this machine can be told to do: throw values away, make them ready, give memory back, look."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request

from pitstop.analyze.asked import asked
from pitstop.dashboard.access import api_changer
from pitstop.dashboard.api import tune_asks as shapes
from pitstop.dashboard.api.shapes import Problem, UpkeepOut
from pitstop.dashboard.auth import Session
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.faults import RefusalError
from pitstop.model import NotFoundError, PitstopError, SettingError
from pitstop.model.tuned import CACHE_INVALIDATE, CACHE_WARM, MEMORY_LOOK, MEMORY_OPTIMIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.analyze.asked import Asked

router = APIRouter(
    dependencies=[Depends(api_changer)],
    responses={code: {"model": Problem} for code in (401, 403, 404, 409, 422, 503)},
)
Changer = Annotated[Session, Depends(api_changer)]
WARM_S = 30.0  # what making values ready may take
OPTIMIZE_S = 10.0
_audit = logging.getLogger("pitstop.audit")
_looking = threading.Lock()


@router.post("/cache/invalidate")
def invalidate(request: Request, body: shapes.InvalidateIn, session: Changer) -> shapes.CountedOut:
    """Throw cached values away, or count what would go; processes of this machine are asked."""
    if not (body.everything or body.region or body.tags or body.tenant):
        raise SettingError("say what goes: region, tags or tenant, or everything=true for all of it")
    seen = _asked(CACHE_INVALIDATE, body.chosen(), body.service)
    if not body.dry_run:
        _done(request, "%s invalidated %s: %d values", session.user, body.names(), seen.total("entries"))
    return shapes.CountedOut.gone(seen, dry_run=body.dry_run)


@router.post("/cache/warm")
def warm(request: Request, body: shapes.WarmIn, session: Changer) -> shapes.CountedOut:
    """Make values ready before they are asked for, or say which would be."""
    chosen = body.model_dump(exclude_none=True, exclude={"service"})
    seen = _asked(CACHE_WARM, chosen, body.service, takes_s=WARM_S)
    if not body.dry_run:
        _done(request, "%s warmed %s: %d values", session.user, body.region or "every region", seen.total("calls"))
    return shapes.CountedOut.warmed(seen, dry_run=body.dry_run)


@router.post("/memory/optimize")
def optimize_memory(request: Request, body: shapes.ServiceIn, session: Changer) -> shapes.OptimizedOut:
    """Collect garbage and give free memory back, in every process of this machine that can be asked."""
    seen = _asked(MEMORY_OPTIMIZE, {}, body.service, takes_s=OPTIMIZE_S)
    _done(request, "%s optimized the memory of %d processes", session.user, len(seen.answers))
    return shapes.OptimizedOut.of(seen)


@router.post("/memory/look")
def look(request: Request, body: shapes.LookIn, session: Changer) -> shapes.LookedOut:
    """Note for some seconds which code lines allocate what stays; the processes are slow meanwhile."""
    if not _looking.acquire(blocking=False):
        raise RefusalError(409, "busy", "somebody looks closer right now", next_step="try again when that has ended")
    try:
        seen = _asked(MEMORY_LOOK, {"seconds": body.seconds}, body.service, takes_s=body.seconds)
    finally:
        _looking.release()
    _done(request, "%s looked for %g s at the memory of %d processes", session.user, body.seconds, len(seen.answers))
    return shapes.LookedOut.of(seen, body.seconds)


@router.post("/optimize")
def optimize(request: Request, body: shapes.ServiceIn, session: Changer) -> shapes.AllOptimizedOut:
    """All that is safe to do at any time: housekeeping of the store, and memory of the processes here."""
    desk = desk_of(request)
    done = desk.store.upkeep(retention_s=desk.retention_s)
    memory, note = None, ""
    try:
        memory = shapes.OptimizedOut.of(_asked(MEMORY_OPTIMIZE, {}, body.service, takes_s=OPTIMIZE_S))
    except (NotFoundError, RefusalError) as error:  # the store is tidy all the same
        note = str(error)
    _done(request, "%s optimized: %d rows folded, %d deleted", session.user, done.folded_rows, done.deleted_rows)
    return shapes.AllOptimizedOut(store=UpkeepOut(**done._asdict()), memory=memory, note=note)


def _asked(what: str, arguments: Mapping[str, object], service: str | None, *, takes_s: float = 0.0) -> Asked:
    try:
        return asked(what, arguments, service=service, takes_s=takes_s)
    except NotFoundError:
        raise
    except PitstopError as error:
        raise RefusalError(
            503, "not_answered", str(error), next_step="try again in a few seconds, or ask on its machine"
        ) from error


def _done(request: Request, text: str, *values: object) -> None:
    desk_of(request).answers.forget()
    _audit.info(text, *values)
