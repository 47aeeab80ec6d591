"""Every request of a WSGI application (PEP 3333) as one operation.

It ends when the server has taken the last piece of the body and closes the iterable, exactly once; a server that
closes before the body was exhausted had a client that left (499).
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, MARK, fault
from pitstop.instrument.names import BY_METHOD, CLIENT_LEFT, SERVER_ERROR, outcome_of
from pitstop.instrument.options import OPTIONS
from pitstop.model.series import HTTP, STAGE
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]


def route_of(_environ: Environ) -> str:
    """A plain WSGI application has no routes that we know of."""
    return ""


class RecordingMiddleware:
    """Records what passes through `app` while `recorder` is on.

    `template_of` reads the route template out of an environ once the application has answered; `exclude` is path
    prefixes that pass before anything is allocated (None: the option `exclude` and what `static_of` finds).
    """

    def __init__(
        self,
        app: App,
        recorder: Recorder = RECORDER,
        *,
        template_of: Callable[[Environ], str] = route_of,
        exclude: tuple[str, ...] | None = None,
        static_of: Callable[[], tuple[str, ...]] = tuple,
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

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """WSGI."""
        if not self.recorder.on or MARK in environ:
            return self.app(environ, start_response)
        if self._options_version != self.options.version:
            self._configure()
        path = environ.get("PATH_INFO", "")
        if path.startswith(self.exclude):
            return self.app(environ, start_response)
        return self._record(environ, start_response)

    def _configure(self) -> None:
        self._options_version = self.options.version
        try:
            self.exclude = (self.options.exclude if self._given is None else self._given) + self._static_of()
        except Exception:  # noqa: BLE001  the host goes on
            fault("wsgi.exclude")

    def _record(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        recorder = self.recorder
        op = Operation(HTTP, perf_counter_ns())
        if recorder.shedding:
            recorder.admit(op)
        exchange = _Exchange(self, environ, start_response, op)
        environ[MARK] = op
        before = CURRENT.get()
        CURRENT.set(op)
        IN_FLIGHT.add(op)
        try:
            body = self.app(environ, exchange.start)
        except BaseException as error:
            exchange.finish(CLIENT_LEFT if isinstance(error, GeneratorExit) else SERVER_ERROR)
            raise
        finally:
            CURRENT.set(before)
        kind = type(body)
        if kind is list or kind is tuple:  # the whole body is there
            op.nbytes += sum(map(len, body))
            exchange.finish("")
            return body
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # the server sends such files by itself, which it would not do with a body of another type
            op.nbytes += _file_bytes(body)
            exchange.finish("")
            return body
        return _SizedBody(exchange, body) if hasattr(body, "__len__") else _Body(exchange, body)


class _Exchange:
    """One request and its answer."""

    __slots__ = ("_environ", "_middleware", "_mounted", "_start_response", "declared_bytes", "op")

    def __init__(
        self, middleware: RecordingMiddleware, environ: Environ, start_response: StartResponse, op: Operation
    ) -> None:
        self.op = op
        self.declared_bytes = -1
        self._middleware = middleware
        self._environ = environ
        self._start_response = start_response
        self._mounted = environ.get("SCRIPT_NAME", "")
        traceparent = environ.get("HTTP_TRACEPARENT")
        if traceparent is not None:
            op.traceparent = traceparent.encode("latin-1", "replace")

    def start(self, status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
        """What the application gets as `start_response`."""
        op = self.op
        try:
            op.outcome = status[:3]
            for name, value in headers:
                if name == "Content-Length":
                    self.declared_bytes = int(value)
            self._name()  # here, because frameworks forget the route when they are done
            options = self._middleware.options
            if options.exec_time or options.server_timing:
                headers = headers + options.timing_headers(perf_counter_ns() - op.start_ns)
        except Exception:  # noqa: BLE001  the host goes on
            fault("wsgi.start")
        write = self._start_response(status, headers, *exc_info)

        def observed_write(data: bytes) -> object:
            op.nbytes += len(data)
            return write(data)

        return observed_write

    def _name(self) -> None:
        op, environ = self.op, self._environ
        template = self._middleware.template_of(environ)
        if op.name and not template:
            return
        here = environ.get("SCRIPT_NAME", "")
        if here != self._mounted and template and here.startswith(self._mounted):
            template = here[len(self._mounted) :] + template
        op.name = BY_METHOD[environ["REQUEST_METHOD"]][template]

    def finish(self, outcome: str) -> None:
        """End the operation, once; `outcome` "" stands for the status the application gave."""
        op = self.op
        if op.end_ns:
            return
        op.end_ns = end_ns = perf_counter_ns()
        IN_FLIGHT.discard(op)
        try:
            op.outcome = outcome or (outcome_of(int(op.outcome)) if op.outcome.isdigit() else SERVER_ERROR)
            if not op.name:
                self._name()
            self._middleware.recorder.finish(op, end_ns)
        except Exception:  # noqa: BLE001
            fault("wsgi.finish")

    def first_byte(self, at_ns: int) -> None:
        """The body comes in pieces: file the time until the first."""
        try:
            first = Operation(STAGE, self.op.start_ns)
            first.name = "first byte"
            first.outcome = "ok"
            first.root = self.op
            first.end_ns = at_ns
            self._middleware.recorder.finish_child(first)
        except Exception:  # noqa: BLE001
            fault("wsgi.first_byte")

    def abandoned(self) -> str:
        """The outcome when the server stops before the end of the body: complete if all that was declared is sent."""
        return "" if 0 <= self.declared_bytes <= self.op.nbytes else CLIENT_LEFT


class _Body:
    """The application's iterable, passed on piece by piece; the operation is current while a piece is made."""

    def __init__(self, exchange: _Exchange, body: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._first_ns = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        exchange = self._exchange
        op = exchange.op
        if self._pieces is None:
            self._pieces = iter(self._body)
        if op.end_ns:
            return next(self._pieces)
        before = CURRENT.get()
        CURRENT.set(op)
        try:
            piece = next(self._pieces)
        except StopIteration:
            exchange.finish("")
            raise
        except BaseException:
            exchange.finish(SERVER_ERROR)
            raise
        finally:
            CURRENT.set(before)
        if piece:
            op.nbytes += len(piece)
            if not self._first_ns:
                if op.nbytes == exchange.declared_bytes:  # the whole body in one piece: nothing to wait for
                    exchange.finish("")
                    return piece
                self._first_ns = perf_counter_ns()
            elif self._first_ns > 0:
                exchange.first_byte(self._first_ns)
                self._first_ns = -1
        return piece

    def close(self) -> None:
        """Called by the server when it needs no more."""
        exchange = self._exchange
        before = CURRENT.get()
        CURRENT.set(exchange.op)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            CURRENT.set(before)
            if not exchange.op.end_ns:
                exchange.finish(exchange.abandoned())

    def __del__(self) -> None:
        if not self._exchange.op.end_ns:
            self._exchange.finish(self._exchange.abandoned())


class _SizedBody(_Body):
    """A body that says how many pieces it has, by which servers know its length."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # only bodies that have one come here


def _file_bytes(body: Any) -> int:
    """How much a file wrapper is about to send, as far as the file says."""
    import os  # noqa: PLC0415

    try:
        handle = body.filelike
        return int(os.fstat(handle.fileno()).st_size - handle.tell())
    except (AttributeError, OSError, ValueError):
        return 0
