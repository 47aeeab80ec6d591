"""What we export is read by OpenTelemetry's own messages, and arrives in another Pitstop without loss."""

from __future__ import annotations

import gzip
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import pitstop
from pitstop import app
from pitstop.model import Batch, Match, Samples, SettingError, TraceMatch, Window
from pitstop.model.trace import decode_spans
from pitstop.record import CURRENT, RECORDER, leaf
from pitstop.rollup.fold import Fold
from pitstop.rollup.otlp import exporter as exporter_module
from pitstop.rollup.otlp.encode import metrics_request
from pitstop.rollup.otlp.exporter import WAITING_BATCHES, Exporter, parse_headers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Receiver


class Collector:
    """Reads OTLP by the official messages; answers the given statuses first, then 200."""

    def __init__(self) -> None:
        self.traces: list[ExportTraceServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self.refuses = ""  # a path it answers with 405
        self.came = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with collector.came:
                    status = collector.statuses.pop(0) if collector.statuses else 200
                    if self.path == collector.refuses:
                        status = 405
                    collector.bodies.append(body)
                    if status == 200:
                        collector._take(self.path, gzip.decompress(body))
                    collector.came.notify_all()
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        else:
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))

    def wait_for(self, bodies: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.bodies) >= bodies, timeout=20)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """With threads that coverage sees; the other tests have real ones."""
    monkeypatch.setattr(exporter_module, "start_thread", lambda run: threading.Thread(target=run, daemon=True).start())
    collector = Collector()
    yield collector
    collector.server.shutdown()


def _window() -> Window:
    now = int(time.time())
    return Window(now - 600, now + 60)


def _serve(requests: int) -> None:
    for i in range(requests):
        op = RECORDER.begin("http")
        assert op is not None
        op.name, op.outcome = "GET /orders/{id}", "500" if i == 0 else "200"
        token = CURRENT.set(op)
        with pitstop.span("price"):
            start_ns = time.perf_counter_ns()
            leaf(
                "db",
                "SELECT ?",
                "ok",
                start_ns,
                start_ns + 2_000_000,
                7,
                {"db.system": "sqlite", "line": "shop.py:3 in f"},
            )
        CURRENT.reset(token)
        op.nbytes = 100
        RECORDER.finish(op, op.start_ns + 3_000_000 * (i + 1))
    pitstop.count("orders", 3)


def _record(tmp_path: Path, endpoint: str, headers: str = "") -> str:
    store = f"sqlite:///{tmp_path}/worker.db"
    pitstop.init(service="shop", store=store, runtime=False, otlp_endpoint=endpoint, otlp_headers=headers, profile_hz=0)
    _serve(20)
    assert pitstop.flush()
    assert app.shutdown(10)
    return store


def test_a_collector_reads_our_traces_and_metrics(tmp_path: Path, collector: Collector) -> None:
    _record(tmp_path, collector.url)
    [spans] = [
        scope.spans for traces in collector.traces for group in traces.resource_spans for scope in group.scope_spans
    ]
    by_name: dict[str, list[Any]] = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    failed = next(span for span in by_name["GET /orders/{id}"] if span.status.code == 2)
    price = next(span for span in by_name["price"] if span.trace_id == failed.trace_id)
    query = next(span for span in by_name["SELECT ?"] if span.trace_id == failed.trace_id)
    assert (failed.kind, price.kind, query.kind) == (2, 1, 3)
    assert price.parent_span_id == failed.span_id
    assert query.parent_span_id == price.span_id
    assert failed.end_time_unix_nano - failed.start_time_unix_nano == 3_000_000
    assert {pair.key: pair.value.string_value for pair in query.attributes}["db.query.text"] == "SELECT ?"

    metrics = {
        metric.name: metric
        for request in collector.metrics
        for group in request.resource_metrics
        for scope in group.scope_metrics
        for metric in scope.metrics
    }
    points = metrics["http.server.request.duration"].exponential_histogram.data_points
    assert sum(point.count for point in points) == 20
    assert all(point.scale == 5 and sum(point.positive.bucket_counts) == point.count for point in points)
    slowest = max(points, key=lambda point: point.max)
    top = slowest.positive.offset + len(slowest.positive.bucket_counts) - 1
    assert 2 ** (top / 32) < slowest.max == 0.06 <= 2 ** ((top + 1) / 32)
    assert metrics["orders"].sum.data_points[0].as_double == 3
    assert metrics["orders"].sum.is_monotonic


