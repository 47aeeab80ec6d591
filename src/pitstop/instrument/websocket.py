"""A WebSocket connection as one operation, and each of its messages as a stage below it.

The connection's name is ``WS /path``, its outcome the close code (RFC 6455; 1006 when the peer vanished, or the HTTP
status with which the handshake was refused). A message that came in is timed until the application asks for the next
one, a message that goes out for as long as sending takes; both count their bytes and are on record within a second.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, MARK, Served, fault, note_failure
from pitstop.instrument.loop import LOOP
from pitstop.instrument.names import CLIENT_LEFT, WEBSOCKETS
from pitstop.model.series import STAGE, WEBSOCKET
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.owners import owned

if TYPE_CHECKING:
    from pitstop.instrument.asgi import Message, Receive, RecordingMiddleware, Scope, Send

RECEIVED = "message received"
SENT = "message sent"

_NORMAL = 1000
_VANISHED = 1006
_FAILED = "1011"
_REFUSED = "403"  # what servers answer to a close before accept: ASGI specification


async def record_websocket(middleware: RecordingMiddleware, scope: Scope, receive: Receive, send: Send) -> None:
    """Run `middleware.app` on a websocket scope and record it."""
    recorder = middleware.recorder
    op = Operation(WEBSOCKET, perf_counter_ns())
    if recorder.shedding:
        recorder.admit(op)
    if LOOP.wanted:
        LOOP.watch()
    watch = _Connection(middleware, scope, op)
    scope[MARK] = True
    before = CURRENT.get()
    if isinstance(before, Served):
        before.give_way(op)
    CURRENT.set(op)
    IN_FLIGHT.add(op)

    async def observed_receive() -> Message:
        watch.ended()
        message = await receive()
        watch.received(message)
        return message

    async def observed_send(message: Message) -> None:
        start_ns = perf_counter_ns()
        try:
            await send(message)
        except OSError:
            op.outcome = op.outcome or str(_VANISHED)
            raise
        watch.sent(message, start_ns)

    outcome = ""
    try:
        await middleware.app(scope, observed_receive, observed_send)
    except BaseException as error:
        outcome = CLIENT_LEFT if type(error).__name__ in {"CancelledError", "Cancelled", "GeneratorExit"} else _FAILED
        if outcome == _FAILED:
            note_failure(op, error)
        raise
    finally:
        IN_FLIGHT.discard(op)
        CURRENT.set(before)
        watch.finish(outcome)


owned(record_websocket, "op")  # for whoever samples stacks


class _Connection:
    """What is known of one connection while it is open."""

    def __init__(self, middleware: RecordingMiddleware, scope: Scope, op: Operation) -> None:
        self.middleware = middleware
        self.scope = scope
        self.op = op
        self.accepted = False
        self.message: Operation | None = None

    def name(self) -> None:
        self.op.name = WEBSOCKETS[self.middleware.template_of(self.scope)]

    def received(self, message: Message) -> None:
        try:
            if message["type"] == "websocket.receive":
                self.message = self._stage(RECEIVED, perf_counter_ns(), message)
            elif message["type"] == "websocket.disconnect":
                self.op.outcome = self.op.outcome or str(message.get("code") or _VANISHED)
        except Exception:  # noqa: BLE001  the host goes on
            fault("websocket.received")

    def ended(self) -> None:
        """The application is done with the last message."""
        stage, self.message = self.message, None
        if stage is not None:
            self._file(stage)

    def sent(self, message: Message, start_ns: int) -> None:
        try:
            kind = message["type"]
            if kind == "websocket.send":
                self._file(self._stage(SENT, start_ns, message))
            elif kind == "websocket.accept":
                self.accepted = True
                self.name()
            elif kind == "websocket.close":
                code = str(message.get("code") or _NORMAL)
                self.op.outcome = self.op.outcome or (code if self.accepted else _REFUSED)
            elif kind == "websocket.http.response.start":
                self.op.outcome = str(message.get("status", _REFUSED))
        except Exception:  # noqa: BLE001
            fault("websocket.sent")

    def finish(self, outcome: str) -> None:
        try:
            self.ended()
            self.op.outcome = self.op.outcome or outcome or (str(_NORMAL) if self.accepted else "500")
            self.name()
            self.middleware.recorder.finish(self.op, perf_counter_ns())
        except Exception:  # noqa: BLE001
            fault("websocket.finish")

    def _stage(self, name: str, start_ns: int, message: Any) -> Operation:
        stage = Operation(STAGE, start_ns)
        stage.name = name
        stage.outcome = "ok"
        body = message.get("bytes")
        stage.nbytes = len(body) if body is not None else len((message.get("text") or "").encode())
        return stage

    def _file(self, stage: Operation) -> None:
        """Hand over at once, below the connection: it may stay open for days."""
        stage.end_ns = perf_counter_ns()
        self.middleware.recorder.finish_alone(stage, self.op)
