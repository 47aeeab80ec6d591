"""Nobody is ever given what another asked for; what is not kept is not changed by a byte."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.tune.cache import Cache
from pitstop.tune.cache.web import CachingMiddleware, WSGICachingMiddleware

CONTROLS = [
    "", "max-age=60", "max-age=60, public", "s-maxage=60", "private, max-age=60", "no-store", "no-cache",
    "max-age=60, stale-while-revalidate=60", "max-age=60, stale-if-error=60", "max-age=0, must-revalidate",
    "public, max-age=5, stale-while-revalidate=600, stale-if-error=600", "no-cache, public",
]  # fmt: skip
VARIES = ["", "accept-language", "cookie", "authorization", "accept-language, cookie", "*"]
USERS = [
    {}, {"cookie": "session=ann"}, {"cookie": "session=bob"}, {"authorization": "Bearer ann"},
    {"authorization": "Bearer bob"}, {"x-api-key": "ann"}, {"cookie": "session=ann", "authorization": "Bearer bob"},
]  # fmt: skip
LANGUAGES = [{}, {"accept-language": "de"}, {"accept-language": "fr"}]
WISHES = [{}, {"cache-control": "no-cache"}, {"cache-control": "max-stale"}, {"cache-control": "max-age=10"}]


def who(headers: dict[str, str]) -> str:
    return "+".join(headers[name] for name in ("cookie", "authorization", "x-api-key") if name in headers) or "nobody"


class Personal:
    """Says who asked, unless it says that its answer is for everybody; varies by what it says it varies by."""

    def __init__(self, control: str, vary: str, *, cookies: bool, etag: bool) -> None:
        self.control, self.vary, self.cookies, self.etag = control, vary, cookies, etag
        self.fails = False
        self._pieces = itertools.cycle([1, 1, 2])

    def __call__(self, headers: dict[str, str]) -> Any:
        if self.fails:
            return 503, [], [b"broken"]
        everybody = "public" in self.control or "s-maxage" in self.control
        user = "everybody" if everybody and "cookie" not in self.vary and "auth" not in self.vary else who(headers)
        language = headers.get("accept-language", "-") if "language" in self.vary else "any"
        body = f"{user}|{language}".encode()
        told = [(n, v) for n, v in (("cache-control", self.control), ("vary", self.vary)) if v]
        if self.cookies:
            told.append(("set-cookie", f"id={who(headers)}"))
        if self.etag:
            tag = f'"{user}-{language}"'
            told.append(("etag", tag))
            if headers.get("if-none-match") == tag:
                return 304, told, []
        return 200, told, [body] if next(self._pieces) == 1 else [body[:3], body[3:]]


def right(body: bytes, asked: dict[str, str], control: str, vary: str) -> None:
    """Check that `body` may be seen by who asked so."""
    told_who, told_language = body.decode().split("|")
    assert told_language in {"any", asked.get("accept-language", "-")}
    if told_who in {"everybody", who(asked)}:
        return
    # it says ``public`` though it differs by one of two credentials: that one has to be right
    assert "public" in control or "s-maxage" in control
    for name in ("cookie", "authorization"):
        if name in vary:
            assert asked.get(name, "") in told_who


@settings(max_examples=80, deadline=None)
@given(
    colour=st.sampled_from(["asgi", "wsgi"]), control=st.sampled_from(CONTROLS), vary=st.sampled_from(VARIES),
    cookies=st.booleans(), etag=st.booleans(),
    requests=st.lists(
        st.tuples(
            st.sampled_from(USERS), st.sampled_from(LANGUAGES), st.sampled_from(WISHES),
            st.sampled_from([0, 3, 40, 100]), st.booleans(),
        ),
        min_size=2, max_size=14,
    ),
)  # fmt: skip
def test_nobody_gets_what_was_made_for_another(
    kit: Any, colour: str, control: str, vary: str, *, cookies: bool, etag: bool, requests: list[Any]
) -> None:
    host, clock = kit.Host(), kit.HandClock()
    host.answer = personal = Personal(control, vary, cookies=cookies, etag=etag)
    site = kit.Site(colour, host, clock)
    for user, language, wish, later_s, fails in requests:
        clock.at_s += later_s
        personal.fails = fails
        asked = {**user, **language, **wish}
        answer = site.get("/", **{name.replace("-", "_"): value for name, value in asked.items()})
        site.cache.core.background.drain(5)
        assert answer.status == 200 or (fails and answer.status == 503)
        if answer.status == 200:
            right(answer.body, asked, control, vary)
        if "set-cookie" in answer.headers:
            assert answer.headers["set-cookie"] == f"id={who(asked)}"
            assert "cache-status" not in answer.headers


UNCACHEABLE = [
    [], [("Cache-Control", "no-store")], [("cache-control", "private, max-age=9")], [("CACHE-control", "max-age=0")],
    [("cache-control", "public, max-age=60"), ("set-cookie", "a=b")], [("vary", "*"), ("cache-control", "max-age=9")],
]  # fmt: skip
METHODS = ["GET", "HEAD", "POST", "OPTIONS", "PUT", "BREW"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(METHODS), st.sampled_from(UNCACHEABLE), st.sampled_from([200, 204, 206, 304, 404, 500]),
    st.lists(st.binary(max_size=8), max_size=4), st.one_of(st.none(), st.integers(0, 4)),
    st.sampled_from([{}, {"if-none-match": '"a"'}, {"range": "bytes=0-1"}, {"cookie": "a=b"}]),
)  # fmt: skip
def test_what_is_not_kept_passes_unchanged(
    method: str,
    told: list[tuple[str, str]],
    status: int,
    pieces: list[bytes],
    fails_at: int | None,
    headers: dict[str, str],
) -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((scope["method"], scope["headers"], await receive()))
        messages: list[dict[str, Any]] = [{"type": "http.response.start", "status": status, "headers": [
            (name.encode(), value.encode()) for name, value in told]}]  # fmt: skip
        messages += [{"type": "http.response.body", "body": piece, "more_body": True} for piece in pieces]
        messages.append({"type": "http.response.body", "body": b""})
        for number, message in enumerate(messages):
            if number == fails_at:
                raise RuntimeError("broken")
            await send(message)

    def run(application: Any) -> tuple[list[Any], str]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": method, "path": "/", "raw_path": b"/", "query_string": b"", "scheme": "http",
                 "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}  # fmt: skip
        try:
            asyncio.run(application(scope, receive, send))
        except RuntimeError as error:
            return sent, str(error)
        return sent, ""

    cached = CachingMiddleware(app, Cache())
    plain = run(app)
    for _ in range(3):
        assert run(cached) == plain
    assert all(one == seen[0] for one in seen)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(METHODS), st.sampled_from(UNCACHEABLE), st.lists(st.binary(max_size=8), max_size=4),
    st.sampled_from(["list", "generator", "write", "late"]), st.one_of(st.none(), st.integers(0, 4)),
)  # fmt: skip
def test_wsgi_passes_unchanged_too(  # noqa: C901  an application in four forms
    method: str, told: list[tuple[str, str]], pieces: list[bytes], form: str, fails_at: int | None
) -> None:
    closed: list[str] = []

    class Body:
        def __init__(self, start: Any) -> None:
            self._start = start
            self._pieces = self._run()

        def _run(self) -> Any:
            if self._start is not None:
                self._start("200 Fine", list(told))
            for number, piece in enumerate(pieces):
                if number == fails_at:
                    raise RuntimeError("broken")
                yield piece

        def __iter__(self) -> Any:
            return self._pieces

        def close(self) -> None:
            closed.append("closed")

    def app(_environ: Any, start_response: Any) -> Any:
        if form == "late":
            return Body(start_response)
        write = start_response("200 Fine", list(told))
        if form == "write":
            write(b"written")
        return list(pieces) if form == "list" else Body(None)

    def run(application: Any) -> Any:
        sent: list[Any] = []
        closed.clear()

        def start_response(status: str, headers: Any, _exc_info: Any = None) -> Any:
            sent.append((status, headers))
            return sent.append

        error = ""
        try:
            body = application({"REQUEST_METHOD": method, "PATH_INFO": "/", "HTTP_HOST": "a"}, start_response)
            try:
                sent += list(body)
            finally:
                if hasattr(body, "close"):
                    body.close()
        except RuntimeError as failure:
            error = str(failure)
        return sent, error, list(closed)

    cached = WSGICachingMiddleware(app, Cache())
    plain = run(app)
    for _ in range(2):
        assert run(cached) == plain


def test_websockets_and_lifespan_pass(host: Any, kit: Any) -> None:
    seen: list[str] = []

    async def app(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    cached: Any = CachingMiddleware(app, Cache())
    for kind in ("websocket", "lifespan"):
        asyncio.run(cached({"type": kind}, None, None))
    assert seen == ["websocket", "lifespan"]
    nested: Any = CachingMiddleware(CachingMiddleware(host.asgi, Cache()), Cache())
    assert asyncio.run(kit.ask_asgi(nested, "/", "GET", {})).body == b"1"
    assert asyncio.run(kit.ask_asgi(nested, "/", "GET", {})).body == b"1"
    below: Any = WSGICachingMiddleware(WSGICachingMiddleware(host.wsgi, Cache()), Cache())
    assert kit.ask_wsgi(below, "/", "GET", {}).body == kit.ask_wsgi(below, "/", "GET", {}).body == b"2"


@pytest.mark.parametrize("colour", ["asgi", "wsgi"])
def test_many_different_answers_stay_within_bounds(colour: str, host: Any, clock: Any, kit: Any) -> None:
    site = kit.Site(colour, host, clock)
    for number in range(1100):
        site.get(f"/{number}?x={number}")
    assert len(site.cache.core.memory) <= 1000
    assert len(site.cache.core.loading) == len(site.cache.core.flights) == 0
