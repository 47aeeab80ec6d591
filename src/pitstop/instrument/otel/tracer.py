"""TracerProvider and Tracer over our recorder: where a span begins, and what it belongs to."""

from __future__ import annotations

import time
from time import perf_counter_ns
from typing import TYPE_CHECKING

from opentelemetry import context as context_api
from opentelemetry import trace as trace_api
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanKind
from opentelemetry.trace import Span as ApiSpan

from pitstop.instrument.live import ATTACHED, Served, fault
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.otel.context import SPAN_KEY, link
from pitstop.instrument.otel.current import Current
from pitstop.instrument.otel.spans import FILED, MERGED, PASSED, Span
from pitstop.model.series import FUNCTION, HTTP, WEBSOCKET
from pitstop.record.operation import Operation, get_current
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry.context.context import Context
    from opentelemetry.trace import Link, SpanContext
    from opentelemetry.util.types import Attributes

SERVER = SpanKind.SERVER
_SERVED = "server_span"  # on a request that a SERVER span has taken on

TWINS = {
    "aiohttp_client": "aiohttp", "aiopg": "psycopg2", "asyncpg": "asyncpg", "celery": "celery",
    "httpx": "httpx", "jinja2": "jinja2", "mysqlclient": "mysqlclient", "psycopg": "psycopg",
    "psycopg2": "psycopg2", "pymemcache": "pymemcache", "pymysql": "pymysql", "redis": "redis", "requests": "urllib3",
    "sqlalchemy": "sqlalchemy", "sqlite3": "sqlite3", "urllib3": "urllib3",
}  # fmt: skip
"""``opentelemetry.instrumentation.…`` and the integration of ours that records the same calls."""


class Spanned(Operation):
    """The operation of a span below another; `start_span` sets its fields."""

    __init__ = object.__init__  # no frame of its own


