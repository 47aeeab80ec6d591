"""Every request of a WSGI application (PEP 3333) as one operation.

It ends when the server has taken the last piece of the body and closes the iterable, exactly once; a server that
closes before the body was exhausted had a client that left (499).
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, MARK, Served, fault, note_failure
from pitstop.instrument.names import BY_METHOD, CLIENT_LEFT, OUTCOMES, SERVER_ERROR
from pitstop.instrument.options import OPTIONS
from pitstop.model.series import HTTP, STAGE
from pitstop.record.operation import Operation, get_current, reset_current, set_current
from pitstop.record.owners import owned
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pitstop.instrument.options import Options
    from pitstop.record.recorder import Recorder

    Environ = dict[str, Any]
    StartResponse = Callable[..., Callable[[bytes], object]]
    App = Callable[[Environ, StartResponse], Iterable[bytes]]


WHOLE_BYTES = 65_536  # a body of this length or less goes out in one piece, so it counts as sent when it is handed over
_WERKZEUG = "ClosingIterator"  # what Flask answers with; werkzeug declares a length where it has the whole body
_KNOWN_OUTCOMES = {outcome: outcome for outcome in OUTCOMES[100:]}
_begun, _ended = IN_FLIGHT.add, IN_FLIGHT.discard  # bound once: looking a method up costs as much as calling it


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
        op = _Request()
        op.kind = HTTP
        op.outcome = op.name = op.tenant = ""
        op.weight, op.nbytes, op.end_ns, op.declared_bytes = 1, 0, 0, -1
        op.root = op.background = op.attrs = None
        op.children = []  # not on demand: two threads of a request must not each make one
        op.middleware, op.environ, op.forward = self, environ, start_response
        op.mounted = environ.get("SCRIPT_NAME", "")
        op.start_ns = perf_counter_ns()
        if self.recorder.shedding:
            self.recorder.admit(op)
        environ[MARK] = True
        token = set_current(op)
        outer = token.old_value
        if outer.__class__ is Served:
            outer.give_way(op)
        _begun(op)
        app = self.app
        try:
            body = app(environ, op.start)
        except BaseException as error:
            left = isinstance(error, GeneratorExit)
            if not left:
                note_failure(op, error)
            op.finish(CLIENT_LEFT if left else SERVER_ERROR)
            raise
        finally:
            reset_current(token)
        kind = type(body)
        if kind is list or kind is tuple:
            op.nbytes += sum(map(len, body))
            op.finish("")
            return body
        if 0 <= op.declared_bytes <= WHOLE_BYTES and (kind.__name__ == _WERKZEUG or _is_whole(body)):
            op.nbytes += op.declared_bytes
            op.finish("")
            return body
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # the server sends such files by itself, which it would not do with a body of another type
            op.nbytes += _file_bytes(body)
            op.finish("")
            return body
        return _SizedBody(op, body) if hasattr(body, "__len__") else _Body(op, body)


class _Request(Operation):
    """An HTTP request, and what its application gets as `start_response`.

    `_record` sets every field itself, always in the same order: see `pitstop.instrument.asgi`.
    """

    middleware: RecordingMiddleware
    environ: Environ
    forward: StartResponse
    server_write: Callable[[bytes], object]
    mounted: str
    declared_bytes: int

    __init__ = object.__init__  # no frame of its own

    @property
    def traceparent(self) -> bytes | None:  # type: ignore[override]  # read only: looked up when asked, nobody sets a request's
        """The caller's header, as it came."""
        header = self.environ.get("HTTP_TRACEPARENT")
        return None if header is None else header.encode("latin-1", "replace")

    @property
    def host(self) -> str:  # type: ignore[override]  # read only: looked up when asked, nobody sets a request's
        """The caller's Host header."""
        return str(self.environ.get("HTTP_HOST", ""))

    def name_so_far(self) -> str:
        """By the route that the framework has found, if it has."""
        try:
            return self.name or BY_METHOD[self.environ["REQUEST_METHOD"]][self.middleware.template_of(self.environ)]
        except Exception:  # noqa: BLE001  it runs in another thread
            return ""

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """Take note of the status and pass it on."""
        try:
            self.outcome = outcome = status[:3]
            if outcome >= SERVER_ERROR:
                note_failure(self, self.raised or (exc_info[1] if exc_info else sys.exception()))
            for name, value in headers:
                if name == "Content-Length":
                    self.declared_bytes = int(value)
            self.find_name()  # here, because frameworks forget the route when they are done
            options = self.middleware.options
            if options.exec_time or options.server_timing:
                headers = headers + options.timing_headers(perf_counter_ns() - self.start_ns)
        except Exception:  # noqa: BLE001  the host goes on
            fault("wsgi.start")
        forward = self.forward
        self.server_write = forward(status, headers) if exc_info is None else forward(status, headers, exc_info)
        return self.write

    def write(self, data: bytes) -> object:
        """What `start_response` returns: PEP 3333's way to send before the body."""
        self.nbytes += len(data)
        return self.server_write(data)

    def find_name(self) -> None:
        """The name by method and route template; of an application below another, with the path to it."""
        environ = self.environ
        template_of = self.middleware.template_of
        template = template_of(environ)
        if self.name and not template:
            return
        here = environ.get("SCRIPT_NAME", "")
        if here != self.mounted and template and here.startswith(self.mounted):
            template = here[len(self.mounted) :] + template
        self.name = BY_METHOD[environ["REQUEST_METHOD"]][template]

    def finish(self, outcome: str) -> None:
        """End, once; `outcome` "" stands for the status the application gave."""
        if self.end_ns:
            return
        self.end_ns = end_ns = perf_counter_ns()
        _ended(self)
        try:
            if self.raised is not None:
                self.raised = None
            self.outcome = outcome or _KNOWN_OUTCOMES.get(self.outcome) or SERVER_ERROR
            if not self.name:
                self.find_name()
            self.middleware.recorder.finish(self, end_ns)
        except Exception:  # noqa: BLE001
            fault("wsgi.finish")

    def first_byte(self, at_ns: int) -> None:
        """The body comes in pieces: file the time until the first."""
        try:
            first = Operation(STAGE, self.start_ns)
            first.name = "first byte"
            first.outcome = "ok"
            first.root = self
            first.end_ns = at_ns
            self.middleware.recorder.finish_child(first)
        except Exception:  # noqa: BLE001
            fault("wsgi.first_byte")

    def abandoned(self) -> str:
        """The outcome when the server stops before the end of the body: complete if all that was declared is sent."""
        return "" if 0 <= self.declared_bytes <= self.nbytes else CLIENT_LEFT


