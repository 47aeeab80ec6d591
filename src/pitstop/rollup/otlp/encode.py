"""A batch as OTLP: traces as spans, rollups as exponential histograms of scale 5, whose buckets ours are.

Semantic conventions where there are any, and ``pitstop.…`` attributes with the exact series, by which another Pitstop
takes it over without loss. Temporality is delta: each second says what came in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.series import COUNTER, DB, HTTP, HTTP_CLIENT, TASK, WEBSOCKET, Series
from pitstop.model.trace import LINE, decode_spans
from pitstop.model.version import __version__
from pitstop.rollup.codec import decode
from pitstop.rollup.histogram import BORDERS_NS, OTEL_OFFSET, SCALE
from pitstop.rollup.otlp.wire import attribute, double, fixed, message, number, packed, signed, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pitstop.model.columns import Batch, Rollups, Samples, Traces
    from pitstop.model.trace import Span

_DELTA = 1  # AggregationTemporality
_ERROR = 2  # StatusCode
_SERVER, _CLIENT, _PRODUCER, _CONSUMER, _INTERNAL = 2, 3, 4, 5, 1  # SpanKind
_KINDS = {
    HTTP: _SERVER, WEBSOCKET: _SERVER, TASK: _CONSUMER, DB: _CLIENT, HTTP_CLIENT: _CLIENT, "cache": _CLIENT,
    "queue": _PRODUCER,
}  # fmt: skip
_BELOW = {HTTP: _INTERNAL, WEBSOCKET: _INTERNAL, TASK: _INTERNAL}  # within another span they begin nothing
_NAMES = {
    HTTP: "http.server.request.duration",
    HTTP_CLIENT: "http.client.request.duration",
    DB: "db.client.operation.duration",
}
_ZERO_S = BORDERS_NS[0] / 1e9
_SECOND_NS = 1_000_000_000


def traces_request(batch: Batch) -> bytes:
    """The body of ``/v1/traces``; empty when there are none."""
    services: dict[str, list[bytes]] = {}
    for i, service in enumerate(batch.traces.service):
        services.setdefault(service, []).extend(_spans(batch.traces, i))
    return b"".join(
        message(1, message(1, _resource(service, batch.worker)) + message(2, _scope() + b"".join(spans)))
        for service, spans in services.items()
    )


def metrics_request(batch: Batch) -> bytes:
    """The body of ``/v1/metrics``; empty when there is nothing."""
    services: dict[str, dict[tuple[str, str], list[bytes]]] = {}
    for service, name, unit, point in (*_points(batch.rollups), *_gauges(batch.samples)):
        services.setdefault(service, {}).setdefault((name, unit), []).append(point)
    return b"".join(
        message(
            1,
            message(1, _resource(service, batch.worker))
            + message(2, _scope() + b"".join(_metric(name, kind, points) for (name, kind), points in metrics.items())),
        )
        for service, metrics in services.items()
    )


def _resource(service: str, worker: str) -> bytes:
    pairs = {
        "service.name": service,
        "service.instance.id": worker,
        "telemetry.sdk.name": "pitstop",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.version": __version__,
    }
    return b"".join(attribute(1, key, value) for key, value in pairs.items())


def _scope() -> bytes:
    return message(1, text(1, "pitstop") + text(2, __version__))


def _metric(name: str, kind: str, points: list[bytes]) -> bytes:
    data = b"".join(points)
    if kind == "gauge":
        return message(2, text(1, name) + message(5, data))
    if kind == COUNTER:
        return message(2, text(1, name) + message(7, data + number(2, _DELTA) + number(3, 1)))
    return message(2, text(1, name) + text(3, "s") + message(10, data + number(2, _DELTA)))


def _points(rollups: Rollups) -> Iterator[tuple[str, str, str, bytes]]:
    for i, series in enumerate(rollups.series):
        begin_ns = rollups.ts[i] * _SECOND_NS
        times = fixed(2, begin_ns) + fixed(3, begin_ns + _SECOND_NS - 1)
        if series.kind == COUNTER:
            point = times + double(4, rollups.sum_ns[i] / 1e9) + _attributes(7, {"pitstop.kind": COUNTER})
            yield series.service, series.name, COUNTER, message(1, point)
            continue
        counts = decode(rollups.hist[i]) if rollups.hist[i] else {}
        if sum(counts.values()) != rollups.count[i]:
            continue
        told = _conventions(series)
        told.update(
            (f"pitstop.{name}", value) for name, value in zip(series._fields[1:], series[1:], strict=True) if value
        )
        if rollups.nbytes[i]:
            told["pitstop.bytes"] = rollups.nbytes[i]
        name = _NAMES.get(series.kind, f"pitstop.{series.kind}.duration")
        yield series.service, name, "", message(1, _attributes(1, told) + times + _histogram(rollups, i, counts))


def _histogram(rollups: Rollups, i: int, counts: dict[int, int]) -> bytes:
    zero = counts.pop(0, 0)
    body = fixed(4, rollups.count[i]) + double(5, rollups.sum_ns[i] / 1e9) + signed(6, SCALE) + fixed(7, zero)
    if counts:
        first, last = min(counts), max(counts)
        buckets = signed(1, first - OTEL_OFFSET) + packed(2, (counts.get(at, 0) for at in range(first, last + 1)))
        body += message(8, buckets)
    return body + double(12, rollups.min_ns[i] / 1e9) + double(13, rollups.max_ns[i] / 1e9) + double(14, _ZERO_S)


def _gauges(samples: Samples) -> Iterator[tuple[str, str, str, bytes]]:
    for ts, service, name, value in zip(samples.ts, samples.service, samples.name, samples.value, strict=True):
        yield service, name, "gauge", message(1, fixed(3, ts * _SECOND_NS) + double(4, value))


def _conventions(series: Series) -> dict[str, object]:
    """What others know of a series, by OpenTelemetry's semantic conventions."""
    name, outcome = series.name, series.outcome
    if series.kind == DB:
        return {"db.query.text": name}
    if series.kind not in {HTTP, HTTP_CLIENT}:
        return {}
    method, space, rest = name.partition(" ")
    told: dict[str, object] = {"http.request.method": method if space else "_OTHER"}
    if space:
        told["http.route" if series.kind == HTTP else "server.address"] = rest
    if outcome.isdecimal():
        told["http.response.status_code"] = int(outcome)
    return told


