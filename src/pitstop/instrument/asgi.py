"""Every HTTP request of an ASGI application as one operation, for a few microseconds.

Pure ASGI: no task, no copy of scope or message, `send` wrapped once. The operation ends at the last body message, so
background work is not in it; that is an operation of its own. Needs ASGI 3 (any server since 2019).
"""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, MARK, fault, flush_at_end
from pitstop.instrument.names import BY_METHOD, CLIENT_LEFT, OUTCOMES, SERVER_ERROR
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.runtime import LOOP
from pitstop.instrument.websocket import record_websocket
from pitstop.model.series import HTTP, STAGE
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import NUDGE_MASK, RECORDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKGROUND_NS = 100_000_000  # work after the answer that is not marked as such counts from here: unwinding takes less
_CANCELLED = frozenset({"CancelledError", "Cancelled", "GeneratorExit"})  # asyncio's, trio's, a closed coroutine
_LEFT = frozenset({"ClientDisconnect", "ClientDisconnected"})  # Starlette's and uvicorn's


def route_of(scope: Scope) -> str:
    """The template of a scope whose framework is not known: "" when nothing says it."""
    route = scope.get("route")
    template = getattr(route, "path", None) if route is not None else scope.get("path_template")
    return template if isinstance(template, str) else ""


class RecordingMiddleware:
    """Records what passes through `app` while `recorder` is on, and is next to nothing while it is off.

    `template_of` reads the route template out of a scope after routing; `exclude` is path prefixes that are passed
    through before anything is allocated (None: the option `exclude` and the static files that `static_of` finds at
    the first request). Lifespan and unknown scopes pass unchanged.
    """

    def __init__(
        self,
        app: App,
        recorder: Recorder = RECORDER,
        *,
        template_of: Callable[[Scope], str] = route_of,
        exclude: tuple[str, ...] | None = None,
        static_of: Callable[[Scope], tuple[str, ...]] | None = None,
        options: Options = OPTIONS,
    ) -> None:
        self.app = app
        self.recorder = recorder
        self.template_of = template_of
        self.options = options
        self.exclude: tuple[str, ...] = exclude or ()
        self._given = exclude
        self._static_of = static_of
        self._options_version = -1

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """ASGI 3. No coroutine of ours where nothing is recorded."""
        if not self.recorder.on and scope["type"] != "lifespan":
            return self.app(scope, receive, send)
        kind = scope["type"]
        if kind == "http":
            if self._options_version != self.options.version:
                self._configure(scope)
            if MARK in scope or scope["path"].startswith(self.exclude):
                return self.app(scope, receive, send)
            return self._http(scope, receive, send)
        if kind == "websocket" and MARK not in scope:
            return record_websocket(self, scope, receive, send)
        if kind == "lifespan":
            return self.app(scope, receive, partial(self._send_lifespan, send))
        return self.app(scope, receive, send)

    def _send_lifespan(self, send: Send, message: Message) -> Awaitable[None]:
        """Write what waits before a server ends: some end by a signal that lets nothing of ours run."""
        if message.get("type") == "lifespan.shutdown.complete":
            flush_at_end(self.recorder)
        return send(message)

    def _configure(self, scope: Scope) -> None:
        """Find what is excluded, at the first request: by then every route is there."""
        self._options_version = self.options.version
        try:
            prefixes = self.options.exclude if self._given is None else self._given
            if self._static_of is not None:
                prefixes += self._static_of(scope)
            root = scope.get("root_path", "")
            if root:  # servers put it in front of the path
                prefixes += tuple(root + prefix for prefix in prefixes)
            self.exclude = prefixes
        except Exception:  # noqa: BLE001  the host goes on
            fault("asgi.exclude")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901  each call costs 0.1 µs
        op = _Request()
        op.start_ns = perf_counter_ns()
        if self.recorder.shedding:
            self.recorder.admit(op)
        before = CURRENT.get()
        CURRENT.set(op)
        scope[MARK] = op
        IN_FLIGHT.add(op)
        try:
            for name, value in scope["headers"]:
                if name == b"traceparent":
                    op.traceparent = value
                    break
            if LOOP.wanted:
                LOOP.watch()
        except Exception:  # noqa: BLE001  the host goes on
            fault("asgi.begin")
        try:
            await self.app(scope, partial(_receive, op, receive), partial(self._send, scope, op, send))
        except BaseException as error:
            if op.end_ns:
                self._after(op, "error")
            else:
                self._finish(scope, op, _outcome_of_error(error))
            raise
        else:
            if not op.end_ns:  # returned without an answer, or without the end of one
                self._finish(scope, op, SERVER_ERROR)
            elif op.background is not None or perf_counter_ns() - op.end_ns > BACKGROUND_NS:
                self._after(op, "ok")
        finally:
            CURRENT.set(before)

    def _send(self, scope: Scope, op: _Request, send: Send, message: Message) -> Awaitable[None]:  # noqa: C901  each call costs 0.1 µs
        """What the application gets as `send`: no coroutine of ours unless the body comes in pieces."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                op.outcome = OUTCOMES[message["status"]]
                options = self.options
                if options.exec_time or options.server_timing:
                    message = _with_timing(message, options, perf_counter_ns() - op.start_ns)
            elif op.end_ns:
                pass
            elif kind == "http.response.body":
                last = not message.get("more_body")
                if last and not op.streaming:  # the whole body in one message
                    op.end_ns = end_ns = perf_counter_ns()
                    IN_FLIGHT.discard(op)
                    op.nbytes = len(message.get("body") or b"")
                    if not op.name:
                        op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
                    if op.left or not op.outcome:
                        op.outcome = CLIENT_LEFT if op.left else SERVER_ERROR
                    recorder = self.recorder
                    buffer = recorder.buffer
                    waiting = len(buffer)
                    if waiting & NUDGE_MASK and waiting < recorder.capacity and op.weight:  # `finish` without a call
                        buffer.append(op)
                    else:
                        recorder.finish(op, end_ns)
                else:
                    return self._send_piece(scope, op, send, message, last=last)
            elif kind == "http.response.pathsend":
                return self._send_piece(scope, op, send, message, last=True)
        except Exception:  # noqa: BLE001
            fault("asgi.send")
        return send(message)

    async def _send_piece(self, scope: Scope, op: _Request, send: Send, message: Message, *, last: bool) -> None:
        """Pass on a piece of a body that comes in several; the end is when the last one is taken."""
        try:
            await send(message)
        except OSError:
            op.left = True
            raise
        try:
            op.nbytes += len(message.get("body") or b"")
            if not op.streaming:
                op.streaming = True
                if not last:
                    self._first_byte(scope, op)
            if last and not op.end_ns:
                self._finish(scope, op, op.outcome or SERVER_ERROR)
        except Exception:  # noqa: BLE001
            fault("asgi.send_piece")

    def _first_byte(self, scope: Scope, op: _Request) -> None:
        """File the time until a streamed body began."""
        if not op.name:
            op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
        first = Operation(STAGE, op.start_ns)
        first.name = "first byte"
        first.outcome = "ok"
        first.root = op
        first.end_ns = perf_counter_ns()
        self.recorder.finish_child(first)

    def _finish(self, scope: Scope, op: _Request, outcome: str) -> None:
        """End `op` with `outcome`, unless the client was seen to leave."""
        op.end_ns = end_ns = perf_counter_ns()
        IN_FLIGHT.discard(op)
        try:
            op.outcome = CLIENT_LEFT if op.left else outcome
            if not op.name:
                op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
            self.recorder.finish(op, end_ns)
        except Exception:  # noqa: BLE001
            fault("asgi.finish")

    def _after(self, op: _Request, outcome: str) -> None:
        """Record the work after the answer, if there was any to speak of."""
        end_ns = perf_counter_ns()
        if op.background is not None or end_ns - op.end_ns > BACKGROUND_NS:
            background = op.left_behind()
            background.outcome = outcome
            self.recorder.finish(background, end_ns)


class _Request(Operation):
    """An HTTP request. Made without arguments, which takes half the time."""

    kind = HTTP
    left = False  # the client was seen to leave
    streaming = False  # a piece of the body is out and more follow

    __init__ = object.__init__  # no frame of its own


def _outcome_of_error(error: BaseException) -> str:
    kind = type(error).__name__
    left = kind in _CANCELLED or kind in _LEFT or isinstance(error, ConnectionError)
    return CLIENT_LEFT if left else SERVER_ERROR


async def _receive(op: _Request, receive: Receive) -> Message:
    message = await receive()
    if not op.end_ns and message.get("type") == "http.disconnect":
        op.left = True
    return message


def _with_timing(message: Message, options: Options, duration_ns: int) -> Message:
    """`message` with the timing headers; the application's own stays as it is."""
    headers = list(message.get("headers") or ())
    headers += [(name.lower().encode(), value.encode()) for name, value in options.timing_headers(duration_ns)]
    return {**message, "headers": headers}


class ServedMiddleware(RecordingMiddleware):
    """For a server to call: servers know ASGI 3 by a `__call__` that is a coroutine function."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        await super().__call__(scope, receive, send)


def serve(app: Any, recorder: Recorder, exclude: tuple[str, ...] | None, options: Options) -> ServedMiddleware:
    """`app` recorded, in a form that every server recognizes as ASGI 3."""
    return ServedMiddleware(app, recorder, exclude=exclude, options=options)
