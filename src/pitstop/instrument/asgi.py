"""Every HTTP request of an ASGI application as one operation, for a few microseconds.

Pure ASGI: no task, no copy of scope or message, `send` wrapped once. The operation ends at the last body message, so
background work is not in it; that is an operation of its own. Needs ASGI 3 (any server since 2019).
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, MARK, fault
from pitstop.instrument.names import BACKGROUND, BY_METHOD, CLIENT_LEFT, OUTCOMES, SERVER_ERROR, outcome_of
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.runtime import LOOP
from pitstop.instrument.websocket import record_websocket
from pitstop.model.series import HTTP, STAGE, TASK
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKGROUND_NS = 1_000_000  # unwinding the middlewares after the last message stays well below 1 ms
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
        if not self.recorder.on:
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
        return self.app(scope, receive, send)

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

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901, PLR0915  one piece: calls cost
        recorder = self.recorder
        op = Operation(HTTP, perf_counter_ns())
        if recorder.shedding:
            recorder.admit(op)
        before = CURRENT.get()
        try:
            scope[MARK] = op
            for name, value in scope["headers"]:
                if name == b"traceparent":
                    op.traceparent = value
                    break
            if LOOP.wanted:
                LOOP.watch()
        except Exception:  # noqa: BLE001
            fault("asgi.begin")
        IN_FLIGHT.add(op)
        CURRENT.set(op)
        status = 0
        streaming = failed = False
        options = self.options

        def observed_send(message: Message) -> Awaitable[None]:  # noqa: C901
            nonlocal status, streaming
            try:
                kind = message["type"]
                if kind == "http.response.body":
                    if op.end_ns:
                        return send(message)
                    body = message.get("body")
                    if body:
                        op.nbytes += len(body)
                    if not (streaming or message.get("more_body")):  # the whole body in one message
                        op.end_ns = end_ns = perf_counter_ns()
                        if not op.outcome:
                            op.outcome = OUTCOMES[status]
                        if not op.name:
                            op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
                        IN_FLIGHT.discard(op)
                        recorder.finish(op, end_ns)
                        tail = Operation(TASK, end_ns)
                        tail.name = BACKGROUND[op.name]
                        tail.weight = op.weight
                        CURRENT.set(tail)
                        return send(message)
                    if not streaming:
                        streaming = True
                        self._first_byte(scope, op)
                    return watched_send(message, last=not message.get("more_body"))
                if kind == "http.response.start":
                    status = message["status"]
                    if options.exec_time or options.server_timing:
                        message = _with_timing(message, options, perf_counter_ns() - op.start_ns)
                elif kind == "http.response.pathsend":
                    return watched_send(message, last=True)
            except Exception:  # noqa: BLE001
                fault("asgi.send")
            return send(message)

        async def watched_send(message: Message, *, last: bool) -> None:
            try:
                await send(message)
            except OSError:
                if not op.end_ns:
                    op.outcome = CLIENT_LEFT
                raise
            if last and not op.end_ns:
                self._finish(scope, op, outcome_of(status))

        async def observed_receive() -> Message:
            message = await receive()
            if not op.end_ns and message.get("type") == "http.disconnect":
                op.outcome = CLIENT_LEFT
            return message

        try:
            await self.app(scope, observed_receive, observed_send)
        except BaseException as error:
            failed = True
            if not op.end_ns:
                kind = type(error).__name__
                left = kind in _CANCELLED or kind in _LEFT or isinstance(error, ConnectionError)
                self._finish(scope, op, CLIENT_LEFT if left else SERVER_ERROR)
            raise
        finally:
            if not op.end_ns:  # returned without an answer, or without the end of one
                self._finish(scope, op, SERVER_ERROR)
            tail = CURRENT.get()
            if tail is not op and tail is not None and tail.kind == TASK and not tail.end_ns:
                self._finish_tail(tail, failed=failed)
            CURRENT.set(before)

    def _first_byte(self, scope: Scope, op: Operation) -> None:
        """File the time until a streamed body began."""
        if not op.name:
            op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
        first = Operation(STAGE, op.start_ns)
        first.name = "first byte"
        first.outcome = "ok"
        first.root = op
        first.end_ns = perf_counter_ns()
        self.recorder.finish_child(first)

    def _finish(self, scope: Scope, op: Operation, outcome: str) -> None:
        """End `op` with `outcome`, unless it is known already that the client has left."""
        op.end_ns = end_ns = perf_counter_ns()
        IN_FLIGHT.discard(op)
        try:
            op.outcome = op.outcome or outcome
            if not op.name:
                op.name = BY_METHOD[scope["method"]][self.template_of(scope)]
            self.recorder.finish(op, end_ns)
            tail = Operation(TASK, end_ns)
            tail.name = BACKGROUND[op.name]
            tail.weight = op.weight
            if CURRENT.get() is op:
                CURRENT.set(tail)
        except Exception:  # noqa: BLE001
            fault("asgi.finish")

    def _finish_tail(self, tail: Operation, *, failed: bool) -> None:
        """Record the work after the answer, if there was any to speak of."""
        end_ns = perf_counter_ns()
        if end_ns - tail.start_ns >= BACKGROUND_NS or tail.children:
            tail.outcome = "error" if failed else "ok"
            self.recorder.finish(tail, end_ns)


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
