"""Kept answers in front of an ASGI application. Pure ASGI: what is not kept passes message by message, unchanged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from pitstop.tune.cache import steps
from pitstop.tune.cache.steps import Compute
from pitstop.tune.cache.web.making import Making, Mode, answer
from pitstop.tune.cache.web.marking import MARKER, Marker
from pitstop.tune.cache.web.responses import ResponseCache, voided_path
from pitstop.tune.cache.web.rules import Use
from pitstop.tune.conditional import NOT_MODIFIED, fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.steps import Steps
    from pitstop.tune.cache.web.exchange import Asked
    from pitstop.tune.cache.web.responses import Look

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

GATEWAY_TIMEOUT: Final = 504
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.1
_OURS: Final = "pitstop.cache.asked"  # in a scope: an outer one of us has it


class CachingMiddleware:
    """Serves answers of `app` that are kept in `cache`, and keeps those that say that they may be.

    Options are those of `ResponseCache`. Put it further out than middleware that compresses only if that says
    ``Vary: Accept-Encoding``, and further in than whatever answers differently for each user without saying so.
    """

    def __init__(self, app: App, cache: Cache | ResponseCache, **options: Any) -> None:
        self.app = app
        self.responses = cache if isinstance(cache, ResponseCache) else ResponseCache(cache, **options)
        self._voiding: set[asyncio.Future[None]] = set()  # event loops hold tasks weakly

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http" or _OURS in scope:
            await self.app(scope, receive, send)
            return
        if scope["method"] not in _SAFE:
            await self._unsafe(scope, receive, send)
            return
        asked = look = None
        try:
            asked = self._asked(scope)
            if asked is not None:
                look = await steps.arun(self.responses.look(asked))
        except Exception:  # noqa: BLE001  the host goes on
            self.responses.fault("asgi.look")
        if look is None:
            await self.app(scope, receive, send)
            return
        try:
            await self._answer(look, scope, receive, send)
        finally:
            self.responses.done(look)

    def _asked(self, scope: Scope) -> Asked | None:
        path = scope.get("raw_path") or scope["path"].encode()
        return self.responses.asked(
            scope["method"], scope.get("scheme", "http"), path, scope.get("query_string", b""),
            fields(scope["headers"]), who=_says_who(scope),
        )  # fmt: skip

    async def _answer(self, look: Look, scope: Scope, receive: Receive, send: Send) -> None:
        if look.stored is not None and look.use in {Use.FRESH, Use.STALE}:
            if look.use is Use.STALE:
                self._refresh(look, scope)
            self.responses.served(look)
            await _stored(look, send, b"hit" if look.use is Use.FRESH else b"hit; detail=stale", self.responses)
            return
        if look.only_if_cached:
            await _whole(send, GATEWAY_TIMEOUT, [(b"content-length", b"0")], b"")
            return
        if look.asked.method != "GET":
            await self.app(scope, receive, send)
            return
        answering = _Answering(self.responses, look, send)
        await answering.run(self.app, scope, receive)

    async def _unsafe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A change of what lies under a path voids the answers of it, once it has been made."""
        voided: list[str] = []
        raw = scope.get("raw_path") or scope["path"].encode()

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                try:
                    voided.extend(voided_path(message["status"], raw.decode("latin-1")))
                    if voided:  # before the client hears of it: it may ask at once
                        await self.responses.cache.ainvalidate(*voided)
                except Exception:  # noqa: BLE001  the host goes on
                    self.responses.fault("asgi.unsafe")
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:  # hosts may commit after they answered, and somebody may have asked in between
            if voided:
                try:
                    await self._void(voided)
                except Exception:  # noqa: BLE001  the host goes on
                    self.responses.fault("asgi.unsafe")

    async def _void(self, tags: list[str]) -> None:
        """Void them even where the request is cancelled meanwhile, or was."""
        voiding = asyncio.ensure_future(self.responses.cache.ainvalidate(*tags))
        self._voiding.add(voiding)
        voiding.add_done_callback(self._voiding.discard)
        await asyncio.shield(voiding)

    def _refresh(self, look: Look, scope: Scope) -> None:
        """Make a stale answer anew while nobody waits."""
        key = f"{look.slot.visit.key}!refresh"
        flights = self.responses.core.flights
        flight, leads = flights.board(key)
        if not leads:
            return
        copied = {**scope, "headers": list(scope["headers"])}

        async def make() -> None:
            try:
                again = await steps.arun(self.responses.look(look.asked, wait=False, anew=True))
                try:
                    await _Answering(self.responses, again, _nowhere).run(self.app, copied, _NoBody())
                finally:
                    self.responses.done(again)
            finally:
                flights.land(key, flight, None)

        def begin() -> Steps[None]:
            yield Compute(make)

        if not self.responses.core.background.task("refresh http", begin):
            flights.give_up(key, flight)


