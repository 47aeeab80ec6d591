"""Upstream instrumentation packages, unmodified: what they tell our provider is what they tell the SDK's."""

from __future__ import annotations

import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.jinja2 import Jinja2Instrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider as SdkProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pitstop.instrument import live
from pitstop.instrument.otel.spans import Span
from pitstop.instrument.otel.tracer import TracerProvider
from pitstop.record import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHANGING = {"client.port", "net.peer.port", "server.port", "http.user_agent", "user_agent.original"}


@pytest.fixture(autouse=True)
def _recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(live, "_faults", {})
    RECORDER.on = True
    yield
    RECORDER.on = False
    RECORDER.drain()
    assert not live.faults()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Answers 200 to /ok and 503 to all else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ok" else 503)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()


def _shape(spans: list[Any]) -> list[tuple[Any, ...]]:
    """What both have in common, parents by name, in an order that does not depend on clocks."""
    names = {span.get_span_context().span_id: span.name for span in spans}
    return sorted(
        (
            span.name,
            span.kind.name,
            names.get(span.parent.span_id, "elsewhere") if span.parent else None,
            sorted((key, str(value)) for key, value in span.attributes.items() if key not in CHANGING),
            span.status.status_code.name,
            span.status.description,
        )
        for span in spans
    )


def _by_sdk(program: Callable[[Any], None]) -> list[tuple[Any, ...]]:
    exporter = InMemorySpanExporter()
    provider = SdkProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    program(provider)
    return _shape(list(exporter.get_finished_spans()))


def _by_ours(program: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    seen: list[Span] = []
    end = Span.end

    def noted(self: Span, end_time: int | None = None) -> None:
        if not self.end_ns:
            seen.append(self)
        end(self, end_time)

    with monkeypatch.context() as patch:
        patch.setattr(Span, "end", noted)
        program(TracerProvider())
    return _shape(seen)


def _instrumented(instrumentor: Any, provider: Any, run: Callable[[], object]) -> None:
    instrumentor.instrument(tracer_provider=provider)
    try:
        with provider.get_tracer("program").start_as_current_span("main"):
            run()
    finally:
        instrumentor.uninstrument()


def _sqlite(provider: Any) -> None:
    def run() -> None:
        with sqlite3.connect(":memory:") as db:
            cursor = db.cursor()
            cursor.execute("CREATE TABLE item (id INTEGER, name TEXT)")
            cursor.executemany("INSERT INTO item VALUES (?, ?)", [(1, "a"), (2, "b")])
            with pytest.raises(sqlite3.OperationalError):
                cursor.execute("SELECT nothing FROM nowhere")

    _instrumented(SQLite3Instrumentor(), provider, run)


def _sqlalchemy(provider: Any) -> None:
    from sqlalchemy import create_engine, text  # noqa: PLC0415  is patched while it is used

    engine = create_engine("sqlite://")
    instrumentor = SQLAlchemyInstrumentor()
    instrumentor.instrument(engine=engine, tracer_provider=provider)
    try:
        with provider.get_tracer("program").start_as_current_span("main"), engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            with pytest.raises(Exception, match="no such table"):
                connection.execute(text("SELECT * FROM nowhere"))
    finally:
        instrumentor.uninstrument()


def _jinja(provider: Any) -> None:
    import jinja2  # noqa: PLC0415

    def run() -> None:
        environment = jinja2.Environment(loader=jinja2.DictLoader({"page.html": "{{ name }}"}), autoescape=True)
        environment.get_template("page.html").render(name="x")

    _instrumented(Jinja2Instrumentor(), provider, run)


def _requests(url: str) -> Callable[[Any], None]:
    import requests  # noqa: PLC0415

    def run() -> None:
        requests.get(f"{url}/ok", timeout=5)
        requests.get(f"{url}/broken", timeout=5)
        with pytest.raises(requests.ConnectionError):
            requests.get("http://127.0.0.1:9/", timeout=5)

    return lambda provider: _instrumented(RequestsInstrumentor(), provider, run)


def _httpx(url: str) -> Callable[[Any], None]:
    import httpx  # noqa: PLC0415

    def run() -> None:
        httpx.get(f"{url}/ok")
        httpx.get(f"{url}/broken")

    return lambda provider: _instrumented(HTTPXClientInstrumentor(), provider, run)


def _flask(provider: Any) -> None:
    import flask  # noqa: PLC0415

    app = flask.Flask("shop")

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        with provider.get_tracer("program").start_as_current_span("load"):
            return str(item)

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("secret")

    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    client = app.test_client()
    header = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    for path in ("/items/3", "/nothing", "/broken"):
        client.get(path, headers=header)


def _fastapi(provider: Any) -> None:
    from fastapi import FastAPI  # noqa: PLC0415
    from fastapi.testclient import TestClient  # noqa: PLC0415

    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/items/{item}")
    async def item(item: int) -> int:
        with provider.get_tracer("program").start_as_current_span("load"):
            return item

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("secret")

    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
    client = TestClient(app, raise_server_exceptions=False)
    for path in ("/items/3", "/nothing", "/broken"):
        client.get(path)


@pytest.mark.parametrize("name", ["sqlite3", "sqlalchemy", "jinja2", "requests", "httpx", "flask", "fastapi"])
def test_an_upstream_package_tells_us_what_it_tells_the_sdk(
    name: str, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs: dict[str, Callable[[Any], None]] = {
        "sqlite3": _sqlite, "sqlalchemy": _sqlalchemy, "jinja2": _jinja, "requests": _requests(server),
        "httpx": _httpx(server), "flask": _flask, "fastapi": _fastapi,
    }  # fmt: skip
    program = programs[name]
    theirs = _by_sdk(program)
    assert len(theirs) >= 3
    assert _by_ours(program, monkeypatch) == theirs


def test_suppressed_instrumentation_tells_us_nothing(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def program(provider: Any) -> None:
        import requests  # noqa: PLC0415

        def run() -> None:
            with suppress_instrumentation():
                requests.get(f"{server}/ok", timeout=5)

        _instrumented(RequestsInstrumentor(), provider, run)

    assert [span[0] for span in _by_ours(program, monkeypatch)] == ["main"]


def test_fastapis_own_telemetry_tells_us_what_it_tells_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(provider: Any) -> None:
        from fastapi import FastAPI  # noqa: PLC0415
        from fastapi.testclient import TestClient  # noqa: PLC0415

        app = FastAPI(telemetry={"tracer_provider": provider, "metrics": False, "logs": False})

        @app.get("/items/{item}")
        def item(item: int) -> int:
            assert trace.get_current_span().get_span_context().is_valid
            return item

        TestClient(app).get("/items/3")

    assert _by_ours(program, monkeypatch) == _by_sdk(program)
