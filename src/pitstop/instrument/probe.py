"""What recording one request costs here and now, measured aside from the requests.

Drives the real middleware around an application that answers from memory, with a recorder nobody reads, and takes off
what the application costs alone. Thirty rounds take about 0.2 ms, so it may run once every few seconds.
"""

from __future__ import annotations

from contextlib import suppress
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.record.recorder import Recorder

if TYPE_CHECKING:
    from pitstop.instrument.asgi import App, Message, Receive, Scope, Send

ROUNDS = 30

_START: Message = {"type": "http.response.start", "status": 200, "headers": []}
_BODY: Message = {"type": "http.response.body", "body": b"{}"}


class _Route:
    path = "/items/{item_id}"


async def _app(scope: Scope, _receive: Receive, send: Send) -> None:
    scope["route"] = _Route
    await send(_START)
    await send(_BODY)


async def _receive() -> Message:
    return {"type": "http.request", "body": b""}


async def _send(_message: Message) -> None:
    pass


class Probe:
    """`probe()` is the seconds of CPU that recording adds to one request on this machine. For one thread."""

    def __init__(self, rounds: int = ROUNDS) -> None:
        self.rounds = rounds
        self._recorder = Recorder(recent=0)
        self._recorder.on = True
        self._recorded = RecordingMiddleware(_app, self._recorder, exclude=())

    def __call__(self) -> float:
        """Measure."""
        # the shorter of two: what disturbs one run seldom disturbs both
        recorded = min(self._drive(self._recorded), self._drive(self._recorded))
        bare = min(self._drive(_app), self._drive(_app))
        return max(recorded - bare, 0.0)

    def _drive(self, app: App) -> float:
        """Seconds of this thread's CPU a request."""
        scopes: list[dict[str, Any]] = [
            {"type": "http", "method": "GET", "path": "/items/1", "headers": [(b"host", b"localhost")]}
            for _ in range(self.rounds)
        ]
        start_ns = thread_time_ns()
        for scope in scopes:
            coroutine: Any = app(scope, _receive, _send)
            with suppress(StopIteration):
                coroutine.send(None)
        taken_ns = thread_time_ns() - start_ns
        self._recorder.drain()
        return taken_ns / self.rounds / 1e9
