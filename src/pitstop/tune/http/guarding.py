"""Connections of httpcore that no thread closes while another uses them, and those that no event loop can close.

httpcore 1.0.9 decides under its lock which connections have expired, but a connection becomes busy outside of it:
a thread that finds one idle, and then readable because the answer to another thread's request has just arrived, closes
it under that thread's feet. With 8 threads on 4 connections plain httpx may lose a tenth of all calls to ``Bad file
descriptor`` and timeouts (`bench/tune_http.py`). With asyncio nothing runs in between.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import httpx


class GuardedConnection(httpcore.ConnectionInterface):
    """A connection that knows who is using it; an expired one is closed only when that is nobody."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._turn = threading.Lock()
        self._users = 0
        self._closed = False  # by the pool, which does not know it any more

    def handle_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send `request`; ConnectionNotAvailable, upon which the pool chooses another, when it was closed meanwhile."""
        with self._turn:
            if self._closed:
                raise httpcore.ConnectionNotAvailable
            self._users += 1
        try:
            response: httpcore.Response = self._connection.handle_request(request)
        except BaseException:
            self._leave()
            raise
        response.stream = _Stream(response.stream, self._leave)
        return response

    def _leave(self) -> None:
        with self._turn:
            self._users -= 1
            over = self._closed and not self._users
        if over:
            self._connection.close()

    def close(self) -> None:
        """Close it when nobody uses it any more."""
        with self._turn:
            self._closed = True
            if self._users:
                return
        self._connection.close()

    def has_expired(self) -> bool:
        """Whether it stood idle for too long, or the server has closed it."""
        with self._turn:
            return not self._users and bool(self._connection.has_expired())

    def is_idle(self) -> bool:
        """Whether nobody uses it."""
        with self._turn:
            return not self._users and bool(self._connection.is_idle())

    def is_available(self) -> bool:
        """Whether it can take a request."""
        return bool(self._connection.is_available())

    def is_closed(self) -> bool:
        """Whether it is gone."""
        return bool(self._connection.is_closed())

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        """Whether it leads to `origin`."""
        return bool(self._connection.can_handle_request(origin))

    def info(self) -> str:
        """For httpcore's `repr`."""
        return str(self._connection.info())


class _Stream:
    """A body, until whose end the connection is used."""

    def __init__(self, stream: Any, leave: Callable[[], None]) -> None:
        self._stream: Iterable[bytes] = stream
        self._leave: Callable[[], None] | None = leave

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        leave, self._leave = self._leave, None
        try:
            self._stream.close()  # type: ignore[attr-defined]  # httpcore's have it
        finally:
            if leave is not None:
                leave()


def guard(transport: httpx.HTTPTransport) -> httpx.HTTPTransport:
    """Let every connection that `transport` opens be a guarded one."""
    pool = transport._pool  # noqa: SLF001  httpx takes no pool of ours; behind a proxy it is another class
    create: Callable[[httpcore.Origin], httpcore.ConnectionInterface] = pool.create_connection
    pool.create_connection = lambda origin: GuardedConnection(create(origin))  # type: ignore[method-assign]  # of this pool only
    return transport


def close_sockets(transport: httpx.AsyncHTTPTransport) -> None:
    """Close the sockets of a transport whose event loop is closed: asyncio's own way to do so needs the loop.

    uvloop has closed them with the loop.
    """
    for connection in list(transport._pool.connections):  # noqa: SLF001  httpx has no other way to them
        below: Any = connection
        while getattr(below, "_connection", None) is not None:  # a proxy's, then one of HTTP/1.1 or 2
            below = below._connection  # noqa: SLF001
        stream = getattr(below, "_network_stream", None)
        held = None if stream is None else stream.get_extra_info("socket")
        own = getattr(held, "_sock", None)  # asyncio shows it in a wrapper that cannot close
        if isinstance(own, socket.socket):
            own.close()