def _says_who(scope: Scope) -> bool:
    """Whether a client certificate (ASGI's TLS extension) or middleware further out (Starlette's) says who asks."""
    tls = (scope.get("extensions") or {}).get("tls") or {}
    if tls.get("client_cert_name") or tls.get("client_cert_chain"):
        return True
    user = scope.get("user")
    return user is not None and getattr(user, "is_authenticated", True) is not False


class _Answering:
    """The application's `send` while its answer may be kept."""

    def __init__(self, responses: ResponseCache, look: Look, forward: Send) -> None:
        self._responses = responses
        self._look = look
        self._forward = forward
        self._marker = Marker()
        self._making = Making(responses, look, self._marker)
        self._start: Message | None = None  # held back
        self._kept = False

    async def run(self, app: App, scope: Scope, receive: Receive) -> None:
        """Let the application answer."""
        making, headers = self._making, scope["headers"]
        scope[MARKER] = self._marker
        scope[_OURS] = True
        scope["headers"] = making.forwarded(headers)
        try:
            await app(scope, receive, self._send)
        except Exception:
            if making.mode is Mode.STAND_IN or (not making.started and making.may_stand_in()):
                await self._stand_in(b"stale-if-error")
            raise  # servers log it; the client has its answer
        finally:
            scope["headers"] = headers
        await self._keep()
        if making.mode is Mode.STAND_IN:
            await self._stand_in(b"revalidated" if making.status == NOT_MODIFIED else b"stale-if-error")
        elif self._start is not None:  # the end of the body never came
            start, self._start = self._start, None
            await self._forward(start)

    async def _keep(self) -> None:
        """Once, and before the client has it all: it may ask again at once, and background work takes long."""
        if self._kept:
            return
        self._kept = True
        try:
            await steps.arun(self._making.finish())
        except Exception:  # noqa: BLE001  the host goes on
            self._responses.fault("asgi.keep")
        self._responses.land(self._look)

    async def _stand_in(self, detail: bytes) -> None:
        if detail == b"stale-if-error":
            self._responses.stood_in()
        self._responses.served(self._look)
        await _stored(self._look, self._forward, b"hit; detail=" + detail, self._responses)

    def _send(self, message: Message) -> Awaitable[None]:
        mode = self._making.mode
        if message["type"] == "http.response.start":
            return self._begin(message)
        if mode is Mode.PASS:
            return self._forward(message)
        return self._body(message)

    async def _begin(self, message: Message) -> None:
        making = self._making
        headers = message.get("headers", ())
        if not isinstance(headers, (list, tuple)):
            headers = list(headers)
            message = {**message, "headers": headers}
        try:
            mode = making.start(message["status"], list(headers))
            if message.get("trailers"):
                making.give_up()
                mode = making.mode
        except Exception:  # noqa: BLE001  the host goes on
            self._responses.fault("asgi.start")
            mode = making.mode = Mode.PASS
            making.give_up()
        if mode is Mode.HOLD:
            self._start = message
        elif mode is not Mode.STAND_IN:
            await self._forward({**message, "headers": making.sent_headers} if mode is Mode.COPY else message)

    async def _body(self, message: Message) -> None:
        making = self._making
        if making.mode is Mode.STAND_IN:
            return
        start, self._start = self._start, None
        if message["type"] != "http.response.body":  # a file by its path, early hints …
            making.give_up()
            if start is not None:
                await self._forward(start)
            await self._forward(message)
            return
        last = not message.get("more_body")
        making.piece(message.get("body") or b"", last=last)
        if start is not None and last:
            whole = making.whole()
            await self._keep()
            await _whole(self._forward, *whole)
            return
        if last:
            await self._keep()
        if start is not None:  # it comes in pieces: each is passed on at once
            await self._forward({**start, "headers": making.sent_headers})
        await self._forward(message)


async def _stored(look: Look, send: Send, why: bytes, responses: ResponseCache) -> None:
    assert look.stored is not None
    await _whole(send, *answer(look.stored, look.asked, responses.core.now_s(), why))


async def _whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _nowhere(_: Message) -> None:
    """For an answer that nobody waits for."""


class _NoBody:
    """`receive` of a request without a body, from a client that stays."""

    def __init__(self) -> None:
        self._told = False

    async def __call__(self) -> Message:
        if self._told:
            await asyncio.Event().wait()
        self._told = True
        return {"type": "http.request", "body": b"", "more_body": False}
