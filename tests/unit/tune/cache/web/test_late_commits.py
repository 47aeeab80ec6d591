"""Hosts that commit a change after they answered: what was read before the commit is not kept after it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.web import CachingMiddleware, WSGICachingMiddleware

FORMS = ["returns", "raises", "cancelled"]


class Shop:
    """Its price is changed by POST, and committed once that was answered; meanwhile somebody asks."""

    def __init__(self, kit: Any, form: str) -> None:
        self.kit = kit
        self.form = form
        self.price = 1
        self.app: Any = None

    async def asgi(self, scope: Any, _receive: Any, send: Any) -> None:
        body = b"%d" % self.price
        headers = [(b"cache-control", b"max-age=60"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if scope["method"] == "POST":
            assert (await self.kit.ask_asgi(self.app, "/", "GET", {})).body == b"1"
            self.price = 2
            if self.form == "raises":
                raise RuntimeError("later")
            if self.form == "cancelled":
                raise asyncio.CancelledError

    def wsgi(self, environ: Any, start_response: Any) -> Any:
        body = b"%d" % self.price
        headers = [("Cache-Control", "max-age=60"), ("Content-Length", str(len(body)))]
        if environ["REQUEST_METHOD"] == "GET":
            start_response("200 OK", headers)
            return [body]
        if self.form == "generator":
            return self._pieces(start_response, headers, body)
        start_response("200 OK", headers)
        if self.form == "close":
            return Closing(self, body)
        self.commit()
        if self.form == "raises":
            raise RuntimeError("later")
        return [body]

    def commit(self) -> None:
        assert self.kit.ask_wsgi(self.app, "/", "GET", {}).body == b"1"
        self.price = 2

    def _pieces(self, start_response: Any, headers: Any, body: bytes) -> Any:
        start_response("200 OK", headers)
        yield body
        self.commit()


class Closing:
    def __init__(self, shop: Shop, body: bytes) -> None:
        self._shop, self._pieces = shop, iter([body])

    def __iter__(self) -> Any:
        return self._pieces

    def close(self) -> None:
        self._shop.commit()


@pytest.mark.parametrize("form", FORMS)
def test_an_asgi_host_that_commits_after_it_sent_leaves_no_stale_answer(kit: Any, form: str) -> None:
    shop = Shop(kit, form)
    shop.app = CachingMiddleware(shop.asgi, Cache())

    async def change() -> None:
        assert (await kit.ask_asgi(shop.app, "/", "POST", {})).body == b"1"

    async def run() -> bytes:
        await asyncio.gather(asyncio.create_task(change()), return_exceptions=True)
        return bytes((await kit.ask_asgi(shop.app, "/", "GET", {})).body)

    assert asyncio.run(run()) == b"2"


@pytest.mark.parametrize("form", ["returns", "raises", "generator", "close"])
def test_a_wsgi_host_that_commits_after_it_sent_leaves_no_stale_answer(kit: Any, form: str) -> None:
    shop = Shop(kit, form)
    shop.app = WSGICachingMiddleware(shop.wsgi, Cache())
    try:
        assert kit.ask_wsgi(shop.app, "/", "POST", {}).body == b"1"
    except RuntimeError:
        assert form == "raises"
    assert kit.ask_wsgi(shop.app, "/", "GET", {}).body == b"2"


def test_what_failed_voids_nothing(site: Any) -> None:
    site.get()
    site.host.says(status=400)
    site.get(method="POST")
    assert "hit" in site.get().headers["cache-status"]
