"""What a span leaves behind when it ends: an operation of its own, or more about the request that it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from pitstop.instrument.live import Served
from pitstop.instrument.names import BY_METHOD
from pitstop.instrument.otel.meaning import LONGEST_NAME, LONGEST_VALUE, is_plain, kept, meaning
from pitstop.model.series import FUNCTION
from pitstop.record.recorder import MOST_CHILDREN, RECORDER

if TYPE_CHECKING:
    from pitstop.instrument.otel.spans import Span
    from pitstop.record.operation import Operation

SHOWN_EVENTS = 16  # kept with a trace, by name and time
SHOWN_LINKS = 8


def file(span: Span, operation: Operation, end_ns: int) -> None:
    """Record what `span` was, below its root or as one."""
    if isinstance(operation, Served) and operation.request is not None:
        _give_way(span, operation, operation.request, end_ns)
        return
    root = operation.root
    given = span.given
    if span.kind is SpanKind.INTERNAL and is_plain(given):
        kind, name, nbytes = FUNCTION, span.name[:LONGEST_NAME], 0
        outcome, attrs = "error" if span.failed else "ok", None
    else:
        # `value` of an enumeration is looked up by a property
        kind, name, outcome, nbytes, attrs = meaning(
            span.kind._value_, span.name, given, failed=span.failed, root=root is None
        )
    if span.events or span.links:
        attrs = {**(attrs or {}), **_beside(span)}
        if span.error:
            attrs.setdefault("error.type", span.error)
    operation.kind, operation.name, operation.outcome = kind, name, outcome
    operation.nbytes, operation.attrs = nbytes, attrs
    if root is None:
        RECORDER.finish(operation, end_ns)
        return
    operation.end_ns = end_ns
    children = root.children
    if children is not None and not root.end_ns and len(children) < MOST_CHILDREN:
        children.append(
            (
                kind, name, outcome, operation.start_ns, end_ns, nbytes, attrs,
                operation.parent.start_ns,  # type: ignore[union-attr]  # below a root it has one
            )
        )  # fmt: skip
    else:
        RECORDER.finish_child(operation)


def _give_way(span: Span, operation: Operation, request: Operation, end_ns: int) -> None:
    """Our middleware has recorded the same request further in; what ended out here is handed to that one."""
    enrich(span, request)
    if operation.children:
        operation.kind, operation.name = "", request.name
        RECORDER.finish(operation, end_ns)


def _beside(span: Span) -> dict[str, object]:
    """Events by name and time since the start, links by their ids: without what they carry."""
    found: dict[str, object] = {}
    if span.events:
        begun_ns = span.start_time
        found["events"] = [
            [str(event.name)[:LONGEST_VALUE], event.timestamp - begun_ns] for event in span.events[:SHOWN_EVENTS]
        ]
    if span.links:
        found["links"] = [
            f"{link.context.trace_id:032x}:{link.context.span_id:016x}" for link in span.links[:SHOWN_LINKS]
        ]
    return found


def enrich(span: Span, request: Operation) -> None:
    """Give the request what only the instrumentation knows: attributes, and a route our middleware cannot see."""
    attrs = kept(span.given)
    if span.events or span.links:
        attrs.update(_beside(span))
    if attrs:
        request.attrs = {**attrs, **(request.attrs or {})}
    route = attrs.get("http.route")
    if route and not request.end_ns and not request.name:
        seen: Any = request
        carrier = getattr(seen, "scope", None) or getattr(seen, "environ", None)
        if carrier is not None and not seen.middleware.template_of(carrier):
            request.name = BY_METHOD[str(attrs.get("http.request.method", ""))][str(route)]
