"""What every answer passes: the Host list before anything else, and the headers that keep a browser in its place.

The content policy lets a page run only scripts that carry this answer's nonce, and load nothing from elsewhere.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

from pitstop.dashboard.faults import body_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


class Hosts:
    """The names this dashboard answers to: loopback on any port, and those it was given (``name`` or ``name:port``)."""

    def __init__(self, given: Iterable[str] = ()) -> None:
        self.given = tuple(host.strip().lower() for host in given if host.strip())

    def allows(self, host: str) -> bool:
        """Whether a request for `host` is meant for us."""
        host = host.lower()
        return host in self.given or host_name(host) in (*LOOPBACK, *self.given)

    def same_origin(self, headers: Headers) -> bool:
        """Whether the page that sent this is one of ours, by Origin or else Referer; absent and ``null`` are not."""
        if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
            return False
        origin = headers.get("origin") or headers.get("referer") or ""
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return False
        return parts.netloc.lower() in {headers.get("host", "").lower(), *self.given}


class Guard:
    """Pure ASGI middleware: refuses a wrong Host with 400, adds the security headers, gives the page its nonce."""

    def __init__(self, app: ASGIApp, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or socket."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")
        if not self._hosts.allows(host):
            await self._refuse(host, scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce
        policy = content_policy(nonce, host)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["cross-origin-resource-policy"] = "same-origin"
                headers["x-frame-options"] = "DENY"
                headers["permissions-policy"] = "camera=(), geolocation=(), microphone=()"
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, send_guarded)

    async def _refuse(self, host: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        body = body_of(
            "wrong_host",
            "this dashboard does not answer to that Host",
            value=host[:200],
            limit=", ".join((*LOOPBACK, *self._hosts.given)),
            next_step="add the name to hosts=… or PITSTOP_HOSTS",
        )
        await JSONResponse(body, 400, headers={"cache-control": "no-store"})(scope, receive, send)


def content_policy(nonce: str, host: str) -> str:
    """The Content-Security-Policy of one answer. `host` has passed the Host list, so it can be written into it."""
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'nonce-{nonce}'",
            "style-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self' ws://{host} wss://{host}",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )


def host_name(host: str) -> str:
    """`host` without its port, which must be a number: ``localhost:9200`` is localhost, ``localhost:x`` is not."""
    if host.startswith("["):
        name, bracket, port = host.partition("]")
        return name + bracket if not port or (port[0] == ":" and port[1:].isdigit()) else host
    name, colon, port = host.partition(":")
    return name if not colon or port.isdigit() else host
