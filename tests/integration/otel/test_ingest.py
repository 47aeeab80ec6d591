"""A real OpenTelemetry SDK sends to a real dashboard; and so does whoever means no good."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from pitstop.dashboard.ingest import body as bodies
from pitstop.dashboard.ingest.incoming import Refused
from pitstop.model import Match, TraceMatch, Window
from pitstop.model.trace import decode_spans
from pitstop.rollup.otlp.wire import message

if TYPE_CHECKING:
    from conftest import Receiver

CLIENT = httpx.Client()
SECRET = "hunter2-canary"
RESOURCE = Resource.create({"service.name": "billing", "service.instance.id": "b-1"})


def _window() -> Window:
    now = int(time.time())
    return Window(now - 600, now + 60)


def _rows(receiver: Receiver, **match: str) -> dict[tuple[str, str, str], tuple[int, int]]:
    rows = receiver.store.rollups(_window(), Match(**match))
    found: dict[tuple[str, str, str], tuple[int, int]] = {}
    for series, count, sum_ns in zip(rows.series, rows.count, rows.sum_ns, strict=True):
        key = (series.name, series.parent, series.outcome)
        before = found.get(key, (0, 0))
        found[key] = (before[0] + count, before[1] + sum_ns)
    return found


def _send_requests(provider: Any, n: int) -> None:
    tracer = provider.get_tracer("app")
    for i in range(n):
        with tracer.start_as_current_span(
            "GET",
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": "GET", "http.route": "/invoices/{id}", "http.response.status_code": 200,
                "url.path": f"/invoices/{SECRET}", "url.query": f"token={SECRET}",
            },
        ):  # fmt: skip
            with tracer.start_as_current_span(
                "SELECT billing",
                kind=SpanKind.CLIENT,
                attributes={
                    "db.system.name": "postgresql",
                    "db.query.text": f"SELECT * FROM invoice WHERE id = {i} AND key = '{SECRET}'",
                    "db.response.returned_rows": 3,
                },
            ):
                pass
            with tracer.start_as_current_span(
                "POST",
                kind=SpanKind.CLIENT,
                attributes={
                    "http.request.method": "POST", "server.address": "bank.example", "server.port": 443,
                    "url.full": f"https://u:{SECRET}@bank.example/{SECRET}", "http.response.status_code": 503,
                },
            ) as call:  # fmt: skip
                call.set_status(StatusCode.ERROR, SECRET)


@pytest.mark.parametrize("compression", [Compression.Gzip, Compression.NoCompression])
def test_a_real_sdk_delivers_requests_statements_calls_and_a_trace(
    receiver: Receiver, compression: Compression
) -> None:
    exporter = OTLPSpanExporter(f"{receiver.url}/v1/traces", headers=receiver.headers, compression=compression)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))  # a request each: spans of a trace come apart
    _send_requests(provider, 5)
    provider.shutdown()
    assert receiver.writer.flush()

    assert _rows(receiver, kind="http", service="billing")["GET /invoices/{id}", "", "200"][0] == 5
    statement = _rows(receiver, kind="db")
    assert statement["SELECT * FROM invoice WHERE id = ? AND key = ?", "GET /invoices/{id}", "ok"][0] == 5
    assert _rows(receiver, kind="http_client")["POST bank.example", "GET /invoices/{id}", "503"][0] == 5
    assert set(_rows(receiver, kind="part")) >= {("db", "GET /invoices/{id}", "")}
    traces = receiver.store.traces(_window(), TraceMatch(service="billing"), body=True)
    assert 1 <= sum(traces.weight) <= 5  # those that came after the sample wait for the next one
    spans = decode_spans(traces.body[0])
    assert [span.kind for span in spans] == ["db", "http_client"]
    assert [span.nbytes for span in spans] == [3, 0]
    assert {span.parent_id for span in spans} == {0}


def test_the_parts_of_a_trace_find_one_another_by_the_senders_own_ids(receiver: Receiver) -> None:
    exporter = OTLPSpanExporter(f"{receiver.url}/v1/traces", headers=receiver.headers)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("app")
    with (
        tracer.start_as_current_span("a", kind=SpanKind.SERVER) as outer,
        tracer.start_as_current_span("call", kind=SpanKind.CLIENT, attributes={"http.request.method": "GET"}) as call,
        tracer.start_as_current_span("b", kind=SpanKind.SERVER) as inner,
    ):
        pass
    receiver.writer.flush()
    parts = receiver.store.trace(f"{outer.get_span_context().trace_id:032x}")
    ids = dict(zip(parts.name, zip(parts.span_id, parts.parent_id, strict=True), strict=True))
    called = f"{call.get_span_context().span_id:016x}"
    assert ids["b"] == (f"{inner.get_span_context().span_id:016x}", called)
    spans = decode_spans(parts.body[parts.name.index("a")])
    assert [f"{span.span_id:016x}" for span in spans] == [called]


def test_two_services_that_begin_in_the_same_moment_of_a_trace_keep_their_own_ids(receiver: Receiver) -> None:
    both = _request()
    caller = both["resourceSpans"][0]
    called = json.loads(json.dumps(caller))
    called["resource"]["attributes"][0]["value"]["stringValue"] = "other"
    called["scopeSpans"][0]["spans"][0] |= {"spanId": "00000000000000aa", "parentSpanId": "b7ad6b7169203331"}
    both["resourceSpans"].append(called)
    httpx.post(f"{receiver.url}/v1/traces", json=both, headers=receiver.headers).raise_for_status()
    receiver.writer.flush()
    parts = receiver.store.trace(caller["scopeSpans"][0]["spans"][0]["traceId"])
    assert dict(zip(parts.service, parts.span_id, strict=True)) == {
        "json": "b7ad6b7169203331",
        "other": "00000000000000aa",
    }


def test_nothing_that_a_user_sent_is_stored(receiver: Receiver, tmp_path: Any) -> None:
    exporter = OTLPSpanExporter(f"{receiver.url}/v1/traces", headers=receiver.headers)
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    _send_requests(provider, 2)
    with (
        pytest.raises(ValueError, match=SECRET),
        provider.get_tracer("x").start_as_current_span("t", kind=SpanKind.SERVER),
    ):
        raise ValueError(SECRET)
    receiver.writer.flush()
    errors = receiver.store.errors(_window())
    assert errors.type == ["ValueError"]
    traces = receiver.store.traces(_window(), TraceMatch(), body=True)
    shown = [str(decode_spans(body)) for body in traces.body] + [str(list(column)) for column in traces.columns()]
    assert SECRET not in "".join(shown)
    assert not [file for file in tmp_path.iterdir() if SECRET.encode() in file.read_bytes()]


@pytest.mark.parametrize("exponential", [True, False])
def test_a_real_sdk_delivers_counters_gauges_and_histograms(receiver: Receiver, exponential: bool) -> None:
    exporter = OTLPMetricExporter(f"{receiver.url}/v1/metrics", headers=receiver.headers)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=1e9)
    views = [View(instrument_name="*.time", aggregation=ExponentialBucketHistogramAggregation())] if exponential else []
    provider = MeterProvider([reader], resource=RESOURCE, views=views)
    meter = provider.get_meter("app")
    counter, gauge = meter.create_counter("orders"), meter.create_up_down_counter("open")
    histogram = meter.create_histogram("job.time", unit="ms", explicit_bucket_boundaries_advisory=[8, 12, 100])
    for _ in range(2):  # cumulative: the second export has everything again
        counter.add(3, {"messaging.system": "kafka", "user.id": SECRET})
        gauge.add(2)
        for _ in range(10):
            histogram.record(10)
        reader.collect()
        time.sleep(0.001)  # points of one export are not those of the next
    provider.shutdown()
    receiver.writer.flush()
    assert _rows(receiver, kind="counter")["orders{messaging.system=kafka}", "", ""][1] == 6 * 10**9
    assert receiver.store.samples(_window(), names=("open",)).value[-1] == 4
    counted, sum_ns = _rows(receiver, kind="metric")["job.time", "", ""]
    assert counted == 20
    assert sum_ns == pytest.approx(200_000_000)
    rows = receiver.store.rollups(_window(), Match(kind="metric"))
    assert all(5_000_000 <= low <= high <= 13_000_000 for low, high in zip(rows.min_ns, rows.max_ns, strict=True))


def _request(**more: Any) -> dict[str, Any]:
    now = time.time_ns()
    span = {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": "b7ad6b7169203331", "name": "GET", "kind": 2,
        "startTimeUnixNano": str(now - 10**7), "endTimeUnixNano": str(now),
        "attributes": [
            {"key": "http.request.method", "value": {"stringValue": "GET"}},
            {"key": "http.route", "value": {"stringValue": "/j"}},
            {"key": "http.response.status_code", "value": {"intValue": "204"}},
        ], **more,
    }  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "json"}}]}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}


def test_json_counts_once_however_often_it_is_sent(receiver: Receiver) -> None:
    request = json.dumps(_request())
    for _ in range(3):
        answer = httpx.post(
            f"{receiver.url}/v1/traces",
            content=request,
            headers={**receiver.headers, "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()) == (200, {})
    receiver.writer.flush()
    assert _rows(receiver, kind="http")["GET /j", "", "204"][0] == 1


def test_what_cannot_be_kept_is_refused_in_part(receiver: Receiver) -> None:
    request = _request()
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans += [{**spans[0], "spanId": "0000000000000000"}, {**spans[0], "startTimeUnixNano": "5"}]
    answer = httpx.post(f"{receiver.url}/v1/traces", json=request, headers=receiver.headers)
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "2"
    assert "valid trace id" in answer.json()["partialSuccess"]["errorMessage"]


def test_who_has_no_token_is_refused(receiver: Receiver) -> None:
    for path in ("/v1/traces", "/v1/metrics"):
        assert httpx.post(receiver.url + path, json={}).status_code == 401
        assert httpx.post(receiver.url + path, json={}, headers={"Authorization": "Bearer x"}).status_code == 401


BAD = [
    "bomb", "large", "gzip", "cut", "encoding", "type", "list", "deep", "nested", "id", "bytes", "resources", "spans",
    "objects",
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "headers", "status", "says"),
    [
        (gzip.compress(b"\0" * (bodies.MOST_BYTES + 1)), {"Content-Encoding": "gzip"}, 413, "unpacked body"),
        (b"\0" * (bodies.MOST_SENT_BYTES + 1), {}, 413, "larger than"),
        (b"no gzip", {"Content-Encoding": "gzip"}, 400, "no gzip"),
        (gzip.compress(b"{}")[:-5], {"Content-Encoding": "gzip"}, 400, "too early"),
        (b"{}", {"Content-Encoding": "zstd"}, 415, "gzip"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "application/json"),
        (b"[]", {"Content-Type": "application/json"}, 400, "no object"),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 400, "application/json"),
        (b'{"resourceSpans":' * 50 + b"1" + b"}" * 50, {"Content-Type": "application/json"}, 400, "deeply"),
        (b'{"resourceSpans":[{"spans":[{"traceId":"xyz"}]}]}', {"Content-Type": "application/json"}, 400, "hex"),
        (b"\xff\xff\xff", {}, 400, "protobuf"),
        (b"\x0a\x00" * 250_000, {}, 413, "smaller"),
        (message(1, message(2, b"\x12\x00" * 250_000)), {}, 413, "smaller"),
        (b"{" * 1_000_000, {"Content-Type": "application/json"}, 413, "smaller"),
    ],
    ids=BAD,
)  # fmt: skip
def test_bad_input_is_told_what_is_wrong(
    receiver: Receiver, content: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    sent = {**receiver.headers, "Content-Type": "application/x-protobuf", **headers}
    answer = httpx.post(f"{receiver.url}/v1/traces", content=content, headers=sent)
    assert answer.status_code == status
    assert says in answer.text


def test_circles_and_wrong_kinds_of_values_are_taken_as_they_are(receiver: Receiver) -> None:
    request = _request(parentSpanId="b7ad6b7169203332", kind=1)
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans.append({**spans[0], "spanId": "b7ad6b7169203332", "parentSpanId": "b7ad6b7169203331"})
    spans[0]["attributes"].append({"key": "http.route", "value": {"arrayValue": {"values": [{"intValue": 1}]}}})
    answer = httpx.post(f"{receiver.url}/v1/traces", json=request, headers=receiver.headers)
    assert (answer.status_code, answer.json()) == (200, {})
    assert receiver.writer.flush()
    assert sum(count for count, _ in _rows(receiver, service="json").values()) == 2


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), as_json=st.booleans(), metrics=st.booleans(), packed=st.booleans())
def test_random_bytes_never_break_it(
    receiver: Receiver, content: bytes, as_json: bool, metrics: bool, packed: bool
) -> None:
    headers = {
        **receiver.headers,
        "Content-Type": bodies.JSON if as_json else bodies.PROTOBUF,
        **({"Content-Encoding": "gzip"} if packed else {}),
    }
    answer = CLIENT.post(
        f"{receiver.url}/v1/{'metrics' if metrics else 'traces'}",
        content=gzip.compress(content) if packed else content,
        headers=headers,
    )
    assert answer.status_code in {200, 400}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_request_with_bytes_turned_over_never_breaks_the_writer(receiver: Receiver, data: st.DataObject) -> None:
    message = ExportTraceServiceRequest()
    bodies.decode(json.dumps(_request(parentSpanId="b7ad6b7169203332")).encode(), bodies.JSON, message)
    changed = bytearray(message.SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        bodies.decode(bytes(changed), bodies.PROTOBUF, message)
    except bodies.BodyError:
        return
    assert isinstance(receiver.writer.spans(message, bytes(changed)), Refused)
    assert receiver.writer.flush()


def test_answers_to_protobuf_are_protobuf(receiver: Receiver) -> None:
    answer = httpx.post(
        f"{receiver.url}/v1/traces", content=b"", headers={**receiver.headers, "Content-Type": bodies.PROTOBUF}
    )
    assert answer.headers["content-type"] == bodies.PROTOBUF
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