class _Body:
    """The application's iterable, passed on piece by piece; the operation is current while a piece is made."""

    def __init__(self, op: _Request, body: Iterable[bytes]) -> None:
        self._op = op
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._first_ns = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        op = self._op
        if self._pieces is None:
            self._pieces = iter(self._body)
        if op.end_ns:
            return next(self._pieces)
        before = get_current()
        set_current(op)
        try:
            piece = next(self._pieces)
        except StopIteration:
            op.finish("")
            raise
        except BaseException as error:
            note_failure(op, error)
            op.finish(SERVER_ERROR)
            raise
        finally:
            set_current(before)
        if piece:
            op.nbytes += len(piece)
            if not self._first_ns:
                if op.nbytes == op.declared_bytes:  # the whole body in one piece: nothing to wait for
                    op.finish("")
                    return piece
                self._first_ns = perf_counter_ns()
            elif self._first_ns > 0:
                op.first_byte(self._first_ns)
                self._first_ns = -1
        return piece

    def close(self) -> None:
        """Called by the server when it needs no more."""
        op = self._op
        before = get_current()
        set_current(op)
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            set_current(before)
            if not op.end_ns:
                op.finish(op.abandoned())

    def __del__(self) -> None:
        if not self._op.end_ns:
            self._op.finish(self._op.abandoned())


class _SizedBody(_Body):
    """A body that says how many pieces it has, by which servers know its length."""

    def __len__(self) -> int:
        return len(self._body)  # type: ignore[arg-type]  # only bodies that have one come here


for _function in (RecordingMiddleware._record, _Body.__next__, _Body.close):  # noqa: SLF001
    owned(_function, "op")  # for whoever samples stacks


def _is_whole(body: object) -> bool:
    """Whether this is an answer of Django's that has its whole content."""
    return getattr(body, "streaming", None) is False


def _file_bytes(body: Any) -> int:
    """How much a file wrapper is about to send, as far as the file says."""
    import os  # noqa: PLC0415

    try:
        handle = body.filelike
        return int(os.fstat(handle.fileno()).st_size - handle.tell())
    except (AttributeError, OSError, ValueError):
        return 0
