# ruff: noqa: ANN001, C901  fixtures are known by name
"""What a request did not survive is kept with it, whoever answers for the exception."""

from __future__ import annotations

import asyncio
import gc
import io
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from flask import Flask, abort
from litestar import Litestar, get
from starlette.middleware.base import BaseHTTPMiddleware

from pitstop.instrument import instrument, patches, uninstrument
from pitstop.model.record import named

if TYPE_CHECKING:
    from pitstop.model.record import Record


class ShopError(Exception):
    pass


def price_of(item: int) -> int:
    raise ShopError(f"no price for {item} in secret-shop")


def told(record: Record) -> tuple[str, str, str]:
    assert record.failure is not None
    line = record.failure.line
    return record.failure.type.rpartition(".")[2], record.failure.message, line.rpartition(" in ")[2]


TOLD = ("ShopError", "no price for … in secret-shop", "price_of")


def fastapi_app() -> FastAPI:
    app = FastAPI()

    @app.exception_handler(LookupError)
    async def unavailable(_request: Any, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "later"}, status_code=503)

    @app.exception_handler(ValueError)
    async def refused(_request: Any, _error: Exception) -> JSONResponse:
        return JSONResponse({"detail": "no"}, status_code=422)

    @app.get("/async")
    async def in_loop() -> int:
        return price_of(3)

    @app.get("/sync")
    def in_thread() -> int:
        return price_of(3)

    @app.get("/handled")
    async def handled() -> int:
        raise LookupError("all shelves are empty")

    @app.get("/refused")
    async def on_purpose() -> int:
        raise ValueError("bad basket")

    @app.get("/missing")
    async def missing() -> int:
        raise HTTPException(404, "no such basket")

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def pieces() -> Any:
            yield b"one"
            price_of(3)

        return StreamingResponse(pieces())

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> int:
        tasks.add_task(price_of, 3)
        return 1

    return app


def asked(app: Any, recorder, ask, http_scope, path: str) -> Record:
    ask(app, http_scope(path))
    return named(recorder.drain().records)[-1]


@pytest.mark.parametrize("path", ["/async", "/sync", "/stream"])
@pytest.mark.parametrize("around", [False, True])
def test_what_a_fastapi_route_raises_is_its_failure(recorder, ask, http_scope, path: str, around: bool) -> None:
    app = fastapi_app()
    if around:

        async def passed(request: Any, call_next: Any) -> Any:
            return await call_next(request)

        app.add_middleware(BaseHTTPMiddleware, dispatch=passed)
    record = asked(instrument(app, recorder), recorder, ask, http_scope, path)
    # Starlette's BaseHTTPMiddleware ends a body that fails as if it were whole, and raises afterwards
    outcome = "error" if around and path == "/stream" else "500"
    assert (record.outcome, told(record)) == (outcome, TOLD)
    assert record.failure is not None
    assert "pitstop/" not in record.failure.stack


def test_what_a_handler_of_the_host_answers_with_503_is_a_failure_and_with_422_is_none(
    recorder, ask, http_scope
) -> None:
    app = instrument(fastapi_app(), recorder)
    handled = asked(app, recorder, ask, http_scope, "/handled")
    assert (handled.outcome, told(handled)) == ("503", ("LookupError", "all shelves are empty", "handled"))
    for path, outcome in (("/refused", "422"), ("/missing", "404"), ("/nowhere", "404")):
        record = asked(app, recorder, ask, http_scope, path)
        assert (record.outcome, record.failure) == (outcome, None)


def test_a_background_task_that_fails_is_a_failure_of_its_own(recorder, ask, http_scope) -> None:
    app = instrument(fastapi_app(), recorder)
    ask(app, http_scope("/later"))
    request, task = named(recorder.drain().records)
    assert (request.kind, request.outcome, request.failure) == ("http", "200", None)
    assert (task.kind, task.outcome, told(task)) == ("task", "error", TOLD)


def test_a_client_that_leaves_is_no_failure(recorder, ask, http_scope) -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise asyncio.CancelledError

    record = asked(instrument(app, recorder), recorder, ask, http_scope, "/")
    assert (record.outcome, record.failure) == ("499", None)


