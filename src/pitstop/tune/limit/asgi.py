"""Load shedding for ASGI applications: ``app.add_middleware(LimitMiddleware, priorities={"/reports": Priority.LOW})``.

Put it outermost but for recording. HTTP only; websockets pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.limit.limiter import RETRY_AFTER_S, Limiter, Priority
from pitstop.tune.limit.priorities import BODY, RetryAfter, by_path

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Scope = Mapping[str, Any]
    Message = Mapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Any, Any, Any], Awaitable[None]]

_FAILED = 500


class LimitMiddleware:
    """Answers 503 with Retry-After where `limiter` has no room.

    `priorities` is by prefix of the path, or `priority` tells it from the scope. Event streams and failed requests take
    room, but their times do not count; a stream gives its room back when it begins.
    """

    def __init__(
        self,
        app: App,
        limiter: Limiter | None = None,
        *,
        priorities: Mapping[str, Priority] | None = None,
        priority: Callable[[Scope], Priority] | None = None,
        retry_after_s: int = RETRY_AFTER_S,
    ) -> None:
        self.app = app
        self.limiter = limiter or Limiter()
        self._by_path = by_path(priorities)
        self._by_scope = priority
        self._retry_after = RetryAfter(retry_after_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI 3."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limiter = self.limiter
        by_scope = self._by_scope
        began_ns = limiter.enter(self._by_path(scope["path"]) if by_scope is None else by_scope(scope))
        if not began_ns:
            await self._refuse(send)
            return
        counts = held = True

        async def watched(message: Message) -> None:
            nonlocal counts, held
            if message["type"] == "http.response.start":
                if message["status"] >= _FAILED:
                    counts = False
                elif held and _is_stream(message):
                    counts = held = False
                    limiter.leave(began_ns, counts=False)
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except BaseException:
            counts = False
            raise
        finally:
            if held:
                limiter.leave(began_ns, counts=counts)

    async def _refuse(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(BODY)),
            (b"retry-after", self._retry_after()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


def _is_stream(message: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in message.get("headers") or ()
    )
