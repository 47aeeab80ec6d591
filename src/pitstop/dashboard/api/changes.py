"""What can be changed. JSON only, a token or a session with its CSRF token, never across origins."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Depends, Request

from pitstop.dashboard.access import api_changer
from pitstop.dashboard.api.shapes import CheckpointOut, Problem, PruneIn, PruneOut, UpkeepOut
from pitstop.dashboard.auth import Session
from pitstop.dashboard.desk import desk_of
from pitstop.model import SettingError

router = APIRouter(
    dependencies=[Depends(api_changer)],
    responses={code: {"model": Problem} for code in (401, 403, 422, 503)},
)
Changer = Annotated[Session, Depends(api_changer)]
_audit = logging.getLogger("pitstop.audit")


@router.post("/storage/prune")
def prune(request: Request, body: PruneIn, session: Changer) -> PruneOut:
    """Delete everything older than a moment, or count what that would be."""
    desk = desk_of(request)
    if body.before_s > desk.clock.now_s():
        raise SettingError(
            f"before_s={body.before_s} lies in the future: that would delete everything; take a past one"
        )
    rows = desk.store.prune(body.before_s, dry_run=body.dry_run)
    if not body.dry_run:
        desk.answers.forget()
        _audit.info("%s pruned %d rows older than %d", session.user, rows, body.before_s)
    return PruneOut(rows=rows, before_s=body.before_s, dry_run=body.dry_run)


@router.post("/storage/checkpoint")
def checkpoint(request: Request, session: Changer) -> CheckpointOut:
    """Fold the write-ahead log into the data."""
    desk = desk_of(request)
    log_bytes = desk.store.checkpoint()
    desk.answers.forget()
    _audit.info("%s folded a log of %d bytes", session.user, log_bytes)
    return CheckpointOut(log_bytes=log_bytes)


@router.post("/storage/rotate")
def rotate(request: Request, session: Changer) -> UpkeepOut:
    """One round of housekeeping now: fold tiers, delete what is past retention, return space."""
    desk = desk_of(request)
    done = desk.store.upkeep(retention_s=desk.retention_s)
    desk.answers.forget()
    _audit.info("%s ran housekeeping: %d rows folded, %d deleted", session.user, done.folded_rows, done.deleted_rows)
    return UpkeepOut(
        folded_rows=done.folded_rows,
        deleted_rows=done.deleted_rows,
        checkpointed_bytes=done.checkpointed_bytes,
        freed_bytes=done.freed_bytes,
    )
