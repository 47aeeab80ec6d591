"""A span through our OpenTelemetry provider beside the SDK's, and beside a span of our own, in one run.

Run: ``python bench/otel.py``. CPU of the whole process, background threads and folding included; blocks take turns, the
best of each is shown. The SDK exports to nowhere; encoding and sending would come on top.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import pitstop
from pitstop.instrument.otel.tracer import TracerProvider
from pitstop.record import CURRENT, RECORDER, Operation
from pitstop.rollup.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

SPANS = 1000
ROUNDS = 30
TWO = {"items": 3, "currency": "EUR"}
QUERY = {"db.system.name": "postgresql", "db.query.text": "SELECT * FROM item WHERE id = $1", "db.namespace": "shop"}


class Nowhere(SpanExporter):
    """Takes everything, counts it, and does nothing."""

    seen = 0

    def export(self, spans: Any) -> SpanExportResult:
        """Of the SDK."""
        Nowhere.seen += len(spans)
        return SpanExportResult.SUCCESS


def sdk() -> SdkProvider:
    """The SDK as people set it up."""
    provider = SdkProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    return provider


def with_two_attributes(tracer: trace.Tracer) -> Callable[[], None]:
    """``start_as_current_span`` with two attributes of the host's own."""

    def run() -> None:
        with tracer.start_as_current_span("price basket", attributes=TWO):
            pass

    return run


def as_query(tracer: trace.Tracer) -> Callable[[], None]:
    """What a database instrumentation does."""

    def run() -> None:
        span = tracer.start_span("SELECT shop", kind=trace.SpanKind.CLIENT, attributes=QUERY)
        with trace.use_span(span, end_on_exit=True):
            pass

    return run


def own() -> None:
    """The same by our own means."""
    with pitstop.span("price basket", TWO):
        pass


def main() -> None:
    """Print the table."""
    RECORDER.on = True
    RECORDER.capacity = 1_000_000
    theirs = sdk()
    ours = TracerProvider().get_tracer("bench")
    their = theirs.get_tracer("bench")
    runs: dict[str, Callable[[], None]] = {
        "pitstop.span": own,
        "two attributes, Pitstop's provider": with_two_attributes(ours),
        "two attributes, OpenTelemetry SDK": with_two_attributes(their),
        "query, Pitstop's provider": as_query(ours),
        "query, OpenTelemetry SDK": as_query(their),
    }
    best = dict.fromkeys(runs, float("inf"))
    fold, recorded = Fold("bench"), 0
    for _ in range(ROUNDS):
        for name, run in runs.items():
            root = Operation("http", time.perf_counter_ns())
            root.name = "GET /"
            CURRENT.set(root)
            start_ns = time.process_time_ns()
            for _ in range(SPANS):
                run()
            theirs.force_flush()
            CURRENT.set(None)
            RECORDER.finish(root, time.perf_counter_ns())
            records = RECORDER.drain().records
            recorded += sum(len(record[9] or ()) for record in records)
            fold.add(records, 0)
            best[name] = min(best[name], (time.process_time_ns() - start_ns) / SPANS)
    assert (recorded, Nowhere.seen) == (3 * ROUNDS * SPANS, 2 * ROUNDS * SPANS), "somebody has lost spans"
    for name, ns in best.items():
        print(f"{name:<36} {ns / 1000:6.2f} µs")
    for what in ("two attributes", "query"):
        ratio = best[f"{what}, OpenTelemetry SDK"] / best[f"{what}, Pitstop's provider"]
        print(f"{what}: the SDK's costs {ratio:.1f} times as much")


if __name__ == "__main__":
    main()
