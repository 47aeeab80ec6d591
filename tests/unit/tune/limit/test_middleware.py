"""What passes, what is refused, and when room is given back: ASGI and WSGI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.limit import Gradient2, Limiter, LimitMiddleware, Priority, WsgiLimitMiddleware
from pitstop.tune.limit.priorities import by_path

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def limiter() -> Iterator[Limiter]:
    """Room for one."""
    limiter = Limiter("test", limit=Gradient2(initial=1, least=1), shares={Priority.CRITICAL: 2.0})
    yield limiter
    limiter.close()


def scope(path: str = "/") -> dict[str, Any]:
    return {"type": "http", "path": path, "method": "GET"}


async def call(app: Any, path: str = "/") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope(path), None, send)
    return sent


def answering(status: int = 200, content_type: bytes = b"text/plain") -> Any:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type)]})
        await send({"type": "http.response.body", "body": b"ok"})

    return app


def test_without_room_a_request_gets_503_and_when_to_come_back(limiter: Limiter) -> None:
    async def main() -> None:
        entered, go = asyncio.Event(), asyncio.Event()

        async def slow(_scope: Any, _receive: Any, send: Any) -> None:
            entered.set()
            await go.wait()
            await answering()(_scope, _receive, send)

        app = LimitMiddleware(slow, limiter)
        first = asyncio.create_task(call(app))
        await entered.wait()
        start, body = await call(app)
        assert start["status"] == 503
        headers = dict(start["headers"])
        assert 1 <= int(headers[b"retry-after"]) <= 3
        assert headers[b"cache-control"] == b"no-store"
        assert int(headers[b"content-length"]) == len(body["body"])
        health = asyncio.create_task(call(app, "/health"))
        go.set()
        assert (await first)[0]["status"] == 200
        assert (await health)[0]["status"] == 200
        assert limiter.in_flight == 0

    asyncio.run(main())


def test_a_failing_application_gives_its_room_back_and_its_error_passes(limiter: Limiter) -> None:
    async def fails(_scope: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    app = LimitMiddleware(fails, limiter)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(call(app))
    assert limiter.in_flight == 0
    assert limiter._samples == 0


def test_times_of_failures_do_not_count(limiter: Limiter) -> None:
    ticks = iter(range(1, 10**9, 1_000_000))
    limiter._clock_ns = lambda: next(ticks)
    asyncio.run(call(LimitMiddleware(answering(500), limiter)))
    assert limiter._samples == 0
    asyncio.run(call(LimitMiddleware(answering(404), limiter)))
    assert limiter._samples == 1


def test_an_event_stream_gives_its_room_back_when_it_begins(limiter: Limiter) -> None:
    async def stream(_scope: Any, _receive: Any, send: Any) -> None:
        await answering(content_type=b"text/event-stream; charset=utf-8")(_scope, _receive, send)
        assert limiter.in_flight == 0

    asyncio.run(call(LimitMiddleware(stream, limiter)))
    assert limiter.in_flight == 0


def test_websockets_and_lifespan_pass(limiter: Limiter) -> None:
    seen = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append((scope["type"], limiter.in_flight))

    for kind in ("websocket", "lifespan"):
        asyncio.run(LimitMiddleware(app, limiter)({"type": kind}, None, None))  # type: ignore[arg-type]  # not called
    assert seen == [("websocket", 0), ("lifespan", 0)]


def test_a_priority_may_come_from_the_scope(limiter: Limiter) -> None:
    limiter.shut(Priority.NORMAL)
    app = LimitMiddleware(answering(), limiter, priority=lambda scope: Priority(int(scope["path"][1:])))
    assert asyncio.run(call(app, "/1"))[0]["status"] == 200
    assert asyncio.run(call(app, "/2"))[0]["status"] == 503


def test_the_longest_prefix_tells_the_priority() -> None:
    priority_of = by_path({"/reports": Priority.LOW, "/reports/now": Priority.HIGH})
    wanted = {
        "/": Priority.NORMAL,
        "/reports/2026": Priority.LOW,
        "/reports/now/1": Priority.HIGH,
        "/healthz": Priority.CRITICAL,
    }
    assert {path: priority_of(path) for path in wanted} == wanted


def test_a_prefix_is_a_path_and_what_is_below_it_not_the_beginning_of_a_word() -> None:
    priority_of = by_path({"/api": Priority.LOW, "/files/": Priority.HIGH, "/": Priority.NORMAL, "/v1": Priority.HIGH})
    wanted = {
        "/live": Priority.CRITICAL,
        "/live/": Priority.CRITICAL,
        "/health/db": Priority.CRITICAL,
        "/livestream": Priority.NORMAL,
        "/readyroom": Priority.NORMAL,
        "/pingpong": Priority.NORMAL,
        "/healthcare/report": Priority.NORMAL,
        "/health.json": Priority.NORMAL,
        "/api": Priority.LOW,
        "/api/orders": Priority.LOW,
        "/apiary": Priority.NORMAL,
        "/files/1": Priority.HIGH,
        "/files": Priority.NORMAL,
        "/v1": Priority.HIGH,
        "/v10": Priority.NORMAL,
    }
    assert {path: priority_of(path) for path in wanted} == wanted


def test_health_checks_may_be_given_another_priority_and_every_path_one() -> None:
    priority_of = by_path({"/health": Priority.LOW, "/": Priority.HIGH, "": Priority.LOW})
    wanted = {"/health": Priority.LOW, "/health/db": Priority.LOW, "/healthz": Priority.CRITICAL, "/x": Priority.HIGH}
    assert {path: priority_of(path) for path in wanted} == wanted
    assert by_path({"": Priority.LOW})("/x") is Priority.LOW


class Started:
    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}

    def __call__(self, status: str, headers: list[tuple[str, str]], *_rest: Any) -> None:
        self.status, self.headers = status, dict(headers)


def wsgi(body: Any, status: str = "200 OK") -> Any:
    def app(_environ: Any, start_response: Any) -> Any:
        start_response(status, [])
        return body

    return app


def test_a_wsgi_request_leaves_when_its_body_is_closed(limiter: Limiter) -> None:
    class Body:
        closed = False

        def __iter__(self) -> Iterator[bytes]:
            yield b"a"

        def close(self) -> None:
            self.closed = True

    inner = Body()
    app = WsgiLimitMiddleware(wsgi(inner), limiter)
    body = app({"PATH_INFO": "/"}, Started())
    assert list(body) == [b"a"]
    assert limiter.in_flight == 1
    refused = Started()
    assert app({"PATH_INFO": "/"}, refused) == [b"The service is busy. Try again in a moment.\n"]
    assert refused.status.startswith("503")
    assert "Retry-After" in refused.headers
    body.close()  # type: ignore[attr-defined]  # ours has it
    body.close()  # type: ignore[attr-defined]
    assert inner.closed
    assert limiter.in_flight == 0


def test_a_wsgi_body_that_is_whole_leaves_at_once(limiter: Limiter) -> None:
    assert WsgiLimitMiddleware(wsgi([b"ok"]), limiter)({"PATH_INFO": "/"}, Started()) == [b"ok"]
    assert limiter.in_flight == 0


def test_a_wsgi_body_that_nobody_closes_leaves_when_it_is_gone(limiter: Limiter) -> None:
    body = WsgiLimitMiddleware(wsgi(iter([b"ok"]), "500 No"), limiter, priority=lambda _: Priority.HIGH)({}, Started())
    assert limiter.in_flight == 1
    del body
    assert limiter.in_flight == 0
    assert limiter._samples == 0


def test_a_failing_wsgi_application_gives_its_room_back(limiter: Limiter) -> None:
    def fails(_environ: Any, _start_response: Any) -> Any:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        WsgiLimitMiddleware(fails, limiter)({"PATH_INFO": "/"}, Started())
    assert limiter.in_flight == 0