def _spans(traces: Traces, i: int) -> Iterator[bytes]:
    """The root and what is below it."""
    kind, name, outcome = traces.kind[i], traces.name[i], traces.outcome[i]
    trace_id, span_id = bytes.fromhex(traces.trace_id[i]), bytes.fromhex(traces.span_id[i])
    told = {
        **_conventions(Series(traces.service[i], "", kind, name, "", outcome)),
        "pitstop.kind": kind,
        "pitstop.outcome": outcome,
        "pitstop.bytes": traces.nbytes[i],
        "pitstop.reason": traces.reason[i],
        "pitstop.weight": traces.weight[i],
    }
    begin_ns = traces.start_ns[i]
    times = fixed(7, begin_ns) + fixed(8, begin_ns + traces.duration_ns[i])
    ids = message(1, trace_id) + message(2, span_id)
    if traces.parent_id[i]:
        ids += message(4, bytes.fromhex(traces.parent_id[i]))
    status = message(15, number(3, _ERROR)) if outcome >= "5" or outcome == "error" else b""
    head = ids + text(5, name) + number(6, _KINDS.get(kind, _INTERNAL))
    yield message(2, head + times + _attributes(9, told) + number(10, traces.left_out[i]) + status)
    for span in decode_spans(traces.body[i]) if traces.body[i] else ():
        yield message(2, _span(span, trace_id, span_id, begin_ns))


def _span(span: Span, trace_id: bytes, root_id: bytes, begin_ns: int) -> bytes:
    told: dict[str, object] = {key: value for key, value in (span.attrs or {}).items() if _is_scalar(value)}
    line = told.pop(LINE, None)
    told.update({"pitstop.kind": span.kind, "pitstop.outcome": span.outcome})
    if span.nbytes:
        told["pitstop.bytes"] = span.nbytes
    if line:
        told["pitstop.line"] = line
    if span.kind == DB:
        told["db.query.text"] = span.name
    parent = span.parent_id.to_bytes(8, "big") if span.parent_id else root_id
    start_ns = begin_ns + span.start_ns
    return (
        message(1, trace_id) + message(2, span.span_id.to_bytes(8, "big")) + message(4, parent) + text(5, span.name)
        + number(6, {**_KINDS, **_BELOW}.get(span.kind, _INTERNAL))
        + fixed(7, start_ns) + fixed(8, start_ns + span.duration_ns) + _attributes(9, told)
        + (message(15, number(3, _ERROR)) if span.outcome == "error" else b"")
    )  # fmt: skip


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, bool, int, float))


def _attributes(field: int, pairs: Mapping[str, object]) -> bytes:
    made: Iterable[bytes] = (attribute(field, key, value) for key, value in pairs.items())
    return b"".join(made)
