"""The forms that WSGI applications answer in, kept where they can be."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.web import WSGICachingMiddleware

KEPT = [("Cache-Control", "max-age=60, stale-if-error=60"), ("Content-Length", "4")]


class Late:
    """Calls `start_response` when its first piece is asked for, and notes that it was closed."""

    def __init__(self, start_response: Any, pieces: list[bytes], error: Exception | None, closed: list[int]) -> None:
        self._run = self._pieces(start_response, pieces, error)
        self._closed = closed

    @staticmethod
    def _pieces(start_response: Any, pieces: list[bytes], error: Exception | None) -> Any:
        start_response("200 Fine", list(KEPT))
        if error is not None:
            raise error
        yield from pieces

    def __iter__(self) -> Any:
        return self._run

    def close(self) -> None:
        self._closed.append(1)


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"", b"abcd"]])
def test_a_generator_that_starts_late_is_kept(kit: Any, pieces: list[bytes]) -> None:
    closed: list[int] = []
    app = WSGICachingMiddleware(lambda _, start: Late(start, list(pieces), None, closed), Cache())
    assert [kit.ask_wsgi(app, "/", "GET", {}).body for _ in range(3)] == [b"abcd"] * 3
    assert closed == [1]


def test_a_generator_that_fails_is_closed_and_fails_as_it_would(kit: Any) -> None:
    closed: list[int] = []
    app = WSGICachingMiddleware(lambda _, start: Late(start, [], RuntimeError("broken"), closed), Cache())
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            kit.ask_wsgi(app, "/", "GET", {})
    assert closed == [1, 1]
    assert len(app.responses.core.loading) == len(app.responses.core.flights) == 0


def test_a_kept_answer_stands_in_for_a_generator_that_fails(kit: Any, clock: Any, host: Any) -> None:
    site = kit.Site("wsgi", host, clock)
    closed: list[int] = []
    error: list[Exception | None] = [None]
    site.app.app = lambda _, start: Late(start, [b"abcd"], error[0], closed)
    site.get()
    clock.at_s += 90
    error[0] = RuntimeError("broken")
    assert site.get().body == b"abcd"
    assert closed == [1, 1]


def test_what_is_written_is_not_kept() -> None:
    calls: list[int] = []
    written: list[bytes] = []

    def app(_: Any, start_response: Any) -> list[bytes]:
        calls.append(1)
        start_response("200 Fine", list(KEPT))(b"abcd")
        return []

    cached = WSGICachingMiddleware(app, Cache())
    for _ in range(2):
        list(cached({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: written.append))
    assert (len(calls), written) == (2, [b"abcd", b"abcd"])


def test_an_error_page_given_late_replaces_the_answer(kit: Any) -> None:
    def app(_: Any, start_response: Any) -> list[bytes]:
        start_response("200 Fine", list(KEPT))
        start_response("500 Broken", [("Content-Length", "2")], (None, None, None))
        return [b"no"]

    cached = WSGICachingMiddleware(app, Cache())
    assert [kit.ask_wsgi(cached, "/", "GET", {}).status for _ in range(2)] == [500, 500]


def test_a_client_that_leaves_keeps_nothing_half(kit: Any) -> None:
    app = WSGICachingMiddleware(lambda _, start: Late(start, [b"ab", b"cd"], None, []), Cache())
    body = app({"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_HOST": "shop"}, lambda *_: None)
    assert next(iter(body)) == b"ab"
    body.close()
    assert len(app.responses.core.loading) == 0
    assert kit.ask_wsgi(app, "/", "GET", {"host": "shop"}).body == b"abcd"


def test_a_refresh_aside_runs_once_however_many_ask(kit: Any, clock: Any, host: Any) -> None:
    site = kit.Site("wsgi", host, clock)
    host.says(("cache-control", "max-age=60, stale-while-revalidate=60"))
    site.get()
    clock.at_s += 70
    gate = threading.Event()
    host.answer = lambda _: gate.wait(5) and (200, [("cache-control", "max-age=60")], [b"new"])
    assert [site.get().body for _ in range(5)] == [b"1"] * 5
    gate.set()
    assert site.cache.core.background.drain(5)
    assert (host.calls, site.get().body) == (2, b"new")
