"""A span as the host's instrumentations see it: OpenTelemetry's interface around one of our operations.

Three fates: *filed* as an operation of its own; *merged* into the request that our middleware records anyway, whose
identity it takes on; *passed* where an integration of ours records the same call: it only carries the context.
"""

from __future__ import annotations

import time
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import DEFAULT_TRACE_STATE

from pitstop.instrument.live import fault
from pitstop.instrument.otel.filing import enrich, file
from pitstop.record.failure import failure_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from opentelemetry.trace import Link
    from opentelemetry.util.types import AnyValue, Attributes

    from pitstop.record.operation import Operation

FILED, MERGED, PASSED = range(3)

MOST_ATTRIBUTES = 128  # of a span, as the SDK's default limit: OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT
MOST_EVENTS = 128

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)
_SPAN_IDS = (1 << 64) - 1


class Event:
    """Something that happened during a span, `timestamp` Unix time in ns."""

    __slots__ = ("attributes", "name", "timestamp")

    def __init__(self, name: str, attributes: Attributes, timestamp: int) -> None:
        self.name = name
        self.attributes = attributes
        self.timestamp = timestamp


class Span(ApiSpan):
    """Made by our Tracer, which sets every field: that is the fastest way.

    `operation` is what others run below: of a passed span its parent's, or None. `source` is the span of another
    provider or process that the trace came from. Times are monotonic, ns.
    """

    operation: Operation | None
    fate: int
    name: str
    kind: SpanKind
    start_ns: int
    above: ApiSpan | Operation | None
    given: dict[str, Any]

    __init__ = object.__init__  # no frame of its own

    # of few spans, hence defaults of the class
    source: ApiSpan | None = None
    end_ns = 0
    links: Sequence[Link] = ()
    events: Sequence[Event] = ()
    failed = False
    error = ""
    record_exceptions = True
    set_status_on_exception = True
    _context: SpanContext | None = None
    _status: Status = _UNSET

    @property
    def merged(self) -> bool:
        """Whether it stands for a request that our middleware records."""
        return self.fate == MERGED

    @property
    def attributes(self) -> Mapping[str, AnyValue]:
        """What was set, cleaned as the SDK cleans it."""
        return BoundedAttributes(MOST_ATTRIBUTES, self.given)

    @property
    def status(self) -> Status:
        """As it was set last."""
        return self._status

    @property
    def parent(self) -> SpanContext | None:
        """The context of what it ran in, or None."""
        above = self.above
        if above is None:
            return None
        if isinstance(above, ApiSpan):
            return above.get_span_context()
        return SpanContext(int(above.trace_id, 16), above.start_ns & _SPAN_IDS, is_remote=False, trace_flags=_SAMPLED)

    @property
    def start_time(self) -> int:
        """Unix time, ns."""
        return self.start_ns + time.time_ns() - perf_counter_ns()

    @property
    def end_time(self) -> int | None:
        """Unix time, ns; None while it runs."""
        return self.end_ns + time.time_ns() - perf_counter_ns() if self.end_ns else None

    def get_span_context(self) -> SpanContext:
        """The trace's id, and the operation's as the span's."""
        context = self._context
        if context is None:
            source = self.source
            outer = source.get_span_context() if source is not None else None
            flags, state = (_SAMPLED, DEFAULT_TRACE_STATE) if outer is None else (outer.trace_flags, outer.trace_state)
            context = self._context = SpanContext(
                self._trace_id(), self.start_ns & _SPAN_IDS, is_remote=False, trace_flags=flags, trace_state=state
            )
        return context

    def _trace_id(self) -> int:
        if self.operation is not None:
            return int(self.operation.trace_id, 16)
        if self.source is not None:
            return self.source.get_span_context().trace_id
        from os import urandom  # noqa: PLC0415  a passed span outside of everything

        return int.from_bytes(urandom(16), "big")

    def is_recording(self) -> bool:
        """Until it ends."""
        return not self.end_ns

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Of the API."""
        if not self.end_ns:
            given = self.given
            if len(given) < MOST_ATTRIBUTES or key in given:
                given[key] = value

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Of the API."""
        if not self.end_ns:
            self.given.update(attributes)
            if len(self.given) > MOST_ATTRIBUTES:
                self.given = dict(list(self.given.items())[:MOST_ATTRIBUTES])

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Of the API."""
        if not self.end_ns and len(self.events) < MOST_EVENTS:
            event = Event(name, attributes, time.time_ns() if timestamp is None else timestamp)
            self.events = (*self.events, event)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Of the API."""
        from opentelemetry.trace import Link  # noqa: PLC0415  few spans have links

        if not self.end_ns and (context.is_valid or attributes) and len(self.links) < MOST_EVENTS:
            self.links = (*self.links, Link(context, attributes))

    def update_name(self, name: str) -> None:
        """Of the API."""
        if not self.end_ns:
            self.name = name
            if self.fate == FILED and self.operation is not None and self.kind is not SpanKind.SERVER:
                self.operation.name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """OK is final, and UNSET changes nothing: OpenTelemetry's specification, "Set Status"."""
        if self.end_ns:
            return
        code = status if isinstance(status, StatusCode) else status.status_code
        if code is StatusCode.UNSET or self._status.status_code is StatusCode.OK:
            return
        self._status = Status(status, description) if isinstance(status, StatusCode) else status
        self.failed = code is StatusCode.ERROR

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """An event with the exception's type; what it says may have values of users, so it is not kept."""
        if self.end_ns:
            return
        try:
            kind = type(exception)
            name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
            self.add_event(
                "exception",
                {**(attributes or {}), "exception.type": name, "exception.escaped": str(escaped)},
                timestamp,
            )
            operation = self.operation
            if self.fate == PASSED or operation is None:
                return
            if operation.root is not None:
                self.error = name
            elif operation.failure is None:  # of a request or task: counted with its stack, without what it says
                operation.failure = failure_of(exception)
        except Exception:  # noqa: BLE001  the host goes on
            fault("otel.record_exception")

    def __exit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        if exc_val is not None:
            self.fail(exc_val, record=self.record_exceptions, set_status=self.set_status_on_exception)
        self.end()

    def fail(self, error: BaseException, *, record: bool, set_status: bool) -> None:
        """`error` left the span, as `use_span` of the API has it."""
        if self.end_ns:
            return
        if record:
            self.record_exception(error, escaped=True)
        if set_status:
            try:
                text = f"{type(error).__name__}: {error}"
            except Exception:  # noqa: BLE001  the host's exception cannot be written
                text = type(error).__name__
            self.set_status(Status(StatusCode.ERROR, text))

    def end(self, end_time: int | None = None) -> None:
        """File it. The first call counts."""
        if self.end_ns:
            return
        end_ns = perf_counter_ns()
        if end_time is not None:
            end_ns = max(self.start_ns, end_ns - (time.time_ns() - end_time))
        self.end_ns = end_ns
        operation = self.operation
        if operation is None:
            return
        try:
            if self.fate == FILED:
                file(self, operation, end_ns)
            elif self.fate == MERGED:
                enrich(self, operation)
        except Exception:  # noqa: BLE001  the host goes on
            fault("otel.end")