def test_what_a_litestar_route_raises_is_its_failure(recorder, ask, http_scope) -> None:
    @get("/boom")
    async def boom() -> int:
        return price_of(3)

    record = asked(instrument(Litestar([boom]), recorder), recorder, ask, http_scope, "/boom")
    assert (record.outcome, told(record)) == ("500", TOLD)
    assert asked(instrument(Litestar([boom]), recorder), recorder, ask, http_scope, "/none").failure is None


def flask_app() -> Flask:
    app = Flask("shop")

    @app.errorhandler(LookupError)
    def unavailable(_error: Exception) -> tuple[str, int]:
        return "later", 503

    @app.get("/boom")
    def boom() -> str:
        return str(price_of(3))

    @app.get("/handled")
    def handled() -> str:
        raise LookupError("all shelves are empty")

    @app.get("/missing")
    def missing() -> str:
        abort(404)

    @app.get("/pieces")
    def pieces() -> Any:
        def made() -> Any:
            yield "one"
            price_of(3)

        return made()

    return app


def wsgi_ask(app: Any, path: str) -> None:
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80", "SCRIPT_NAME": "",
        "wsgi.input": io.BytesIO(), "wsgi.errors": io.StringIO(), "wsgi.url_scheme": "http",
    }  # fmt: skip
    body = app(environ, lambda *_: lambda _: None)
    try:
        list(body)
    finally:
        if hasattr(body, "close"):
            body.close()


@pytest.mark.parametrize(
    ("path", "outcome", "failure"),
    [
        ("/boom", "500", TOLD),
        ("/handled", "503", ("LookupError", "all shelves are empty", "handled")),
        ("/missing", "404", None),
        ("/pieces", "500", TOLD),
    ],
)
def test_what_a_flask_view_raises_is_its_failure(recorder, path: str, outcome: str, failure: Any) -> None:
    app = instrument(flask_app(), recorder)
    try:
        wsgi_ask(app, path)
    except ShopError:
        assert path == "/pieces"
    record = named(recorder.drain().records)[-1]
    assert (record.outcome, record.failure and told(record)) == (outcome, failure)
    uninstrument(app)
    assert "handle_exception" not in vars(app)


def test_a_plain_wsgi_application_that_raises_or_answers_for_it_fails(recorder) -> None:
    def raises(_environ: Any, _start: Any) -> Any:
        price_of(3)

    def answers(environ: Any, start: Any) -> Any:
        try:
            return raises(environ, start)
        except ShopError:
            start("500 Internal Server Error", [])
            return [b"sorry"]

    with pytest.raises(ShopError):
        wsgi_ask(instrument(raises, recorder), "/")
    wsgi_ask(instrument(answers, recorder), "/")
    for record in named(recorder.drain().records):
        assert (record.outcome, told(record)) == ("500", TOLD)


def test_a_websocket_that_fails_says_why(recorder, ask) -> None:
    app = FastAPI()

    @app.websocket("/ws")
    async def talk(_socket: WebSocket) -> None:
        price_of(3)

    scope = {
        "type": "websocket", "path": "/ws", "raw_path": b"/ws", "query_string": b"", "headers": [], "root_path": "",
        "subprotocols": [], "scheme": "ws", "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    ask(instrument(app, recorder), scope, [{"type": "websocket.connect"}])
    (record,) = named(recorder.drain().records)
    assert (record.outcome, told(record)) == ("1011", TOLD)


def test_a_failure_that_cannot_be_told_harms_nobody(recorder, monkeypatch) -> None:
    def broken(_error: BaseException) -> None:
        raise MemoryError

    monkeypatch.setattr("pitstop.instrument.live.failure_of", broken)
    wsgi_ask(instrument(flask_app(), recorder), "/boom")
    (record,) = named(recorder.drain().records)
    assert (record.outcome, record.failure) == ("500", None)


def test_what_is_noted_of_exceptions_leaves_nothing_to_the_collector(recorder) -> None:
    def left_behind(app: Any) -> int:
        wsgi_ask(app, "/missing")
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                wsgi_ask(app, "/missing")
            return gc.collect()
        finally:
            gc.enable()

    noting = instrument(flask_app(), recorder)
    plain = instrument(flask_app(), recorder)
    for name in patches.FLASK_HANDLERS:
        patches.undo(plain, name)
    assert left_behind(noting) == left_behind(plain)
