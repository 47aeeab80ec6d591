"""N requests sent from outside are N stored, per route and status, under every server and way to start it."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

ITEMS, FAILURES, USERS, STRANGERS = 40, 12, 9, 5

FASTAPI = ("GET /items/{item_id}", "GET /fail", "GET /v1/users/{name}")
FLASK = ("GET /items/<int:item_id>", "GET /fail", "GET /v1/users/<name>")
DJANGO = ("GET /items/<int:item_id>", "GET /fail", "GET /v1/users/<name>")

TERM, INT = signal.SIGTERM, signal.SIGINT

# a worker that is still starting when the signal comes does not hear it, without us neither; the default is 30 s
GUNICORN = ["gunicorn", "-b", "127.0.0.1:{port}", "-w", "4", "--graceful-timeout", "4"]
# one worker: granian 2.8 waits for ever for one that is still starting when the signal comes
GRANIAN = ["granian", "--port", "{port}", "--workers", "1", "--interface"]
MATRIX = {
    "uvicorn": (["uvicorn", "fastapi_service:app", "--port", "{port}"], FASTAPI, TERM),
    "uvicorn 4 workers": (["uvicorn", "fastapi_service:app", "--port", "{port}", "--workers", "4"], FASTAPI, TERM),
    "uvicorn --reload": (["uvicorn", "fastapi_service:app", "--port", "{port}", "--reload"], FASTAPI, TERM),
    "uvicorn litestar": (["uvicorn", "litestar_service:app", "--port", "{port}"], FASTAPI, TERM),
    "uvicorn django": (["uvicorn", "django_service:asgi", "--port", "{port}"], DJANGO, TERM),
    "gunicorn sync": ([*GUNICORN, "flask_service:app"], FLASK, TERM),
    "gunicorn gthread": ([*GUNICORN, "-k", "gthread", "--threads", "4", "flask_service:app"], FLASK, TERM),
    "gunicorn gevent": ([*GUNICORN, "-k", "gevent", "flask_service:app"], FLASK, TERM),
    "gunicorn --preload": ([*GUNICORN, "--preload", "flask_service:app"], FLASK, TERM),
    "gunicorn django": ([*GUNICORN, "django_service:wsgi"], DJANGO, TERM),
    "gunicorn uvicorn worker": (
        [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "fastapi_service:app"], FASTAPI, TERM,
    ),
    "gunicorn uvicorn worker --preload": (
        [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "--preload", "fastapi_service:app"], FASTAPI, TERM,
    ),
    "hypercorn": (["hypercorn", "-b", "127.0.0.1:{port}", "-w", "2", "fastapi_service:app"], FASTAPI, TERM),
    "granian asgi": ([*GRANIAN, "asgi", "fastapi_service:app"], FASTAPI, TERM),
    "granian wsgi": ([*GRANIAN, "wsgi", "flask_service:app"], FLASK, TERM),
    "flask run": (["flask", "--app", "flask_service", "run", "--port", "{port}"], FLASK, INT),
    "manage.py runserver": ([sys.executable, "manage.py", "runserver", "{port}"], DJANGO, INT),
    "python app.py": ([sys.executable, "flask_service.py", "{port}"], FLASK, INT),
}  # fmt: skip


@pytest.mark.parametrize("how", MATRIX)
def test_what_was_sent_is_what_is_stored(how: str, serve: Callable[[list[str]], Server]) -> None:
    command, (item, fail, user), end = MATRIX[how]
    server = serve(command)
    for i in range(ITEMS):
        assert server.get(f"/items/{i}")[0] == 200
    for _ in range(FAILURES):
        assert server.get("/fail") == (503, b"down")
    for i in range(USERS):
        assert server.get(f"/v1/users/u{i}")[0] == 200
    for i in range(STRANGERS):
        assert server.get(f"/scan/{i}.php")[0] == 404
    server.stop(end, group=end == INT)
    expected = {
        (item, "200"): ITEMS,
        (fail, "503"): FAILURES,
        (user, "200"): USERS,
        ("(unmatched)", "404"): STRANGERS,
    }
    assert server.counts_become(expected) == expected


def test_killing_a_worker_loses_at_most_its_last_flush(serve: Callable[[list[str]], Server]) -> None:
    server = serve(["uvicorn", "fastapi_service:app", "--port", "{port}"])
    for _ in range(30):
        server.get("/items/1")
    expected = {("GET /items/{item_id}", "200"): 30}
    assert server.counts_become(expected) == expected
    for _ in range(7):
        server.get("/fail")
    server.stop(signal.SIGKILL, group=True)
    counts = server.counts()
    assert counts["GET /items/{item_id}", "200"] == 30
    assert counts["GET /fail", "503"] in range(8)


def test_a_mounted_application_is_recorded_once_with_its_full_route(serve: Callable[[list[str]], Server]) -> None:
    server = serve(["uvicorn", "fastapi_service:app", "--port", "{port}"])
    for i in range(11):
        assert server.get(f"/shop/orders/{i}") == (200, str(i).encode())
    server.stop(TERM, group=False)
    expected = {("GET /shop/orders/{order}", "200"): 11}
    assert server.counts_become(expected) == expected


@pytest.mark.parametrize("how", ["uvicorn", "gunicorn sync", "granian asgi"])
def test_a_server_answers_and_ends_as_it_does_without_us(how: str, serve: Callable[..., Server]) -> None:
    command, _, end = MATRIX[how]
    seen = []
    for recorded in (False, True):
        server = serve(command, recorded=recorded)
        answers = [
            server.get(path, method) for path in ("/items/1", "/fail", "/none") for method in ("GET", "HEAD", "POST")
        ]
        seen.append((answers, server.stop(end, group=False)))
    assert seen[0] == seen[1]
