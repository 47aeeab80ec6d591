"""Ours are the global providers while nobody else's are. Each in a process of its own: a process has one of them."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
from pitstop.instrument import hooks, status, otel
from pitstop.record import RECORDER
RECORDER.on = True
hooks.install(("opentelemetry",))
from opentelemetry import context, metrics, trace
tracer, meter = trace.get_tracer("early"), metrics.get_meter("early")
counter = meter.create_counter("c")
ours = lambda: [record[2] for record in RECORDER.drain().records]
def span(name):
    with tracer.start_as_current_span(name): pass
"""


def _run(code: str, **environment: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def environment() -> dict[str, str]:
    return {"PYTHONPATH": ":".join(sys.path)}


def test_ours_are_the_global_ones_and_can_be_taken_away(environment: dict[str, str]) -> None:
    _run(
        BEGIN
        + """
span("a")
assert ours() == ["a"]
assert status()[[s.name for s in status()].index("opentelemetry")].state == "hooked"
otel.uninstall()
assert type(trace.get_tracer_provider()).__name__ == "ProxyTracerProvider"
assert type(metrics.get_meter_provider()).__name__ == "_ProxyMeterProvider"
assert type(context._RUNTIME_CONTEXT).__module__.startswith("opentelemetry.")
span("b")
counter.add(1)
""",
        **environment,
    )


def test_a_host_that_sets_its_own_later_gets_all_of_it(environment: dict[str, str]) -> None:
    _run(
        BEGIN
        + """
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
meter.create_observable_gauge("g", [lambda _: [metrics.Observation(4)]])
exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(theirs)
metrics.set_meter_provider(MeterProvider([reader]))
span("a")
try:
    with tracer.start_as_current_span("b"): raise ValueError("x")
except ValueError: pass
counter.add(3)
assert [s.name for s in exporter.get_finished_spans()] == ["a", "b"]
assert exporter.get_finished_spans()[1].status.description == "ValueError: x"
assert ours() == [] and RECORDER.drain().counts == []
names = {m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
assert names == {"c", "g"}, names
assert otel.observed() == {}
""",
        **environment,
    )


def test_a_host_that_has_set_its_own_keeps_it(environment: dict[str, str]) -> None:
    _run(
        """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider())
metrics.set_meter_provider(MeterProvider())
from pitstop.instrument import hooks, status
hooks.install(("opentelemetry",))
assert isinstance(trace.get_tracer_provider(), TracerProvider)
assert isinstance(metrics.get_meter_provider(), MeterProvider)
""",
        **environment,
    )


def test_an_environment_that_names_providers_is_left_alone(environment: dict[str, str]) -> None:
    code = """
from pitstop.instrument import hooks, status
hooks.install(("auto",))
from opentelemetry import trace
assert trace._TRACER_PROVIDER is None
"""
    _run(code, **environment, OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider")


@pytest.mark.parametrize(("names", "spans"), [('"auto",', 0), ('"opentelemetry",', 3)])
def test_fastapis_own_telemetry_is_recorded_where_it_is_asked_for(
    environment: dict[str, str], names: str, spans: int
) -> None:
    code = f"""
from pitstop.instrument import hooks, status
from pitstop.model.record import named
from pitstop.record import RECORDER
RECORDER.on = True
hooks.install(({names}))
import asyncio, fastapi, pitstop
app = pitstop.instrument(fastapi.FastAPI())
@app.get("/items/{{item}}")
async def item(item: int) -> int: return item
scope = {{"type": "http", "method": "GET", "path": "/items/3", "raw_path": b"/items/3", "query_string": b"",
         "root_path": "", "headers": [], "http_version": "1.1"}}
async def receive(): return {{"type": "http.request", "body": b"", "more_body": False}}
async def send(message): pass
asyncio.run(app(scope, receive, send))
[record] = named(RECORDER.drain().records)
assert record.name == "GET /items/{{item}}", record
assert len([c for c in record.children or () if c.name.startswith("fastapi.")]) == {spans}, record
"""
    _run(code, **environment)
