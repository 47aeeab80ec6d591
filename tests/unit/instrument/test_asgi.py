# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ARG001  fixtures are known by name, applications by their protocol
"""Every ASGI request is one operation, and the host sees no difference."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.instrument import asgi
from pitstop.instrument.asgi import RecordingMiddleware, serve
from pitstop.instrument.live import IN_FLIGHT
from pitstop.instrument.options import Options
from pitstop.model.record import named
from pitstop.record import CURRENT, Recorder, span
from pitstop.record.operation import current

START = {"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]}
DISCONNECT = {"type": "http.disconnect"}


def answering(*bodies: bytes, status: int = 200) -> Any:
    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": []})
        for i, body in enumerate(bodies):
            await send({"type": "http.response.body", "body": body, "more_body": i + 1 < len(bodies)})

    return app


def route(path: str) -> Any:
    return lambda _scope: path


def test_a_request_is_named_by_method_and_template(recorder, ask, http_scope):
    app = RecordingMiddleware(answering(b"hello"), recorder, template_of=route("/items/{item_id}"))
    assert ask(app, http_scope("/items/3")).body == b"hello"
    (op,) = named(recorder.drain().records)
    assert (op.kind, op.name, op.outcome, op.nbytes) == ("http", "GET /items/{item_id}", "200", 5)
    assert 0 < op.duration_ns < 1e9


def test_unmatched_paths_and_unknown_methods_are_one_series_each(recorder, ask, http_scope, seen):
    app = RecordingMiddleware(answering(b"", status=404), recorder)
    for path in ("/a.php", "/b.php"):
        ask(app, http_scope(path))
    assert seen() == [("(unmatched)", "404")] * 2
    app = RecordingMiddleware(answering(b""), recorder, template_of=route("/x"))
    for method in ("BREW", "get", "HEAD"):
        ask(app, http_scope("/x", method))
    assert seen() == [("_OTHER /x", "200"), ("_OTHER /x", "200"), ("HEAD /x", "200")]


def test_a_streamed_body_counts_once_with_its_first_byte(recorder, ask, http_scope):
    app = RecordingMiddleware(answering(b"ab", b"", b"cde"), recorder, template_of=route("/s"))
    assert ask(app, http_scope()).body == b"abcde"
    (op,) = named(recorder.drain().records)
    assert (op.outcome, op.nbytes) == ("200", 5)
    (first,) = op.children
    assert (first.kind, first.name) == ("stage", "first byte")
    assert first.duration_ns <= op.duration_ns


def test_an_exception_is_a_500_and_passes_through(recorder, ask, http_scope, seen):
    async def app(scope, receive, send):
        raise ZeroDivisionError("mine")

    assert repr(ask(RecordingMiddleware(app, recorder), http_scope()).error) == "ZeroDivisionError('mine')"
    assert seen() == [("(unmatched)", "500")]


@pytest.mark.parametrize("sends", [0, 1, 2])
def test_an_application_that_returns_without_the_end_of_its_answer_is_a_500(recorder, ask, http_scope, seen, sends):
    async def app(scope, receive, send):
        for message in [START, {"type": "http.response.body", "body": b"x", "more_body": True}][:sends]:
            await send(message)

    assert len(ask(RecordingMiddleware(app, recorder), http_scope()).sent) == sends
    assert seen() == [("(unmatched)", "500")]


@pytest.mark.parametrize("fail_at", [1, 2, 3])
def test_a_client_that_leaves_a_stream_is_a_499_at_whichever_message(recorder, ask, http_scope, seen, fail_at):
    app = RecordingMiddleware(answering(b"a", b"b", b"c"), recorder)
    exchange = ask(app, http_scope(), fail_send_at=fail_at)
    assert repr(exchange.error) == "OSError('the client is gone')"
    assert len(exchange.sent) == fail_at
    assert seen() == [("(unmatched)", "499")]


def test_a_client_seen_to_disconnect_before_the_answer_is_a_499(recorder, ask, http_scope, seen):
    ask(RecordingMiddleware(answering(b"late"), recorder), http_scope(), [DISCONNECT])
    assert seen() == [("(unmatched)", "499")]


def test_a_cancelled_request_is_a_499_and_stays_cancelled(recorder, http_scope, seen):
    async def app(scope, receive, send):
        await asyncio.Event().wait()

    async def run():
        task = asyncio.ensure_future(RecordingMiddleware(app, recorder)(http_scope(), None, None))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())
    assert seen() == [("(unmatched)", "499")]
    assert not IN_FLIGHT


def test_work_after_the_answer_is_an_operation_of_its_own(recorder, ask, http_scope, monkeypatch):
    monkeypatch.setattr("pitstop.record.timing.RECORDER", recorder)

    async def app(scope, receive, send):
        await answering(b"ok")(scope, receive, send)
        with span("send mail"):
            await asyncio.sleep(0.02)

    ask(RecordingMiddleware(app, recorder, template_of=route("/x")), http_scope())
    request, mail, background = named(recorder.drain().records)
    assert (request.name, request.outcome, request.children) == ("GET /x", "200", None)
    assert (mail.name, mail.parent) == ("send mail", "background GET /x")
    assert (background.kind, background.name, background.outcome) == ("task", "background GET /x", "ok")
    assert request.duration_ns < 2e7 <= background.duration_ns


def test_an_error_after_the_answer_leaves_the_request_as_it_was(recorder, ask, http_scope, monkeypatch):
    monkeypatch.setattr(asgi, "BACKGROUND_NS", 0)

    async def app(scope, receive, send):
        await answering(b"ok")(scope, receive, send)
        raise ValueError("too late")

    assert isinstance(ask(RecordingMiddleware(app, recorder), http_scope()).error, ValueError)
    assert [(op.kind, op.outcome) for op in named(recorder.drain().records)] == [("http", "200"), ("task", "error")]


def test_what_runs_below_a_request_is_filed_with_it(recorder, ask, http_scope, monkeypatch):
    monkeypatch.setattr("pitstop.record.timing.RECORDER", recorder)

    async def app(scope, receive, send):
        with span("price basket"):
            await asyncio.gather(work("a"), work("b"))
        await answering(b"")(scope, receive, send)

    async def work(name):
        with span(name):
            await asyncio.sleep(0)

    ask(RecordingMiddleware(app, recorder), http_scope())
    (op,) = named(recorder.drain().records)
    assert sorted(child.name for child in op.children) == ["a", "b", "price basket"]


def test_the_current_operation_is_put_back(recorder, http_scope):
    async def run():
        async def receive():
            return {}

        async def send(message):
            pass

        assert CURRENT.get() is None
        await RecordingMiddleware(answering(b""), recorder)(http_scope(), receive, send)
        return CURRENT.get()

    assert asyncio.run(run()) is None
    assert not IN_FLIGHT


def test_the_traceparent_of_the_caller_is_kept(recorder, ask, http_scope):
    given_id = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    trace_ids = []

    async def app(scope, receive, send):
        trace_ids.append(current().trace_id)
        await answering(b"")(scope, receive, send)

    ask(RecordingMiddleware(app, recorder), http_scope(headers=[(b"host", b"x"), (b"traceparent", given_id)]))
    ask(RecordingMiddleware(app, recorder), http_scope())
    assert trace_ids[0] == "0af7651916cd43dd8448eb211c80319c" != trace_ids[1]


def test_excluded_prefixes_pass_before_anything_is_allocated(recorder, http_scope, seen):
    handed = object()
    app = RecordingMiddleware(lambda *_: handed, recorder, exclude=("/static/", "/health"))
    for path in ("/static/app.js", "/health", "/healthz"):
        assert app(http_scope(path), None, None) is handed
    assert seen() == []


def test_excluded_prefixes_hold_below_a_root_path(recorder, ask, http_scope, seen):
    app = RecordingMiddleware(answering(b""), recorder, exclude=("/static/",))
    ask(app, http_scope("/api/static/a.js", root_path="/api"))
    ask(app, http_scope("/api/items", root_path="/api"))
    assert len(seen()) == 1


def test_nothing_of_ours_runs_while_recording_is_off(http_scope):
    handed = object()
    app = RecordingMiddleware(lambda *_: handed, Recorder())
    scope = http_scope()
    assert app(scope, None, None) is handed
    assert scope == http_scope()


@pytest.mark.parametrize("kind", ["lifespan", "webtransport", ""])
def test_other_scopes_pass_through(recorder, ask, seen, kind):
    async def app(scope, receive, send):
        assert await receive() == {"type": "x"}
        await send({"type": "y"})

    assert ask(RecordingMiddleware(app, recorder), {"type": kind}, [{"type": "x"}]).sent == [{"type": "y"}]
    assert seen() == []


def test_the_end_of_the_lifespan_writes_what_waits(recorder, ask):
    flushed = []
    recorder.flush = lambda timeout_s: bool(flushed.append(timeout_s)) or True

    async def app(scope, receive, send):
        await send({"type": "lifespan.startup.complete"})
        assert not flushed
        await send({"type": "lifespan.shutdown.complete"})

    ask(RecordingMiddleware(app, recorder), {"type": "lifespan"})
    assert flushed == [2.0]


def test_nested_middlewares_record_once(recorder, ask, http_scope, seen):
    app = RecordingMiddleware(RecordingMiddleware(answering(b""), recorder), recorder)
    ask(app, http_scope())
    assert len(seen()) == 1


def test_requests_left_out_by_sampling_are_carried_by_the_weight_of_the_others(recorder, ask, http_scope):
    recorder.shed(spans_on=True, sample_rate=0.5)
    app = RecordingMiddleware(answering(b""), recorder)
    for _ in range(400):
        ask_quick(app, http_scope())
    weights = [op.weight for op in named(recorder.drain().records)]
    assert 120 < len(weights) < 280
    assert 340 < sum(weights) <= 400


def ask_quick(app: Any, scope: dict[str, Any]) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        pass

    with pytest.raises(StopIteration):
        app(scope, receive, send).send(None)


def test_timing_headers_come_only_when_asked_for(recorder, ask, http_scope):
    plain = ask(RecordingMiddleware(answering(b""), recorder, options=Options()), http_scope()).sent[0]
    assert plain["headers"] == []
    options = Options(exec_time=True, server_timing=True)
    headers = dict(ask(RecordingMiddleware(answering(b""), recorder, options=options), http_scope()).sent[0]["headers"])
    assert 0 < float(headers[b"x-exec-time"]) < 1
    name, _, duration = headers[b"server-timing"].decode().partition(";dur=")
    assert name == "app"
    assert float(duration) == pytest.approx(float(headers[b"x-exec-time"]) * 1000, abs=0.01)
    assert len(duration.partition(".")[2]) == 3


def test_options_set_later_hold_from_the_next_request(recorder, ask, http_scope, seen):
    options = Options()
    app = RecordingMiddleware(answering(b""), recorder, options=options)
    ask(app, http_scope("/health"))
    assert len(seen()) == 1
    options.configure(exclude=("/health",), exec_time=False, server_timing=False)
    ask(app, http_scope("/health"))
    assert seen() == []


def test_servers_know_a_wrapped_callable_as_asgi_3(recorder):
    app = serve(answering(b""), recorder, None, Options())
    assert inspect.iscoroutinefunction(app.__call__)


messages = st.sampled_from(
    [
        START,
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": 99999},
        {"type": "http.response.start", "status": None, "headers": None},
        {"type": "http.response.body"},
        {"type": "http.response.body", "body": b"x", "more_body": True},
        {"type": "http.response.body", "body": None},
        {"type": "http.response.body", "body": memoryview(b"ab"), "more_body": 1},
        {"type": "http.response.pathsend", "path": "/etc/hostname"},
        {"type": "http.response.trailers", "headers": []},
        {"type": "http.response.zerocopysend", "file": 1},
        {"type": "unheard of"},
        {},
    ]
)


@given(
    sent=st.lists(messages, max_size=6),
    received=st.lists(st.sampled_from([{"type": "http.request", "more_body": True}, DISCONNECT, {}]), max_size=3),
    error=st.sampled_from([None, ValueError("v"), OSError("o"), KeyboardInterrupt("k")]),
    scope_less=st.sets(st.sampled_from(["method", "headers", "root_path"])),
    fail_at=st.none() | st.integers(0, 5),
)
def test_whatever_an_application_does_the_server_sees_the_same(sent, received, error, scope_less, fail_at):
    async def app(scope, receive, send):
        for _ in received:
            await receive()
        for message in sent:
            await send(message)
        if error is not None:
            raise error

    recorder = Recorder()
    recorder.on = True
    seen = []
    for wrapped in (app, RecordingMiddleware(app, recorder)):
        scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "root_path": ""}
        seen.append(drive(wrapped, {k: v for k, v in scope.items() if k not in scope_less}, received, fail_at))
    assert seen[0] == seen[1]
    assert len([op for op in named(recorder.drain().records) if op.kind == "http"]) <= 1
    assert not IN_FLIGHT
    assert CURRENT.get() is None


def drive(app: Any, scope: Any, received: list[Any], fail_at: int | None) -> tuple[list[Any], str]:
    waiting, sent = list(received), []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        if len(sent) == fail_at:
            raise OSError("gone")
        sent.append(message)

    try:
        app(scope, receive, send).send(None)
    except StopIteration:
        return sent, ""
    except BaseException as error:  # noqa: BLE001  compared
        return sent, repr(error)
    return sent, "waits"


@pytest.mark.parametrize("bodies", [(b"one",), (b"one", b"two")])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("where", ["template_of", "finish", "finish_child"])
def test_the_host_sees_no_difference_when_our_own_code_fails(recorder, ask, http_scope, where, at, bodies):
    calls = 0

    def failing(real):
        def call(*args):
            nonlocal calls
            calls += 1
            if calls > at:
                raise RuntimeError("a fault of ours")
            return real(*args)

        return call

    app = RecordingMiddleware(answering(*bodies), recorder, template_of=route("/x"))
    if where == "template_of":
        app.template_of = failing(app.template_of)
    else:
        setattr(recorder, where, failing(getattr(recorder, where)))
    assert ask(app, http_scope()).as_seen() == ask(answering(*bodies), http_scope()).as_seen()
    assert not IN_FLIGHT
