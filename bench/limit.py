"""What the adaptive limit costs a request, µs: ASGI and WSGI, beside a middleware that does nothing.

Run: ``python bench/limit.py``. Budget 3 µs. Rounds alternate; the best of each counts.
"""

from __future__ import annotations

import time
from typing import Any

from pitstop.tune.limit import Gradient2, Limiter, LimitMiddleware, Priority, WsgiLimitMiddleware

ROUNDS = 15
CALLS = 20_000


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    """As short as a request can be."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Nothing:
    """A middleware that only passes on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI 3."""
        await self.app(scope, receive, send)


def wsgi(_environ: Any, start_response: Any) -> list[bytes]:
    """The same for WSGI."""
    start_response("200 OK", [])
    return [b"ok"]


class WsgiNothing:
    """A middleware that only passes on."""

    def __init__(self, app: Any) -> None:
        self.app = app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        """WSGI."""
        return self.app(environ, start_response)


async def send(_message: Any) -> None:
    """Where answers go."""


def asgi_us(app: Any) -> float:
    """CPU of one request without an event loop, µs."""
    scope = {"type": "http", "path": "/products/17", "headers": []}
    began_s = time.process_time()
    for _ in range(CALLS):
        coroutine = app(scope, None, send)
        try:  # noqa: SIM105  `suppress` would be measured, too
            coroutine.send(None)
        except StopIteration:
            pass
    return (time.process_time() - began_s) / CALLS * 1e6


def wsgi_us(app: Any) -> float:
    """CPU of one request, µs."""
    environ = {"PATH_INFO": "/products/17"}

    def start_response(*_: Any) -> None:
        pass

    began_s = time.process_time()
    for _ in range(CALLS):
        app(environ, start_response)
    return (time.process_time() - began_s) / CALLS * 1e6


def main() -> None:
    """All of them, interleaved."""
    limiter = Limiter("bench")
    full = Limiter("full", limit=Gradient2(initial=1, least=1))
    full.shut(Priority.CRITICAL)
    priorities = {"/pay": Priority.HIGH, "/reports": Priority.LOW}
    rows = [
        ("ASGI: nothing", asgi_us, answer),
        ("ASGI: a middleware that passes on", asgi_us, Nothing(answer)),
        ("ASGI: limiter", asgi_us, LimitMiddleware(answer, limiter, priorities=priorities)),
        ("ASGI: limiter, refused", asgi_us, LimitMiddleware(answer, full)),
        ("WSGI: nothing", wsgi_us, wsgi),
        ("WSGI: a middleware that passes on", wsgi_us, WsgiNothing(wsgi)),
        ("WSGI: limiter", wsgi_us, WsgiLimitMiddleware(wsgi, limiter, priorities=priorities)),
        ("WSGI: limiter, refused", wsgi_us, WsgiLimitMiddleware(wsgi, full)),
    ]
    best = [float("inf")] * len(rows)
    for _ in range(ROUNDS):
        for at, (_, measure, app) in enumerate(rows):
            best[at] = min(best[at], measure(app))
    print(f"{'':38}{'µs a request':>14}{'added':>8}")
    for at, (name, _, _) in enumerate(rows):
        print(f"{name:38}{best[at]:14.2f}{best[at] - best[at // 4 * 4]:8.2f}")


if __name__ == "__main__":
    main()
