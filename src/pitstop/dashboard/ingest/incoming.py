"""Spans as they came, clipped to what is looked at; what cannot be one is refused and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.instrument.otel.meaning import KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

MOST_SPANS = 20_000  # of one request; an SDK sends 512
OLDEST_NS = 7 * 86_400 * 10**9  # older ones belong to hours that are folded
AHEAD_NS = 600 * 10**9  # what a sender's clock may be ahead
LONGEST_SERVICE = 100
LONGEST_TEXT = 16_000  # of a statement; its pattern is shorter
_BESIDE = ("db.statement", "db.query.text", "db.response.returned_rows", "url.full", "http.url", "url.scheme")
_OURS = "pitstop."
_LOOKED_AT = frozenset(KEPT) | frozenset((*_BESIDE, "http.scheme", "telemetry.sdk.name"))
_ERROR = 2  # Status.StatusCode

UNKNOWN = "unknown_service"  # as the SDKs name it


class Source(NamedTuple):
    """Who sent: `instance` tells workers of one service apart; `ours`: it is a Pitstop that exports."""

    service: str
    instance: str
    ours: bool


class Incoming(NamedTuple):
    """One span. `kind` as `pitstop.instrument.otel.meaning` has it; `error` the type of the last exception, or ""."""

    trace_id: str
    span_id: int
    parent_id: int
    kind: int
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, object]
    failed: bool
    error: str


class Refused:
    """How much of a request was not taken, and why."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""

    def add(self, reason: str, count: int = 1) -> None:
        """`count` were not taken; the first reason is told."""
        self.count += count
        self.reason = self.reason or reason


def source_of(resource: Resource) -> Source:
    """The service that `resource` describes."""
    found = {pair.key: scalar(pair.value) for pair in resource.attributes}
    service = clean(found.get("service.name"))[:LONGEST_SERVICE] or UNKNOWN
    instance = clean(found.get("service.instance.id") or found.get("host.name"))[:LONGEST_SERVICE] or service
    return Source(service, instance, found.get("telemetry.sdk.name") == "pitstop")


def spans_of(
    request: ExportTraceServiceRequest, now_ns: int, refused: Refused
) -> Iterable[tuple[Source, list[Incoming]]]:
    """The spans of a request by their service."""
    taken = 0
    for group in request.resource_spans:
        source = source_of(group.resource)
        found = []
        for scope in group.scope_spans:
            for span in scope.spans:
                taken += 1
                if taken > MOST_SPANS:
                    refused.add(f"a request may have {MOST_SPANS} spans")
                    continue
                incoming = _incoming(span, now_ns, refused)
                if incoming is not None:
                    found.append(incoming)
        if found:
            yield source, found


def _incoming(span: Span, now_ns: int, refused: Refused) -> Incoming | None:
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or not any(span.trace_id) or not any(span.span_id):  # noqa: PLR2004
        refused.add("a span without a valid trace id and span id")
        return None
    start_ns, end_ns = span.start_time_unix_nano, max(span.end_time_unix_nano, span.start_time_unix_nano)
    if not now_ns - OLDEST_NS < start_ns <= end_ns < now_ns + AHEAD_NS:
        refused.add("a span older than 7 days, or more than 10 minutes ahead of this machine's clock")
        return None
    error = ""
    for event in span.events[-8:]:
        if event.name == "exception":
            error = next((clean(scalar(p.value)) for p in event.attributes if p.key == "exception.type"), error)
    kind = span.kind - 1 if 1 <= span.kind <= 5 else 0  # noqa: PLR2004  SpanKind's last
    return Incoming(
        span.trace_id.hex(), int.from_bytes(span.span_id, "big"), int.from_bytes(span.parent_span_id[:8], "big"),
        kind, clean(span.name)[:500], start_ns, end_ns, looked_at(span.attributes), span.status.code == _ERROR,
        error[:200],
    )  # fmt: skip


def looked_at(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """The attributes that anything here looks at, clipped; plain values only."""
    found: dict[str, object] = {}
    for pair in pairs:
        if pair.key in _LOOKED_AT or pair.key.startswith(_OURS):
            value = scalar(pair.value)
            if value is not None:
                found[pair.key] = clean(value)[:LONGEST_TEXT] if isinstance(value, str) else value
    return found


def scalar(value: AnyValue) -> str | bool | int | float | None:
    """A plain value, or None for a list, a map or bytes."""
    kind = value.WhichOneof("value")
    if kind in {"string_value", "bool_value", "int_value", "double_value"}:
        plain: str | bool | int | float = getattr(value, kind)
        return plain
    return None


def clean(value: object) -> str:
    """Text without control characters, which a terminal or a log would obey."""
    text = value[: 2 * LONGEST_TEXT] if isinstance(value, str) else ("" if value is None else str(value))
    return (
        text if text.isprintable() else "".join(sign if sign.isprintable() or sign in "\n\t" else " " for sign in text)
    )