def test_another_pitstop_has_the_same_figures_and_traces(tmp_path: Path, receiver: Receiver) -> None:
    url = _record(tmp_path, receiver.url, f"Authorization={receiver.headers['Authorization']}")
    assert receiver.writer.flush()
    ours = app.open_store(url, readonly=True)

    def rows(store: Any) -> dict[Any, list[Any]]:
        found: dict[Any, list[Any]] = {}
        columns = store.rollups(_window(), Match(), step_s=1)
        for row in zip(*columns.columns(), strict=True):
            named = dict(zip(columns.__slots__, row, strict=True))
            found[named["ts"], named["series"]] = [
                named[k] for k in ("count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist")
            ]
        return found

    assert len(rows(ours)) >= 5
    assert rows(receiver.store) == rows(ours)
    mine = ours.traces(_window(), TraceMatch(), body=True)
    theirs = receiver.store.traces(_window(), TraceMatch(), body=True)
    for column in (
        "trace_id",
        "span_id",
        "name",
        "outcome",
        "reason",
        "weight",
        "start_ns",
        "duration_ns",
        "worker",
        "nbytes",
    ):
        assert sorted(getattr(theirs, column)) == sorted(getattr(mine, column)), column
    spans = {i: decode_spans(body) for i, body in zip(mine.trace_id, mine.body, strict=True)}
    assert len(spans) >= 2
    assert {i: decode_spans(body) for i, body in zip(theirs.trace_id, theirs.body, strict=True)} == spans
    ours.close()


def _batch(seq: int) -> Batch:
    samples = Samples()
    samples.ts.append(int(time.time()))
    samples.service.append("shop")
    samples.worker.append("w")
    samples.name.append("depth")
    samples.value.append(float(seq))
    return Batch("w", seq, samples=samples)


def _values(collector: Collector) -> list[float]:
    return [
        point.as_double
        for request in collector.metrics
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.gauge.data_points
    ]


def test_what_is_not_taken_now_is_sent_again_unchanged(collector: Collector) -> None:
    collector.statuses = [503]
    exporter = Exporter(collector.url + "/")
    exporter.offer(_batch(1))
    exporter.offer(_batch(2))
    collector.wait_for(3)
    assert exporter.stop(10)
    assert collector.bodies[0] == collector.bodies[1]
    assert _values(collector) == [1, 2]
    assert (exporter.sent, exporter.dropped) == (2, 0)


def test_what_is_refused_for_good_is_dropped_and_counted(collector: Collector) -> None:
    collector.statuses = [400]
    exporter = Exporter(collector.url)
    exporter.offer(_batch(1))
    exporter.offer(_batch(2))
    collector.wait_for(2)
    assert exporter.stop(10)
    assert _values(collector) == [2]
    assert (exporter.sent, exporter.dropped) == (1, 1)


def test_a_collector_that_takes_traces_only_has_them(tmp_path: Path, collector: Collector) -> None:
    collector.refuses = "/v1/metrics"
    _record(tmp_path, collector.url)
    assert not collector.metrics
    [traces] = collector.traces
    assert "GET /orders/{id}" in [span.name for span in traces.resource_spans[0].scope_spans[0].spans]


def test_a_collector_that_is_away_holds_nobody_and_costs_bounded_memory() -> None:
    exporter = Exporter("http://127.0.0.1:9")
    for seq in range(WAITING_BATCHES + 30):
        exporter.offer(_batch(seq))
    assert exporter.dropped >= 29
    began_s = time.monotonic()
    assert not exporter.stop(0.2)
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://x", "http://", "/v1"])
def test_an_endpoint_that_is_no_address_is_told_at_once(endpoint: str) -> None:
    with pytest.raises(SettingError, match="4318"):
        Exporter(endpoint)


def test_headers_are_written_as_pairs() -> None:
    assert parse_headers(["Authorization=Bearer a=b", "X-Scope = 1"]) == {"Authorization": "Bearer a=b", "X-Scope": "1"}
    with pytest.raises(SettingError):
        parse_headers(["nothing"])
    with pytest.raises(SettingError):
        parse_headers(["a=b\r\nc: d"])


@given(st.lists(st.integers(0, 20_000 * 10**9), min_size=1, max_size=50))
def test_a_histogram_keeps_every_count_and_bucket(durations: list[int]) -> None:
    fold = Fold("shop")
    fold.add([("", "http", "GET /", "", "200", 0, ns, 0, 1, None, None, None, None) for ns in durations], 1_700_000_000)
    message = ExportMetricsServiceRequest.FromString(metrics_request(Batch("w", 1, fold.take())))
    [point] = message.resource_metrics[0].scope_metrics[0].metrics[0].exponential_histogram.data_points
    assert point.count == len(durations) == point.zero_count + sum(point.positive.bucket_counts)
    assert point.sum == pytest.approx(sum(durations) / 1e9)
    assert (point.min, point.max) == (min(durations) / 1e9, max(durations) / 1e9)
