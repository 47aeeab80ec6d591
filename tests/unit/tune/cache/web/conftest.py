"""Applications behind the cache of answers, ASGI and WSGI, driven in process by one clock."""

from __future__ import annotations

import asyncio
import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.core import Core
from pitstop.tune.cache.web import CachingMiddleware, WSGICachingMiddleware, mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class HandClock:
    def __init__(self) -> None:
        self.at_s = 1_800_000_000.0

    def now_s(self) -> float:
        return self.at_s

    def now_ns(self) -> int:
        return int(self.at_s * 1e9)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


class Host:
    """An application whose next answer a test says; it counts how often it was asked, and with what."""

    def __init__(self) -> None:
        self.calls = 0
        self.seen: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, str]], tuple[int, Sequence[tuple[str, str]], Sequence[bytes]]]
        self.says(("cache-control", "max-age=60"))
        self.marks: dict[str, Any] = {}

    def says(self, *headers: tuple[str, str], status: int = 200, body: Sequence[bytes] | None = None) -> None:
        """Answer so from now on; the body is the number of the call, unless given."""
        self.answer = lambda _: (status, headers, [b"%d" % self.calls] if body is None else body)

    def raises(self, error: Exception) -> None:
        def fail(_: dict[str, str]) -> Any:
            raise error

        self.answer = fail

    def _take(self, headers: dict[str, str], request: Any) -> tuple[int, list[tuple[str, str]], list[bytes]]:
        self.calls += 1
        self.seen.append(headers)
        if self.marks:
            mark(request, **self.marks)
        status, told, pieces = self.answer(headers)
        pairs = list(told)
        if len(pieces) == 1:
            pairs.append(("content-length", str(len(pieces[0]))))
        return status, pairs, list(pieces)

    async def asgi(self, scope: Any, _receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        status, pairs, pieces = self._take(headers, scope)
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        await asyncio.sleep(0)
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1] if pieces else b""})

    def wsgi(self, environ: Any, start_response: Any) -> Any:
        headers = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
        status, pairs, pieces = self._take(headers, environ)
        start_response(f"{status} Reason", pairs)
        return pieces if len(pieces) == 1 else iter(pieces)


class Site:
    """The host behind the middleware of one colour."""

    def __init__(self, colour: str, host: Host, clock: HandClock, **options: Any) -> None:
        core = Core(
            namespace="t", max_entries=1000, max_bytes=None, levels=(), sealer=None,
            now_ns=clock.now_ns, now_s=clock.now_s,
        )  # fmt: skip
        self.cache = Cache(core=core)
        self.colour = colour
        self.host = host
        self.clock = clock
        self.app: Any = (
            CachingMiddleware(host.asgi, self.cache, **options)
            if colour == "asgi"
            else WSGICachingMiddleware(host.wsgi, self.cache, **options)
        )

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named.setdefault("host", "shop")
        if self.colour == "asgi":
            return asyncio.run(self.aget(path, method, named))
        return ask_wsgi(self.app, path, method, named)

    async def aget(self, path: str, method: str, headers: dict[str, str]) -> Answer:
        answer = await ask_asgi(self.app, path, method, headers)
        await self.cache.core.background.adrain()
        return answer


async def ask_asgi(app: Any, path: str, method: str, headers: dict[str, str]) -> Answer:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    bare, _, query = path.partition("?")
    scope = {
        "type": "http", "method": method, "path": bare, "raw_path": bare.encode(), "query_string": query.encode(),
        "scheme": "http", "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }  # fmt: skip
    await app(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    told = {name.decode("latin-1"): value.decode("latin-1") for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], told, b"".join(message.get("body", b"") for message in sent[1:]))


def ask_wsgi(app: Any, path: str, method: str, headers: dict[str, str]) -> Answer:
    bare, _, query = path.partition("?")
    told: list[Any] = []
    environ = {
        "REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": bare, "QUERY_STRING": query,
        "wsgi.url_scheme": "http", "SERVER_NAME": "shop", "SERVER_PORT": "80", "wsgi.input": io.BytesIO(),
    }  # fmt: skip
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if name in {"content-length", "content-type"} else f"HTTP_{key}"] = value
    body = app(environ, lambda status, pairs, _=None: told.append((status, pairs)))
    try:
        whole = b"".join(body)
    finally:
        if hasattr(body, "close"):
            body.close()
    assert len(told) == 1
    return Answer(int(told[0][0][:3]), dict(told[0][1]), whole)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What is here, for tests that make their own."""
    return SimpleNamespace(Host=Host, Site=Site, HandClock=HandClock, ask_asgi=ask_asgi, ask_wsgi=ask_wsgi)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture(params=["asgi", "wsgi"])
def make_site(request: pytest.FixtureRequest, host: Host, clock: HandClock) -> Callable[..., Site]:
    return lambda **options: Site(request.param, host, clock, **options)


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site()
