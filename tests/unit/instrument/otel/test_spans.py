"""What spans of OpenTelemetry become in our recorder, and what of them does not."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

import pitstop
from pitstop.instrument import live
from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.instrument.hooks import INTEGRATIONS
from pitstop.instrument.options import OPTIONS
from pitstop.instrument.otel import filing
from pitstop.instrument.otel import spans as spans_module
from pitstop.instrument.otel.tracer import TWINS, TracerProvider
from pitstop.model.record import Record, named
from pitstop.record import CURRENT, RECORDER, leaf

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "hunter2-canary"
HEADER = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "vendor=1"}
SERVED = {"http.request.method": "GET", "http.route": "/items/{id}", "http.response.status_code": 200}


@pytest.fixture(autouse=True)
def _on() -> Iterator[None]:
    RECORDER.drain()
    RECORDER.on = True
    yield
    RECORDER.on = False
    RECORDER.drain()


@pytest.fixture
def tracer() -> Any:
    return TracerProvider().get_tracer("test")


def _records() -> list[Record]:
    return named(RECORDER.drain().records)


def _http_scope(path: str = "/", headers: tuple[tuple[bytes, bytes], ...] = ()) -> dict[str, Any]:
    return {"type": "http", "path": path, "method": "GET", "headers": list(headers), "query_string": b""}


def _served(app: Any, scope: dict[str, Any] | None = None, **more: Any) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_: object) -> None:
        pass

    asyncio.run(RecordingMiddleware(app, RECORDER, **more)(scope or _http_scope(), receive, send))


async def _answer(send: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def test_spans_of_both_kinds_nest_in_one_another(tracer: Any) -> None:
    with pitstop.span("a"), tracer.start_as_current_span("b"), pitstop.span("c"):
        with tracer.start_as_current_span("d"):
            leaf("db", "SELECT ?", "ok", time.perf_counter_ns(), time.perf_counter_ns())
        detached = tracer.start_span("e")
        leaf("cache", "GET", "hit", time.perf_counter_ns(), time.perf_counter_ns())
        with trace.use_span(detached, end_on_exit=True):
            leaf("cache", "SET", "ok", time.perf_counter_ns(), time.perf_counter_ns())
    assert CURRENT.get() is None
    [root] = _records()
    children = root.children or []
    names = {child.start_ns: child.name for child in children} | {root.start_ns: "a"}
    assert {child.name: names[child.parent_ns] for child in children} == {
        "b": "a", "c": "b", "d": "c", "SELECT ?": "d", "e": "c", "GET": "c", "SET": "e",
    }  # fmt: skip


def test_a_context_that_is_carried_to_a_thread_carries_our_operation(tracer: Any) -> None:
    def work(carried: Context) -> None:
        token = context.attach(carried)
        leaf("db", "SELECT ?", "ok", time.perf_counter_ns(), time.perf_counter_ns())
        context.detach(token)
        assert CURRENT.get() is None

    with tracer.start_as_current_span("main"):
        thread = threading.Thread(target=work, args=(context.get_current(),))
        thread.start()
        thread.join()
    [root] = _records()
    assert [(child.name, child.parent_ns) for child in root.children or ()] == [("SELECT ?", root.start_ns)]


def test_other_values_of_the_context_change_nothing_of_ours(tracer: Any) -> None:
    with tracer.start_as_current_span("main"), pitstop.span("inner"):
        token = context.attach(baggage.set_baggage("tenant", "t1"))
        assert baggage.get_baggage("tenant") == "t1"
        leaf("db", "SELECT ?", "ok", time.perf_counter_ns(), time.perf_counter_ns())
        context.detach(token)
    [root] = _records()
    by_name = {child.name: child for child in root.children or ()}
    assert by_name["SELECT ?"].parent_ns == by_name["inner"].start_ns


def test_a_server_span_within_a_request_of_ours_is_that_request(tracer: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        seen = CURRENT.get()
        extracted = propagate.extract(HEADER)
        with tracer.start_as_current_span("GET", context=extracted, kind=SpanKind.SERVER, attributes=SERVED) as span:
            assert CURRENT.get() is seen
            assert f"{span.get_span_context().trace_id:032x}" == seen.trace_id == HEADER["traceparent"][3:35]
            with tracer.start_as_current_span("load"):
                pass
        await _answer(send)

    _served(app, _http_scope(headers=((b"traceparent", HEADER["traceparent"].encode()),)))
    [record] = _records()
    assert (record.kind, record.name, record.outcome) == ("http", "GET /items/{id}", "200")
    assert [child.name for child in record.children or ()] == ["load"]
    assert record.attrs is not None
    assert record.attrs["http.route"] == "/items/{id}"


def test_our_own_route_is_kept_where_our_middleware_finds_one(tracer: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes=SERVED):
            pass
        await _answer(send)

    _served(app, template_of=lambda _: "/mine")
    assert [record.name for record in _records()] == ["GET /mine"]


def test_a_server_span_around_a_request_of_ours_gives_way(tracer: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        with tracer.start_as_current_span("load"):
            pass
        await _answer(send)

    with tracer.start_as_current_span("GET", context=Context(), kind=SpanKind.SERVER, attributes=SERVED):
        with pitstop.span("outside"):
            pass
        _served(app, template_of=lambda _: "/items/{id}")
    records = _records()
    assert [(record.kind, record.name) for record in records] == [("http", "GET /items/{id}"), ("", "GET /items/{id}")]
    assert [child.name for record in records for child in record.children or ()] == ["load", "outside"]


def test_a_second_server_span_within_a_request_is_a_function_of_it(tracer: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        with tracer.start_as_current_span("GET", kind=SpanKind.SERVER), tracer.start_as_current_span("mounted"):
            pass
        await _answer(send)

    _served(app)
    assert len(_records()) == 1


def test_without_our_middleware_a_server_span_is_a_request(tracer: Any) -> None:
    with tracer.start_as_current_span("GET", context=propagate.extract(HEADER), kind=SpanKind.SERVER) as span:
        span.set_attributes({**SERVED, "url.path": f"/items/{SECRET}", "client.address": SECRET})
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
    [record] = _records()
    assert (record.kind, record.name, record.outcome) == ("http", "GET /items/{id}", "200")
    assert carrier["traceparent"] == f"00-0af7651916cd43dd8448eb211c80319c-{record.start_ns:016x}-01"
    assert carrier["tracestate"] == "vendor=1"
    assert record.caller is None  # nothing about it is worth the headers: fast, no children
    assert SECRET not in str(record)


def test_the_caller_of_a_failed_request_is_known(tracer: Any) -> None:
    with tracer.start_as_current_span("GET", context=propagate.extract(HEADER), kind=SpanKind.SERVER) as span:
        span.set_attributes({**SERVED, "http.response.status_code": 503})
    [record] = _records()
    assert record.caller == (HEADER["traceparent"][3:35], HEADER["traceparent"].encode())


def test_an_excluded_path_is_not_a_request(tracer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OPTIONS, "exclude", ("/static/",))
    with tracer.start_as_current_span("GET", kind=SpanKind.SERVER, attributes={"url.path": "/static/a.js"}) as span:
        assert not span.is_recording()
    assert _records() == []


def test_a_span_that_our_own_integration_records_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = TracerProvider().get_tracer("opentelemetry.instrumentation.sqlalchemy")
    monkeypatch.setattr(live, "ATTACHED", live.ATTACHED)
    live.ATTACHED.add("sqlalchemy")
    try:
        with pitstop.span("request"), tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as span:
            assert span.is_recording()
            assert span.get_span_context().is_valid
            leaf("db", "SELECT ?", "ok", time.perf_counter_ns(), time.perf_counter_ns())
    finally:
        live.ATTACHED.discard("sqlalchemy")
    [root] = _records()
    assert [(child.name, child.parent_ns) for child in root.children or ()] == [("SELECT ?", root.start_ns)]


def test_an_exception_is_counted_with_its_type_and_without_what_it_says(tracer: Any) -> None:
    with (  # noqa: PT012  one in the other
        pytest.raises(ValueError, match=SECRET),
        tracer.start_as_current_span("job", kind=SpanKind.CONSUMER) as span,
    ):
        with pytest.raises(KeyError), tracer.start_as_current_span("step"):
            raise KeyError(SECRET)
        raise ValueError(SECRET)
    assert span.status.description == f"ValueError: {SECRET}"
    [record] = _records()
    assert (record.kind, record.outcome) == ("task", "error")
    assert record.failure is not None
    assert record.failure.type == "builtins.ValueError"
    [step] = record.children or ()
    assert step.outcome == "error"
    assert step.attrs is not None
    assert step.attrs["error.type"] == "KeyError"
    assert SECRET not in str(record)


def test_an_exception_of_a_started_span_marks_it_as_asked(tracer: Any) -> None:
    for set_status, outcome in ((True, "error"), (False, "ok")):
        with pytest.raises(ValueError, match="x"), tracer.start_span("s", set_status_on_exception=set_status):
            raise ValueError("x")
        assert [record.outcome for record in _records()] == [outcome]


def test_links_events_status_and_names_follow_the_specification(tracer: Any) -> None:
    linked = SpanContext(1, 2, is_remote=True)
    span = tracer.start_span("first", links=[Link(linked)])
    span.update_name("second")
    span.add_event("cache miss", {"key": SECRET})
    span.add_link(SpanContext(3, 4, is_remote=True))
    span.set_status(StatusCode.OK)
    span.set_status(Status(StatusCode.ERROR, "late"))
    span.set_status(StatusCode.UNSET)
    span.end()
    span.end()
    span.set_attribute("late", 1)
    span.update_name("late")
    assert (span.status.status_code, dict(span.attributes)) == (StatusCode.OK, {})
    [record] = _records()
    assert (record.name, record.outcome) == ("second", "ok")
    assert record.attrs is not None
    assert record.attrs["links"] == [f"{1:032x}:{2:016x}", f"{3:032x}:{4:016x}"]
    assert [name for name, _ in record.attrs["events"]] == ["cache miss"]  # type: ignore[attr-defined]
    assert SECRET not in str(record)


def test_times_that_are_given_are_kept(tracer: Any) -> None:
    now_ns = time.time_ns()
    span = tracer.start_span("batch", start_time=now_ns - 5_000_000_000)
    span.end(now_ns - 2_000_000_000)
    [record] = _records()
    assert record.duration_ns == pytest.approx(3_000_000_000, rel=0.01)
    assert span.start_time == pytest.approx(now_ns - 5_000_000_000, abs=50_000_000)
    assert span.end_time == pytest.approx(now_ns - 2_000_000_000, abs=50_000_000)


def test_a_trace_of_others_goes_on_and_their_decision_with_it(tracer: Any) -> None:
    remote = SpanContext(7, 8, is_remote=True, trace_flags=TraceFlags(0), trace_state=TraceState([("v", "1")]))
    carried = trace.set_span_in_context(NonRecordingSpan(remote))
    with tracer.start_as_current_span("a", context=carried), tracer.start_as_current_span("b") as inner:
        own = inner.get_span_context()
    assert (own.trace_id, own.trace_flags, own.trace_state.to_header()) == (7, 0, "v=1")
    [record] = _records()
    assert [child.name for child in record.children or ()] == ["b"]


def test_an_empty_context_begins_a_new_trace(tracer: Any) -> None:
    with tracer.start_as_current_span("a") as outer, tracer.start_as_current_span("b", context=Context()) as inner:
        assert inner.parent is None
        assert inner.get_span_context().trace_id != outer.get_span_context().trace_id
    assert sorted(record.name for record in _records()) == ["a", "b"]


def test_functions_of_both_colours_may_be_decorated(tracer: Any) -> None:
    @tracer.start_as_current_span("plain")
    def plain() -> str:
        return trace.get_current_span().name  # type: ignore[attr-defined, no-any-return]

    @tracer.start_as_current_span("awaited")
    async def awaited() -> str:
        await asyncio.sleep(0)
        return trace.get_current_span().name  # type: ignore[attr-defined, no-any-return]

    assert (plain(), plain(), asyncio.run(awaited())) == ("plain", "plain", "awaited")
    assert [record.name for record in _records()] == ["plain", "plain", "awaited"]


def test_while_recording_is_off_the_callers_context_goes_on(tracer: Any) -> None:
    RECORDER.on = False
    with tracer.start_as_current_span("a", context=propagate.extract(HEADER)) as span:
        assert not span.is_recording()
        assert f"{span.get_span_context().trace_id:032x}" == HEADER["traceparent"][3:35]
    assert tracer.start_span("b") is trace.INVALID_SPAN
    RECORDER.on = True
    assert _records() == []


def test_attributes_are_bounded(tracer: Any) -> None:
    span = tracer.start_span("a")
    for i in range(1000):
        span.set_attribute(f"k{i}", i)
    span.set_attributes({f"j{i}": i for i in range(1000)})
    assert len(span.given) == spans_module.MOST_ATTRIBUTES
    span.end()


def test_a_fault_of_ours_does_not_reach_the_host(tracer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_faults", {})

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("ours")

    with monkeypatch.context() as patch:
        patch.setattr(filing, "is_plain", broken)
        patch.setattr(spans_module, "failure_of", broken)
        with pytest.raises(ValueError, match="theirs"), tracer.start_as_current_span("a"):
            raise ValueError("theirs")
    with tracer.start_as_current_span("b", attributes=5), tracer.start_as_current_span("c"):
        pass
    assert set(live.faults()) == {"otel.record_exception", "otel.end", "otel.start_span"}


def test_what_ends_after_its_request_is_not_lost(tracer: Any) -> None:
    late: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001
        late.append(tracer.start_span("late"))
        await _answer(send)

    _served(app, template_of=lambda _: "/a")
    late[0].end()
    assert [(record.kind, record.name, record.parent) for record in _records()] == [
        ("http", "GET /a", ""),
        ("function", "late", "GET /a"),
    ]


def test_every_twin_is_an_integration_of_ours() -> None:
    assert set(TWINS.values()) <= set(INTEGRATIONS)
