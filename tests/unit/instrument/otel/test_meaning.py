"""What each family of spans is to us, and that nothing a user sent is in it."""

# ruff: noqa: E501  a table is read by its lines

from __future__ import annotations

from typing import Any

import pytest

from pitstop.instrument.otel.meaning import CLIENT, CONSUMER, INTERNAL, PRODUCER, SERVER, meaning

S = "hunter2-canary"


@pytest.mark.parametrize(
    ("kind", "name", "attributes", "expected"),
    [
        (SERVER, f"GET /{S}", {"http.method": "GET", "http.status_code": 404, "http.target": f"/{S}"}, ("http", "(unmatched)", "404")),
        (SERVER, "x", {"http.request.method": "BREW", "http.route": "tea/<id>"}, ("http", "_OTHER /tea/<id>", "200")),
        (SERVER, "x", {"http.method": "GET", "http.route": "/a", "http.status_code": "503"}, ("http", "GET /a", "503")),
        (SERVER, "x", {"rpc.system": "grpc", "rpc.service": "shop.Cart", "rpc.method": "Add"}, ("http", "shop.Cart/Add", "200")),
        (SERVER, "x", {"rpc.system": "grpc", "rpc.service": "s", "rpc.method": "m", "rpc.grpc.status_code": 5}, ("http", "s/m", "grpc 5")),
        (SERVER, "WS /w", {"network.protocol.name": "websocket", "http.route": "/w"}, ("websocket", "WS /w", "1000")),
        (SERVER, "handle", {}, ("http", "handle", "200")),
        (CLIENT, "x", {"http.request.method": "GET", "server.address": "api", "server.port": 8080}, ("http_client", "GET api:8080", "ok")),
        (CLIENT, "x", {"http.method": "GET", "http.url": f"https://u:{S}@api:8/{S}?q={S}", "http.status_code": 500}, ("http_client", "GET api:8", "500")),
        (CLIENT, "x", {"http.method": "GET", "net.peer.name": "api", "net.peer.port": 443}, ("http_client", "GET api", "ok")),
        (CLIENT, "x", {"rpc.system": "grpc", "rpc.service": "s"}, ("http_client", "grpc s", "ok")),
        (CLIENT, "SELECT shop", {"db.system": "postgresql", "db.statement": f"SELECT 1 WHERE a = '{S}'"}, ("db", "SELECT ? WHERE a = ?", "ok")),
        (CLIENT, f"find {S}", {"db.system": "mongodb", "db.statement": f'{{"a": "{S}"}}', "db.operation": "find", "db.collection.name": "item"}, ("db", "find item", "ok")),
        (CLIENT, f"GET {S}", {"db.system": "redis", "db.statement": f"GET {S}"}, ("cache", "GET", "ok")),
        (PRODUCER, "apply_async/t", {"messaging.system": "celery", "celery.task_name": "mail"}, ("queue", "publish mail", "ok")),
        (PRODUCER, "orders publish", {}, ("queue", "publish orders publish", "ok")),
        (CONSUMER, "run/mail", {"celery.task_name": "mail"}, ("task", "mail", "ok")),
        (INTERNAL, "jinja2.render", {"jinja2.template_name": "page.html"}, ("template", "page.html", "ok")),
        (INTERNAL, f"GET /{S} http send", {"asgi.event.type": "http.response.body"}, ("function", "asgi http.response.body", "ok")),
        (INTERNAL, "price", {"user.id": S}, ("function", "price", "ok")),
        (CLIENT, "resolve", {"user.id": S}, ("function", "resolve", "ok")),
    ],
)  # fmt: skip
def test_a_span_is_what_its_conventions_say(
    kind: int, name: str, attributes: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    found = meaning(kind, name, attributes, failed=False, root=True)
    assert found[:3] == expected
    assert S not in str(found)


def test_a_failed_span_without_a_status_is_an_error() -> None:
    assert meaning(SERVER, "x", {"http.method": "GET", "http.route": "/"}, failed=True, root=True)[2] == "500"
    assert meaning(CLIENT, "x", {"http.method": "GET"}, failed=True, root=False)[1:3] == ("GET unknown", "error")
    assert meaning(CONSUMER, "x", {}, failed=True, root=False)[:3] == ("queue", "x", "error")


def test_rows_of_a_statement_are_kept_and_hostile_values_are_not() -> None:
    attributes = {"db.system.name": "sqlite", "db.query.text": "SELECT 1", "db.response.returned_rows": 7}
    assert meaning(CLIENT, "x", attributes, failed=False, root=False)[3] == 7
    attributes |= {"db.response.returned_rows": "many", "server.address": ["a"], "db.namespace": "d" * 9999}
    found = meaning(CLIENT, "x", attributes, failed=False, root=False)
    assert found[3] == 0
    assert found[4] == {"db.system": "sqlite", "db.namespace": "d" * 200}
