"""Applications without a framework: ASGI and WSGI callables, and one of each around a framework."""

import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def asgi(scope: Scope, _receive: Receive, send: Send) -> None:
    """No lifespan: servers go on without."""
    assert scope["type"] == "http"
    status = 503 if scope["path"] == "/fail" else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"down" if status == 503 else b"fine"})


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    failed = environ["PATH_INFO"] == "/fail"
    start_response("503 Down" if failed else "200 OK", [("Content-Length", "4")])
    return [b"down" if failed else b"fine"]


def slow_wsgi(_environ: dict[str, Any], start_response: Callable[..., object]) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(1000):
        yield b"x" * 65_536


class Wsgi:
    """WSGI as a class: its instance is the body."""

    def __init__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> None:
        self.pieces = iter(wsgi(environ, start_response))

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces


def asgi2(scope: Scope) -> Callable[..., Awaitable[None]]:
    async def answer(receive: Receive, send: Send) -> None:
        await asgi(scope, receive, send)

    return answer


async def around_fastapi(scope: Scope, receive: Receive, send: Send) -> None:
    from fastapi_service import app  # noqa: PLC0415  only where it is asked for

    await app(scope, receive, send)


def around_flask(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    from flask_service import app  # noqa: PLC0415

    return app(environ, start_response)


def main(kind: str, port: int) -> None:
    if kind == "wsgiref":
        from wsgiref.simple_server import make_server  # noqa: PLC0415

        make_server("127.0.0.1", port, wsgi).serve_forever()
    from werkzeug.serving import run_simple  # noqa: PLC0415

    run_simple("127.0.0.1", port, wsgi)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
