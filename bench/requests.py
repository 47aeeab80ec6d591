"""Added CPU per request, µs, over the bare application: ours, a no-op floor, and what others install.

In process, without a network; CPU of the whole process, so background threads and flushes count. Blocks of requests
are interleaved and each round subtracts the mean of its two bare applications; the median over rounds is shown.
Run: ``python bench/requests.py [rounds]``.
"""

from __future__ import annotations

import asyncio
import gc
import io
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pitstop
from pitstop.instrument import instrument

if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 2000  # about what a busy worker answers between two writes
HEADERS = [
    (b"host", b"localhost:8000"), (b"user-agent", b"bench"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip"),
    (b"connection", b"keep-alive"), (b"x-request-id", b"0123456789abcdef"), (b"cookie", b"a=b"),
]  # fmt: skip


def scope() -> dict[str, Any]:
    """A request as uvicorn hands it over."""
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "path": "/items/3", "raw_path": b"/items/3", "query_string": b"", "root_path": "", "headers": HEADERS,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "scheme": "http", "state": {},
    }  # fmt: skip


def environ() -> dict[str, Any]:
    """The same as a WSGI server does."""
    return {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/items/3", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_NAME": "x",
        "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "x", "HTTP_USER_AGENT": "bench",
        "HTTP_ACCEPT": "*/*", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
        "wsgi.version": (1, 0), "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }  # fmt: skip


def fastapi_app() -> Any:
    """One route, no query."""
    from fastapi import FastAPI  # noqa: PLC0415  each framework by itself

    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def flask_app() -> Any:
    """One route, no query."""
    from flask import Flask  # noqa: PLC0415

    app = Flask("bench")

    @app.get("/items/<int:item_id>")
    def item(item_id: int) -> dict[str, int]:
        return {"id": item_id}

    return app


def django_app() -> Any:
    """The handler of the project made in `_django`."""
    from django.core.handlers.wsgi import WSGIHandler  # noqa: PLC0415

    return WSGIHandler()


class AsgiFloor:
    """Reads the clock twice and does nothing."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI 3."""
        time.perf_counter_ns()
        await self.app(scope, receive, send)
        time.perf_counter_ns()


def wsgi_floor(app: Any) -> Any:
    """Reads the clock twice around a Flask application."""
    inner = app.wsgi_app

    def floor(environ: Any, start_response: Any) -> Any:
        time.perf_counter_ns()
        body = inner(environ, start_response)
        time.perf_counter_ns()
        return body

    app.wsgi_app = floor
    return app


def asgi_floor(app: Any) -> Any:
    """`AsgiFloor` as the application's middleware."""
    app.add_middleware(AsgiFloor)
    return app


def prometheus(app: Any) -> Any:
    """Metrics only."""
    from prometheus_client import CollectorRegistry  # noqa: PLC0415
    from prometheus_fastapi_instrumentator import Instrumentator  # noqa: PLC0415

    Instrumentator(registry=CollectorRegistry()).instrument(app)
    return app


def opentelemetry_providers() -> dict[str, Any]:
    """SDK with batched spans and metrics, exported to nowhere."""
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult  # noqa: PLC0415

    class Exported(SpanExporter):
        count = 0

        def export(self, spans: Any) -> Any:
            Exported.count += len(spans)
            return SpanExportResult.SUCCESS

    traces = TracerProvider()
    traces.add_span_processor(BatchSpanProcessor(Exported()))
    return {"tracer_provider": traces, "meter_provider": MeterProvider(metric_readers=[InMemoryMetricReader()])}


def opentelemetry_fastapi(app: Any) -> Any:
    """Spans and metrics."""
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # noqa: PLC0415

    FastAPIInstrumentor.instrument_app(app, **opentelemetry_providers())
    return app


def opentelemetry_flask(app: Any) -> Any:
    """Spans and metrics."""
    from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415

    FlaskInstrumentor().instrument_app(app, **opentelemetry_providers())
    return app


def asgi_block(app: Any, loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """A block of requests to an ASGI application."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: dict[str, Any]) -> None:
        pass

    async def run() -> None:
        for _ in range(BLOCK):
            await app(scope(), receive, send)

    return lambda: _cpu_us(lambda: loop.run_until_complete(run()))


def wsgi_block(app: Any) -> Callable[[], float]:
    """A block of requests to a WSGI application."""

    def start_response(*_: Any) -> None:
        pass

    def run() -> None:
        for _ in range(BLOCK):
            body = app(environ(), start_response)
            for _piece in body:
                pass
            if hasattr(body, "close"):
                body.close()

    return lambda: _cpu_us(run)


def _cpu_us(run: Callable[[], object]) -> float:
    """CPU of the whole process for one request of a block, µs, what it leaves to be written included."""
    start_ns = time.process_time_ns()
    run()
    pitstop.flush(5)
    return (time.process_time_ns() - start_ns) / BLOCK / 1000


def measure(title: str, blocks: dict[str, Callable[[], float]], rounds: int) -> None:
    """Print what each adds to the mean of the two bare ones of its round."""
    for block in blocks.values():
        block()
    gc.collect()
    taken: dict[str, list[float]] = {name: [] for name in blocks}
    for _ in range(rounds):
        for name, block in blocks.items():
            taken[name].append(block())
    bare = [(a + b) / 2 for a, b in zip(taken["bare 1"], taken["bare 2"], strict=True)]
    added = {
        name: statistics.median(x - b for x, b in zip(values, bare, strict=True)) for name, values in taken.items()
    }
    print(f"\n{title}: bare {statistics.median(bare):.1f} µs")
    for name, us in added.items():
        ratio = f"{us / added['pitstop']:7.1f} × ours" if us > 1 and name != "pitstop" else ""
        print(f"  {name:<42} {us:+8.2f} µs {ratio}")


def main() -> None:
    """Print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    folder = tempfile.mkdtemp(prefix="pitstop-bench-")
    pitstop.init(service="bench", store=f"sqlite:///{folder}/bench.db", overhead_budget=1, buffer_size=100_000)
    loop = asyncio.new_event_loop()
    asgi: dict[str, Callable[[Any], Any]] = {
        "bare 1": lambda app: app,
        "bare 2": lambda app: app,
        "floor: reads the clock twice": asgi_floor,
        "pitstop": instrument,
        "pitstop, path excluded": lambda app: instrument(app, exclude=("/items/",)),
        "prometheus-fastapi-instrumentator": prometheus,
        "opentelemetry contrib + SDK": opentelemetry_fastapi,
    }
    measure("FastAPI", {name: asgi_block(make(fastapi_app()), loop) for name, make in asgi.items()}, rounds)
    wsgi: dict[str, Callable[[Any], Any]] = {
        "bare 1": lambda app: app,
        "bare 2": lambda app: app,
        "floor: reads the clock twice": wsgi_floor,
        "pitstop": instrument,
        "pitstop, path excluded": lambda app: instrument(app, exclude=("/items/",)),
        "opentelemetry contrib + SDK": opentelemetry_flask,
    }
    measure("Flask", {name: wsgi_block(make(flask_app())) for name, make in wsgi.items()}, rounds)
    _django(rounds)
    pitstop.shutdown()


def _django(rounds: int) -> None:
    """A process has one Django, so the hooks are put on and taken off around each block."""
    import django  # noqa: PLC0415
    from django.conf import settings  # noqa: PLC0415

    from pitstop.instrument import uninstrument  # noqa: PLC0415

    settings.configure(DEBUG=False, SECRET_KEY="bench", ALLOWED_HOSTS=["*"], ROOT_URLCONF="django_urls")
    sys.modules["django_urls"] = type(sys)("django_urls")
    from django.http import JsonResponse  # noqa: PLC0415
    from django.urls import path  # noqa: PLC0415

    sys.modules["django_urls"].urlpatterns = [  # type: ignore[attr-defined]  # a module made here
        path("items/<int:item_id>", lambda _request, item_id: JsonResponse({"id": item_id}))
    ]
    django.setup()
    app = django_app()
    block = wsgi_block(app)

    def recorded() -> float:
        instrument(app)
        try:
            return block()
        finally:
            uninstrument(app)

    measure("Django", {"bare 1": block, "bare 2": block, "pitstop": recorded}, rounds)


if __name__ == "__main__":
    main()
