"""Whatever was answered is stored when the whole process group is told to end at once, as systemd does by default."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

REQUESTS = 60
UVICORN = ["uvicorn", "fastapi_service:app", "--port", "{port}"]
GUNICORN = ["gunicorn", "-b", "127.0.0.1:{port}", "-w", "2", "--graceful-timeout", "4"]
HYPERCORN = ["hypercorn", "-b", "127.0.0.1:{port}", "fastapi_service:app"]
SERVERS = {
    "uvicorn": UVICORN,
    "uvicorn 4 workers": [*UVICORN, "--workers", "4"],
    "gunicorn": [*GUNICORN, "flask_service:app"],
    "gunicorn gthread": [*GUNICORN, "-k", "gthread", "flask_service:app"],
    "gunicorn uvicorn worker": [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "fastapi_service:app"],
    "hypercorn": HYPERCORN,
    "hypercorn 2 workers, uvloop": [*HYPERCORN, "-w", "2", "-k", "uvloop"],
    "hypercorn without workers": [*HYPERCORN, "-w", "0"],
    "granian asgi": ["granian", "--port", "{port}", "--interface", "asgi", "fastapi_service:app"],
    "granian wsgi": ["granian", "--port", "{port}", "--interface", "wsgi", "flask_service:app"],
}


@pytest.mark.parametrize("how", SERVERS)
def test_the_last_second_before_sigterm_to_the_group_is_stored(how: str, serve: Callable[[list[str]], Server]) -> None:
    server = serve(SERVERS[how])
    for i in range(REQUESTS):
        assert server.get(f"/v1/users/u{i}")[0] == 200
    server.stop(signal.SIGTERM, group=True)
    user = "GET /v1/users/<name>" if "flask_service:app" in SERVERS[how] else "GET /v1/users/{name}"
    expected = {(user, "200"): REQUESTS}
    assert server.counts_become(expected) == expected


def test_hypercorns_workers_end_by_the_signal_as_they_do_without_us(serve: Callable[..., Server]) -> None:
    command = [*HYPERCORN, "-w", "2"]
    codes = []
    for recorded in (False, True):
        server = serve(command, recorded=recorded)
        server.get("/fail")
        codes.append(server.stop(signal.SIGTERM, group=True))
    assert codes[0] == codes[1]
