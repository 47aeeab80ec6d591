"""A WSGI application within an ASGI application is one request with one name."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server


def test_flask_below_fastapi_is_recorded_once_with_the_whole_route(serve: Callable[[list[str]], Server]) -> None:
    server = serve(["uvicorn", "mixed_service:app", "--port", "{port}"])
    for _ in range(7):
        assert server.get("/flask/v1/users/ada") == (200, b"ada")
    for i in range(8):
        assert server.get(f"/own/items/{i}")[0] == 200
    for _ in range(5):
        assert server.get("/flask/fail") == (503, b"down")
    for _ in range(3):
        assert server.get("/flask/none")[0] == 404
    server.stop(signal.SIGTERM, group=True)
    expected = {
        ("GET /flask/v1/users/<name>", "200"): 7,
        ("GET /own/items/<int:item_id>", "200"): 8,
        ("GET /flask/fail", "503"): 5,
        ("GET /flask/{path}", "404"): 3,
    }
    assert server.counts_become(expected) == expected


def test_a_view_that_asks_another_application_of_its_own_keeps_its_name(serve: Callable[[list[str]], Server]) -> None:
    server = serve(["uvicorn", "mixed_service:app", "--port", "{port}"])
    for _ in range(4):
        assert server.get("/asks") == (200, b'"me"')
    server.stop(signal.SIGTERM, group=True)
    counts = server.counts_become({("GET /asks", "200"): 4, ("GET /v1/users/<name>", "200"): 4})
    assert counts == {("GET /asks", "200"): 4, ("GET /v1/users/<name>", "200"): 4}
