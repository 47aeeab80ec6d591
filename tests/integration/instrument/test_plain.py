"""A callable without a framework is recorded by the server that loads it; what it is wrapped around, only once."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

FINE, FAILED = 30, 11
UVICORN = ["uvicorn", "--port", "{port}"]
GUNICORN = ["gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "--graceful-timeout", "4"]
HYPERCORN = ["hypercorn", "-b", "127.0.0.1:{port}", "-w", "2"]
GRANIAN = ["granian", "--port", "{port}", "--interface"]

PLAIN = {
    "uvicorn": ([*UVICORN, "plain_service:asgi"], signal.SIGTERM),
    "uvicorn 2 workers": ([*UVICORN, "--workers", "2", "--no-proxy-headers", "plain_service:asgi"], signal.SIGTERM),
    "uvicorn asgi2": ([*UVICORN, "plain_service:asgi2", "--interface", "asgi2"], signal.SIGTERM),
    "uvicorn wsgi": ([*UVICORN, "--interface", "wsgi", "plain_service:wsgi"], signal.SIGTERM),
    "gunicorn": ([*GUNICORN, "plain_service:wsgi"], signal.SIGTERM),
    "gunicorn class, --preload": ([*GUNICORN, "--preload", "plain_service:Wsgi"], signal.SIGTERM),
    "gunicorn gevent": ([*GUNICORN, "-k", "gevent", "plain_service:wsgi"], signal.SIGTERM),
    "gunicorn uvicorn": ([*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "plain_service:asgi"], signal.SIGTERM),
    "hypercorn": ([*HYPERCORN, "plain_service:asgi"], signal.SIGTERM),
    "hypercorn wsgi": ([*HYPERCORN, "plain_service:wsgi"], signal.SIGTERM),
    "granian": ([*GRANIAN, "asgi", "plain_service:asgi"], signal.SIGTERM),
    "granian without lifespan": ([*GRANIAN, "asginl", "plain_service:asgi"], signal.SIGTERM),
    "granian wsgi": ([*GRANIAN, "wsgi", "plain_service:wsgi"], signal.SIGTERM),
    "wsgiref": ([sys.executable, "plain_service.py", "wsgiref", "{port}"], signal.SIGINT),
    "werkzeug": ([sys.executable, "plain_service.py", "werkzeug", "{port}"], signal.SIGINT),
}  # fmt: skip


@pytest.mark.parametrize("how", PLAIN)
def test_a_plain_callable_is_recorded_request_for_request(how: str, serve: Callable[[list[str]], Server]) -> None:
    command, end = PLAIN[how]
    server = serve(command)
    for _ in range(FINE):
        assert server.get("/items/1") == (200, b"fine")
    for _ in range(FAILED):
        assert server.get("/fail") == (503, b"down")
    server.stop(end, group=True)  # no wait before: what was recorded last must be stored, too
    expected = {("(unmatched)", "200"): FINE, ("(unmatched)", "503"): FAILED}
    assert server.counts_become(expected) == expected


AROUND = {
    "FastAPI": ([*UVICORN, "plain_service:around_fastapi"], "GET /v1/users/{name}"),
    "Flask": ([*GUNICORN, "plain_service:around_flask"], "GET /v1/users/<name>"),
    "Flask in uvicorn": ([*UVICORN, "--interface", "wsgi", "plain_service:around_flask"], "GET /v1/users/<name>"),
}


@pytest.mark.parametrize("how", AROUND)
def test_a_framework_in_a_plain_callable_is_recorded_once_and_names_the_request(
    how: str, serve: Callable[[list[str]], Server]
) -> None:
    command, user = AROUND[how]
    server = serve(command)
    for i in range(FINE):
        assert server.get(f"/v1/users/u{i}")[0] == 200
    for i in range(FAILED):
        assert server.get(f"/scan/{i}.php")[0] == 404
    server.stop(signal.SIGTERM, group=False)
    expected = {(user, "200"): FINE, ("(unmatched)", "404"): FAILED}
    assert server.counts_become(expected) == expected
