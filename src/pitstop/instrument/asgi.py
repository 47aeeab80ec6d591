"""Every HTTP request of an ASGI application as one operation, for a few microseconds.

Pure ASGI: no task, no copy of scope or message, `send` wrapped once. The operation ends at the last body message, so
background work is not in it; that is an operation of its own. Needs ASGI 3 (any server since 2019).
"""

from __future__ import annotations

import sys
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import FAILED, IN_FLIGHT, MARK, Served, fault, flush_at_end, note_failure
from pitstop.instrument.loop import LOOP
from pitstop.instrument.names import BY_METHOD, CLIENT_LEFT, OUTCOMES, SERVER_ERROR
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.websocket import record_websocket
from pitstop.model.series import HTTP, STAGE
from pitstop.record.operation import Operation, reset_current, set_current
from pitstop.record.owners import owned
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pitstop.instrument.names import Names
    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

BACKGROUND_NS = 100_000_000  # work after the answer that is not marked as such counts from here: unwinding takes less
_begun, _ended = IN_FLIGHT.add, IN_FLIGHT.discard  # bound once: looking a method up costs as much as calling it
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

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: C901  a call is a tenth of it
        op = _Request()
        op.kind = HTTP
        op.outcome = op.name = op.tenant = ""
        op.weight, op.nbytes, op.end_ns = 1, 0, 0
        op.left = op.streaming = False
        op.root = op.background = op.attrs = None
        op.children = []  # not on demand: two threads of a request must not each make one
        op.middleware, op.scope, op.take, op.forward = self, scope, receive, send
        op.names = BY_METHOD[scope.get("method", "")]
        op.start_ns = perf_counter_ns()
        if self.recorder.shedding:
            self.recorder.admit(op)
        token = set_current(op)
        outer = token.old_value
        if outer.__class__ is Served:
            outer.give_way(op)
        scope[MARK] = True  # not `op`, which holds the scope: a cycle for each request would keep the collector busy
        _begun(op)
        if LOOP.wanted:
            LOOP.watch()
        app = self.app
        try:
            await app(scope, op.receive, op.send)
        except BaseException as error:
            if op.end_ns:
                op.after("error", error)
            else:
                outcome = _outcome_of_error(error)
                if outcome != CLIENT_LEFT:
                    note_failure(op, error)
                op.finish(outcome)
            raise
        else:
            if not op.end_ns:  # returned without an answer, or without the end of one
                op.finish(SERVER_ERROR)
            elif op.background is not None or perf_counter_ns() - op.end_ns > BACKGROUND_NS:
                op.after("ok")
        finally:
            try:
                reset_current(token)
            except ValueError:  # run in another context than it was begun in
                set_current(None)


class _Request(Operation):
    """An HTTP request, and what its application gets as `send`: no coroutine of ours unless the body comes in pieces.

    `_http` sets every field itself, always in the same order: that is the fastest way to make an object, and a field
    set on the instance is found in a fifth of the time that a default of the class takes.
    """

    left: bool  # the client was seen to leave
    streaming: bool  # a piece of the body is out and more follow
    middleware: RecordingMiddleware
    scope: Scope
    take: Receive
    forward: Send
    names: Names

    __init__ = object.__init__  # no frame of its own

    @property
    def traceparent(self) -> bytes | None:  # type: ignore[override]  # read only: looked up when asked, nobody sets a request's
        """The caller's header, as it came."""
        return next((value for name, value in self.scope["headers"] if name == b"traceparent"), None)

    @property
    def host(self) -> str:  # type: ignore[override]  # read only: looked up when asked, nobody sets a request's
        """The caller's Host header."""
        return next((value for name, value in self.scope["headers"] if name == b"host"), b"").decode("latin-1")

    def name_so_far(self) -> str:
        """By the route that the framework has found, if it has."""
        try:
            return self.name or self.names[self.middleware.template_of(self.scope)]
        except Exception:  # noqa: BLE001  it runs in another thread
            return ""

    def send(self, message: Message) -> Awaitable[None]:
        """Pass on `message`, and end with the last of the body."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                status = message["status"]
                self.outcome = OUTCOMES[status]
                if status >= FAILED:  # frameworks answer for an exception while they handle it
                    note_failure(self, self.raised or sys.exception())
                options = self.middleware.options
                if options.exec_time or options.server_timing:
                    message = _with_timing(message, options, perf_counter_ns() - self.start_ns)
            elif self.end_ns:
                pass
            elif kind == "http.response.body":
                last = not message.get("more_body")
                if not last or self.streaming:
                    return self.send_piece(message, last=last)
                self.nbytes = len(message.get("body") or b"")  # the whole body in one message
                self.finish(self.outcome or SERVER_ERROR)
            elif kind == "http.response.pathsend":
                return self.send_piece(message, last=True)
        except Exception:  # noqa: BLE001  the host goes on
            fault("asgi.send")
        forward = self.forward
        return forward(message)

    async def send_piece(self, message: Message, *, last: bool) -> None:
        """Pass on a piece of a body that comes in several; the end is when the last one is taken."""
        try:
            await self.forward(message)
        except OSError:
            self.left = True
            raise
        try:
            self.nbytes += len(message.get("body") or b"")
            if not self.streaming:
                self.streaming = True
                if not last:
                    self.first_byte()
            if last and not self.end_ns:
                self.finish(self.outcome or SERVER_ERROR)
        except Exception:  # noqa: BLE001
            fault("asgi.send_piece")

    def first_byte(self) -> None:
        """File the time until a streamed body began."""
        if not self.name:
            self.name = self.names[self.middleware.template_of(self.scope)]
        first = Operation(STAGE, self.start_ns)
        first.name = "first byte"
        first.outcome = "ok"
        first.root = self
        first.end_ns = perf_counter_ns()
        self.middleware.recorder.finish_child(first)

    async def receive(self) -> Message:
        """What the application gets as `receive`: sees the client leave."""
        take = self.take
        message = await take()
        if not self.end_ns and message.get("type") == "http.disconnect":
            self.left = True
        return message

    def finish(self, outcome: str) -> None:
        """End with `outcome`, unless the client was seen to leave."""
        self.end_ns = end_ns = perf_counter_ns()
        _ended(self)
        try:
            if self.raised is not None:
                self.raised = None
            self.outcome = CLIENT_LEFT if self.left else outcome
            middleware = self.middleware
            if not self.name:
                template_of = middleware.template_of
                self.name = self.names[template_of(self.scope)]
            middleware.recorder.finish(self, end_ns)
        except Exception:  # noqa: BLE001
            fault("asgi.finish")

    def after(self, outcome: str, error: BaseException | None = None) -> None:
        """Record the work after the answer, if there was any to speak of, or it failed."""
        end_ns = perf_counter_ns()
        # what was answered for is the request's failure, and is raised again; a client may leave as it likes
        failed = error is not None and self.failure is None and _outcome_of_error(error) == SERVER_ERROR
        if failed or self.background is not None or end_ns - self.end_ns > BACKGROUND_NS:
            background = self.left_behind()
            background.outcome = outcome
            if failed:
                note_failure(background, error)
            self.middleware.recorder.finish(background, end_ns)


owned(RecordingMiddleware._http, "op")  # noqa: SLF001  for whoever samples stacks


def _outcome_of_error(error: BaseException) -> str:
    kind = type(error).__name__
    left = kind in _CANCELLED or kind in _LEFT or isinstance(error, ConnectionError)
    return CLIENT_LEFT if left else SERVER_ERROR


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
