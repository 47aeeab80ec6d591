"""What happens now, pushed to every open page once a second.

One question a second to the store answers all sockets: it reads what every worker wrote there, so it does not matter
which process serves. It is asked only while somebody looks. Each socket has one slot for the latest message: a slow
client finds the newest when it is ready, the ones in between are dropped, and nobody waits for anybody.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pitstop.analyze.stats import NO_DATA, Stats, numbered, stats_by_group
from pitstop.model import Match, StoreError, Window
from pitstop.model.series import HTTP

if TYPE_CHECKING:
    from pitstop.dashboard.auth import Keyring, Session
    from pitstop.model import Clock, Store

_log = logging.getLogger("pitstop")
TICK_S = 1.0
SPAN_S = 10  # what "now" is taken over: long enough for a P95, short enough to see a change
LAG_S = 2  # a worker's second has surely arrived after two: it is flushed each second
SEND_DEADLINE_S = 15.0  # a client that does not take one message in this time is gone
MOST_SOCKETS = 5000
POLICY_VIOLATION = 1008
TRY_LATER = 1013
ALL = ""  # the key of all services together


@dataclass(slots=True, eq=False)
class _Listener:
    websocket: WebSocket
    session_id: str
    service: str
    message: str = ""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    revoked: bool = False


class Hub:
    """All live sockets of one dashboard. Lives in one event loop; the store is asked in a thread."""

    def __init__(self, store: Store, keyring: Keyring, clock: Clock) -> None:
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._listeners: set[_Listener] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._latest: dict[str, str] = {}

    @property
    def sockets(self) -> int:
        """How many pages listen."""
        return len(self._listeners)

    async def listen(self, websocket: WebSocket, session: Session, service: str) -> None:
        """Serve one accepted socket until its client leaves, its session ends, or it stops taking messages."""
        if len(self._listeners) >= MOST_SOCKETS:
            await websocket.close(TRY_LATER)
            return
        listener = _Listener(websocket, session.id, service)
        if self._latest:
            listener.message = self._latest.get(service) or _empty_message(self._latest)
            listener.ready.set()
        self._listeners.add(listener)
        if self._ticker is None or self._ticker.done():
            self._ticker = asyncio.create_task(self._tick_while_heard())
        sender = asyncio.create_task(_send(listener))
        receiver = asyncio.create_task(_drain(websocket))
        try:
            await asyncio.wait((sender, receiver), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._listeners.discard(listener)
            for task in (sender, receiver):
                task.cancel()
            await asyncio.gather(sender, receiver, return_exceptions=True)
        if websocket.client_state is WebSocketState.CONNECTED and websocket.application_state is (
            WebSocketState.CONNECTED
        ):
            await websocket.close(POLICY_VIOLATION if listener.revoked else TRY_LATER)

    async def _tick_while_heard(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while self._listeners:
            try:
                self._latest, live_ids = await run_in_threadpool(self._ask)
            except StoreError as error:
                self._latest, live_ids = {ALL: json.dumps({"error": str(error)})}, None
            except Exception:  # noqa: BLE001  a fault of ours must not end the live view of everybody for good
                _log.exception("pitstop: the live figures failed")
                self._latest, live_ids = {ALL: json.dumps({"error": "a fault of ours; the log has it"})}, None
            for listener in tuple(self._listeners):
                if live_ids is not None and listener.session_id not in live_ids:
                    listener.revoked = True
                listener.message = self._latest.get(listener.service) or _empty_message(self._latest)
                listener.ready.set()
            due_s = max(due_s + TICK_S, loop.time())
            await asyncio.sleep(due_s - loop.time())
        self._latest = {}

    def _ask(self) -> tuple[dict[str, str], set[str]]:
        """The message for every service by name, and the sessions that still count."""
        at_s = int(self._clock.now_s()) - LAG_S
        window = Window(at_s - SPAN_S, at_s)
        rollups = self._store.rollups(window, Match(kind=HTTP), step_s=1)
        services, rows = numbered([series.service for series in rollups.series])
        messages = {ALL: _message(at_s, NO_DATA)}
        if services:
            everything = stats_by_group(rollups, np.zeros(len(rows), dtype=np.int64), 1, SPAN_S)
            messages[ALL] = _message(at_s, everything[0])
            for service, stats in zip(services, stats_by_group(rollups, rows, len(services), SPAN_S), strict=True):
                messages[service] = _message(at_s, stats)
        return messages, self._keyring.live_ids()


def _message(at_s: int, stats: Stats) -> str:
    return json.dumps(
        {
            "at_s": at_s,
            "span_s": SPAN_S,
            "requests": stats.requests,
            "errors": stats.errors,
            "requests_per_s": stats.requests / SPAN_S,
            "errors_per_s": stats.errors / SPAN_S,
            "mean_s": stats.mean_s,
            "p50_s": stats.p50_s,
            "p95_s": stats.p95_s,
            "p99_s": stats.p99_s,
        }
    )


def _empty_message(latest: dict[str, str]) -> str:
    """What a service that was quiet is told: the same moment and no requests, or the same error."""
    everything = json.loads(latest[ALL])
    return latest[ALL] if "error" in everything else _message(everything["at_s"], NO_DATA)


async def _send(listener: _Listener) -> None:
    while True:
        await listener.ready.wait()
        listener.ready.clear()
        if listener.revoked:
            return
        try:
            await asyncio.wait_for(listener.websocket.send_text(listener.message), SEND_DEADLINE_S)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            return


async def _drain(websocket: WebSocket) -> None:
    """Take what the client sends, which means nothing, until it leaves."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
