"""Who asks may be told by the server or by a proxy in front: what is answered then is nobody else's."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.web import CachingMiddleware, WSGICachingMiddleware
from pitstop.tune.cache.web.exchange import CREDENTIALS

ENVIRON = {
    "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", "wsgi.url_scheme": "http",
    "SERVER_NAME": "shop", "SERVER_PORT": "80",
}  # fmt: skip


def ask_wsgi(app: Any, **more: str) -> bytes:
    return b"".join(app(ENVIRON | more, lambda *_: None))


def greeting(key: str) -> Any:
    def greet(environ: Any, start_response: Any) -> list[bytes]:
        body = f"hello {environ.get(key)}".encode()
        start_response("200 OK", [("Cache-Control", "max-age=60"), ("Content-Length", str(len(body)))])
        return [body]

    return WSGICachingMiddleware(greet, Cache())


@pytest.mark.parametrize(
    "key",
    ["REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT", "SSL_CLIENT_S_DN", "SSL_CLIENT_CERT", "HTTPS_DN", "HTTPS_CLIENT_CERT"],
)
def test_whom_the_server_says_to_be_asking_gets_no_answer_of_anothers(key: str) -> None:
    app = greeting(key)
    for user in ("anna", "bert", "anna"):
        assert ask_wsgi(app, **{key: user}) == f"hello {user}".encode()
    assert ask_wsgi(app) == b"hello None"
    assert ask_wsgi(app, **{key: "anna"}) == b"hello anna"  # what is kept for nobody in particular is not for anna


def test_a_server_that_says_that_nobody_in_particular_asks_has_its_answers_kept() -> None:
    app = greeting("ABSENT")
    nobody = {"REMOTE_USER": "", "AUTH_TYPE": "", "SSL_CLIENT_VERIFY": "NONE", "SSL_CLIENT_S_DN": ""}
    seen: list[Any] = []
    for _ in range(2):
        app(dict(ENVIRON, **nobody), lambda _, headers: seen.append(dict(headers)))
    assert "hit" in seen[1]["cache-status"]


def ask_asgi(app: Any, **more: Any) -> bytes:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "scheme": "http",
        "headers": [(b"host", b"shop")], **more,
    }  # fmt: skip
    asyncio.run(app(scope, None, send))
    return b"".join(message.get("body", b"") for message in sent)


@pytest.mark.parametrize(
    "said",
    [
        lambda name: {"extensions": {"tls": {"client_cert_name": name}}},
        lambda name: {"extensions": {"tls": {"client_cert_name": None, "client_cert_chain": (name,)}}},
        lambda name: {"user": SimpleNamespace(is_authenticated=True, name=name)},
    ],
)
def test_whom_a_certificate_or_a_middleware_further_out_names_gets_no_answer_of_anothers(said: Any) -> None:
    async def greet(scope: Any, _receive: Any, send: Any) -> None:
        body = repr((scope.get("extensions"), scope.get("user"))).encode()
        headers = [(b"cache-control", b"max-age=60"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    app = CachingMiddleware(greet, Cache())
    for name in ("anna", "bert"):
        assert name.encode() in ask_asgi(app, **said(name))
    assert b"anna" not in ask_asgi(app)
    nobody = {"extensions": {"tls": {"client_cert_name": None, "client_cert_chain": ()}}}
    assert ask_asgi(app, **nobody) == ask_asgi(app, user=SimpleNamespace(is_authenticated=False)) == ask_asgi(app)


@pytest.mark.parametrize("name", sorted(CREDENTIALS))
def test_a_header_that_says_who_asks_keeps_its_answer_from_others(site: Any, name: bytes) -> None:
    header = name.decode().replace("-", "_")
    site.host.answer = lambda seen: (200, [("cache-control", "max-age=60")], [seen.get(name.decode(), "?").encode()])
    for user in ("anna", "bert"):
        assert site.get(**{header: user}).body == user.encode()


@pytest.mark.parametrize("header", ["X-Forwarded-User", "X-Ms-Client-Principal-Name", "Client-Cert", "Remote-Email"])
def test_headers_that_proxies_name_users_by_are_among_them(header: str) -> None:
    assert header.lower().encode() in CREDENTIALS