class TracerProvider(trace_api.TracerProvider):
    """Gives out tracers that record into `pitstop.record`; nothing while recording is off.

    `stands_in`: it is the global one only until the host sets its own.
    """

    def __init__(self, *, stands_in: bool = False) -> None:
        self.stands_in = stands_in
        self.contexts = link(context_api)

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace_api.Tracer:
        """Of the API."""
        return Tracer(self, (instrumenting_module_name, instrumenting_library_version, schema_url, attributes))

    def force_flush(self, timeout_millis: int = 2000) -> bool:
        """Write what is recorded so far, as the SDK's provider would."""
        flush = RECORDER.flush
        return flush is None or flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Recording goes on: it is not OpenTelemetry that switched it on."""


class Tracer(trace_api.Tracer):
    """Begins spans. One of the host's SDK takes over where the host sets its provider after us."""

    def __init__(self, provider: TracerProvider, scope: tuple[str, str | None, str | None, Attributes]) -> None:
        self.scope = scope
        self.contexts = provider.contexts
        self._provider = provider
        self._stands_in = provider.stands_in
        self._other: trace_api.Tracer | None = None
        library = str(scope[0] or "").removeprefix("opentelemetry.instrumentation.")
        self._twin = TWINS.get(library, "")

    def start_span(  # noqa: C901, PLR0911, PLR0912  one for all: a call for each case costs as much as the rest
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> ApiSpan:
        """Of the API. A span is never current by being started."""
        if self._stands_in and trace_api._TRACER_PROVIDER is not self._provider:  # noqa: SLF001  it was replaced
            other = self._others()
            if other is not None:
                theirs: ApiSpan = other.start_span(
                    name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
                )
                return theirs
        try:
            holder = (self.contexts.get() if context is None else context).get(SPAN_KEY)
            if not RECORDER.on:
                return _unrecorded(holder)
            span: Span = Span()
            span.name = name
            span.kind = kind
            span.given = dict(attributes) if attributes else {}
            if links:
                span.links = tuple(links)
            if not (record_exception and set_status_on_exception):
                span.record_exceptions, span.set_status_on_exception = record_exception, set_status_on_exception
            running = get_current()
            if kind is SERVER and self._merges(span, holder, running):
                return span
            parent = running
            if holder is not None or context is not None:
                parent = self._parent(span, holder, running, explicit=context is not None)
            else:
                span.above = parent
            if self._twin and self._twin in ATTACHED:
                span.fate, span.operation = PASSED, parent
                span.start_ns = perf_counter_ns()
                return span
            span.fate = FILED
            if parent is None:
                if kind is SERVER and _is_excluded(span.given):
                    return _unrecorded(holder)
                self._begin_root(span)
            else:
                span.operation = operation = Spanned()
                operation.kind = FUNCTION
                operation.root = parent.root or parent
                operation.parent = parent
                operation.name = name
                operation.end_ns = operation.nbytes = 0
                operation.children = None
                span.start_ns = operation.start_ns = perf_counter_ns()
            if start_time is not None and span.operation is not None:
                span.start_ns = max(1, perf_counter_ns() - (time.time_ns() - start_time))
                span.operation.start_ns = span.start_ns
        except Exception:  # noqa: BLE001  the host goes on
            fault("otel.start_span")
            return INVALID_SPAN
        return span

    def start_as_current_span(  # type: ignore[override]  # the API's is a generator, which takes five times as long
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Current:
        """Of the API: for ``with``, or as a decorator of plain and coroutine functions."""
        return Current(
            self,
            (name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception),
            end_on_exit,
        )

    def _others(self) -> trace_api.Tracer | None:
        """The tracer of the provider that the host has set, or None where there is none."""
        if self._other is None:
            provider = trace_api._TRACER_PROVIDER  # noqa: SLF001
            if provider is None or isinstance(provider, TracerProvider):
                return None
            self._other = provider.get_tracer(*self.scope)
        return self._other

    def _parent(self, span: Span, holder: object, running: Operation | None, *, explicit: bool) -> Operation | None:
        """What `span` runs in: the innermost of the context's span, `holder`, and of what runs here by our own account.

        Where a context was handed over, it says more than what happens to run here.
        """
        if isinstance(holder, Span):
            parent: Operation | None = holder.operation
            if holder.source is not None:
                span.source = holder.source
            if (
                running is not parent
                and running is not None
                and not explicit
                and (parent is None or running.start_ns > parent.start_ns)
            ):
                span.above = running
                return running
            span.above = holder
            return parent
        if not isinstance(holder, ApiSpan) or not holder.get_span_context().is_valid:
            span.above = within = None if explicit else running
            return within
        span.source = span.above = holder
        known = running is not None and int(running.trace_id, 16) == holder.get_span_context().trace_id
        return running if known else None

    def _begin_root(self, span: Span) -> None:
        served = span.kind is SERVER
        span.operation = operation = Served(HTTP, 0) if served else Operation(FUNCTION, 0)
        if not served:  # whose name is its route, which is known later
            operation.name = span.name
        source = span.source
        if source is not None:
            outer: SpanContext = source.get_span_context()
            operation.known_trace_id = f"{outer.trace_id:032x}"
            operation.traceparent = b"00-%032x-%016x-%02x" % (outer.trace_id, outer.span_id, outer.trace_flags)
        if RECORDER.shedding:
            RECORDER.admit(operation)
        span.start_ns = operation.start_ns = perf_counter_ns()

    def _merges(self, span: Span, holder: object, running: Operation | None) -> bool:
        """Whether `span` is the request that our middleware records here; then it takes on its identity."""
        if running is None:
            return False
        request = running.root or running
        if request.kind not in {HTTP, WEBSOCKET} or request.end_ns or _SERVED in vars(request):
            return False
        begun_in = holder.operation if isinstance(holder, Span) else None
        if begun_in is not None and (begun_in.root or begun_in) is request:
            return False  # a request of its own, served in process
        vars(request)[_SERVED] = True
        span.fate, span.operation = MERGED, request
        span.start_ns = request.start_ns
        span.above = None
        if isinstance(holder, ApiSpan) and not isinstance(holder, Span):
            outer = holder.get_span_context()
            if outer.is_valid:
                span.source = span.above = holder
                if request.known_trace_id is None and request.traceparent is None:
                    request.known_trace_id = f"{outer.trace_id:032x}"  # told by a header that only the host reads
        return True


def _unrecorded(holder: object) -> ApiSpan:
    """What stands for a span that is not recorded: its parent's context goes on."""
    if isinstance(holder, ApiSpan):
        return holder if isinstance(holder, NonRecordingSpan) else NonRecordingSpan(holder.get_span_context())
    return INVALID_SPAN


def _is_excluded(given: Mapping[str, object]) -> bool:
    """Whether the setting ``exclude`` leaves this request out, as it does where our middleware sees it."""
    path = given.get("url.path") or given.get("http.target")
    return isinstance(path, str) and bool(OPTIONS.exclude) and path.startswith(OPTIONS.exclude)
