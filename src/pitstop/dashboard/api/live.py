"""The live socket, ``/api/v1/live?service=…``: one message a second. See `pitstop.dashboard.live`."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket
from starlette.concurrency import run_in_threadpool

from pitstop.dashboard.access import session_of
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.live import POLICY_VIOLATION
from pitstop.dashboard.view import LONGEST_NAME

router = APIRouter()


@router.websocket("/live")
async def live(websocket: WebSocket, service: str = "") -> None:
    """Refused before it is accepted: from a page that is not ours, or without a session."""
    desk = desk_of(websocket)
    session = None
    if desk.hosts.same_origin(websocket.headers) and len(service) <= LONGEST_NAME:
        session = await run_in_threadpool(session_of, websocket)
    if session is None:
        await websocket.close(POLICY_VIOLATION)
        return
    await websocket.accept()
    await desk.hub.listen(websocket, session, service)
