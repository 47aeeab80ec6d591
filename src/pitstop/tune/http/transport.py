"""Transports of httpx that hold the pools: one a process, and with asyncio one an event loop.

So a client may be made when a module is imported and used after a fork, in threads, and in one event loop after
another: it never writes to a socket of its parent or of a loop that is gone.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from contextlib import contextmanager
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING, Any

import httpx

from pitstop.model.series import POOL_WAIT
from pitstop.record.leaf import leaf
from pitstop.tune.http.guarding import close_sockets, guard
from pitstop.tune.http.hosts import HOSTS, begin_reporting
from pitstop.tune.http.retrying import SMALL_BYTES, Retries, Send, exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pitstop.tune.http.hosts import Host, Hosts

WAITED_NS = 1_000_000  # a shorter wait for a connection is the scheduler's


class _Call:
    """One call on its way: counts it at its host, listens to httpcore's trace, and ends once."""

    def __init__(self, pool: Pool, request: httpx.Request) -> None:
        url = request.url
        self.pool = pool
        self.host: Host = pool.hosts.of(url.scheme, url.host, url.port)
        self.request = request
        self._extensions = request.extensions
        self._crowded = pool.enter()
        self._opened = False
        self._start_ns = self._first_ns = 0
        self._timeout: dict[str, float | None] = {}
        self._over = False
        self.host.add("in_use")

    def begin(self, step: Send, trace: Callable[..., Any]) -> httpx.Request:
        """The request as it is to be sent in this try."""
        self.host.add("requests")
        self._opened, self._first_ns, self._start_ns = False, 0, perf_counter_ns()
        self._timeout = step.timeout
        self.request.extensions = {**self._extensions, "timeout": step.timeout, "trace": trace}
        return self.request

    def hasten(self, drop_s: float) -> float:
        """Let the body of this try take no more than `drop_s`; returns until when its pieces may come.

        httpcore looks at the timeout when it begins with the body. The last piece may come just in time and the next
        not at all, so either gets half.
        """
        self._timeout["read"] = drop_s / 2
        return self.pool.clock_s() + drop_s / 2

    def hear(self, event: str) -> None:
        """Take an event of httpcore (www.encode.io/httpcore/extensions/#trace)."""
        if not self._first_ns:
            self._first_ns = perf_counter_ns()
        if event in {"connection.connect_tcp.complete", "connection.connect_unix_socket.complete"}:
            self._opened = True

    def trace(self, event: str, info: Any) -> None:
        """For a sync client: ours, then the caller's own."""
        self.hear(event)
        theirs = self._extensions.get("trace")
        if theirs is not None:
            theirs(event, info)

    async def atrace(self, event: str, info: Any) -> None:
        """For an async client."""
        self.hear(event)
        theirs = self._extensions.get("trace")
        if theirs is not None:
            await theirs(event, info)

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Around one try: count what came of it."""
        try:
            yield
        except BaseException as error:
            self._sent(error)
            raise
        self._sent(None)

    def _sent(self, error: BaseException | None) -> None:
        self.request.extensions = self._extensions
        host = self.host
        if self._opened:
            host.add("opened")
        elif self._first_ns and error is None:
            host.add("reused")
        if error is not None:
            host.add("timeouts" if isinstance(error, httpx.TimeoutException) else "errors")
        waited_until_ns = self._first_ns or perf_counter_ns()
        if self._crowded and waited_until_ns - self._start_ns >= WAITED_NS:
            host.add("waits")
            leaf(POOL_WAIT, f"http {host.name}", "ok" if self._first_ns else "error", self._start_ns, waited_until_ns)

    def over(self) -> None:
        """The connection is free again, or gone."""
        if not self._over:
            self._over = True
            self.host.add("in_use", -1)
            self.pool.leave()


class Pool:
    """What sync and async transports have in common: limits, retries, how many calls are on their way."""

    def __init__(
        self,
        options: dict[str, Any],
        retries: Retries,
        hosts: Hosts = HOSTS,
        clock_s: Callable[[], float] = monotonic,
        rng: random.Random | None = None,
    ) -> None:
        self.options = options
        self.retries = retries
        self.hosts = hosts
        self.clock_s = clock_s
        self.rng = rng or random.Random()  # noqa: S311  waits need no secrecy
        limits: httpx.Limits = options["limits"]
        self._most = limits.max_connections or 1 << 30
        self._in_flight = 0
        self._lock = threading.Lock()
        begin_reporting()

    def enter(self) -> bool:
        """Count a call in; whether it finds every connection taken."""
        with self._lock:
            self._in_flight += 1
            return self._in_flight > self._most

    def leave(self) -> None:
        """Count it out."""
        with self._lock:
            self._in_flight -= 1

    def after_fork(self) -> None:
        """In a child none of the parent's calls is on its way."""
        self._lock = threading.Lock()
        self._in_flight = 0


class PooledTransport(httpx.BaseTransport):
    """For `httpx.Client`: for any thread, on both sides of a fork."""

    def __init__(self, pool: Pool, sleep: Callable[[float], object]) -> None:
        self._pool = pool
        self._sleep = sleep
        self._lock = threading.Lock()
        self._below: tuple[int, httpx.HTTPTransport] | None = None

    def _transport(self) -> httpx.HTTPTransport:
        pid = os.getpid()
        held = self._below
        if held is not None and held[0] == pid:
            return held[1]
        if held is not None:  # the parent's sockets are left to the parent
            self._lock = threading.Lock()
            self._below = None
            self._pool.after_fork()
        with self._lock:
            if self._below is None:
                self._below = pid, guard(httpx.HTTPTransport(**self._pool.options))
            return self._below[1]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, as often as it needs."""
        transport, call = self._transport(), _Call(self._pool, request)
        pool = self._pool
        steps = exchange(request, pool.retries, call.host, pool.clock_s, pool.rng)
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Send):
                    try:
                        with call.trying():
                            outcome = transport.handle_request(call.begin(step, call.trace))
                    except httpx.TransportError as failed:
                        outcome = failed
                else:
                    if step.dropped is not None:
                        _drop(step.dropped, call, step.drop_s)
                    self._sleep(step.seconds)
                    outcome = None
        except StopIteration as stop:
            response: httpx.Response = stop.value
        except BaseException:
            call.over()
            raise
        assert isinstance(response.stream, httpx.SyncByteStream)
        response.stream = _Body(response.stream, call)
        return response

    def close(self) -> None:
        """Close the connections of this process."""
        held, self._below = self._below, None
        if held is not None and held[0] == os.getpid():
            held[1].close()


class AsyncPooledTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`: in any event loop, on both sides of a fork."""

    def __init__(self, pool: Pool, sleep: Callable[[float], Awaitable[object]]) -> None:
        self._pool = pool
        self._sleep = sleep
        self._pid = os.getpid()
        self._by_loop: dict[asyncio.AbstractEventLoop, httpx.AsyncHTTPTransport] = {}

    def _transport(self) -> httpx.AsyncHTTPTransport:
        loop = asyncio.get_running_loop()
        if self._pid != os.getpid():
            self._by_loop = {}
            self._pid = os.getpid()
            self._pool.after_fork()
        found = self._by_loop.get(loop)
        if found is None:
            self._forget_closed()
            found = self._by_loop[loop] = httpx.AsyncHTTPTransport(**self._pool.options)
        return found

    def _forget_closed(self) -> None:
        """Loops that are gone cannot close their sockets themselves any more, and connections hold their loop."""
        for loop in list(self._by_loop):  # other threads' loops come and go meanwhile
            if loop.is_closed():
                gone = self._by_loop.pop(loop, None)
                if gone is not None:
                    close_sockets(gone)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, as often as it needs."""
        transport, call = self._transport(), _Call(self._pool, request)
        pool = self._pool
        steps = exchange(request, pool.retries, call.host, pool.clock_s, pool.rng)
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Send):
                    try:
                        with call.trying():
                            outcome = await transport.handle_async_request(call.begin(step, call.atrace))
                    except httpx.TransportError as failed:
                        outcome = failed
                else:
                    if step.dropped is not None:
                        await _adrop(step.dropped, call, step.drop_s)
                    await self._sleep(step.seconds)
                    outcome = None
        except StopIteration as stop:
            response: httpx.Response = stop.value
        except BaseException:
            call.over()
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _AsyncBody(response.stream, call)
        return response

    async def aclose(self) -> None:
        """Close the connections of this event loop."""
        found = self._by_loop.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.aclose()


class _Body(httpx.SyncByteStream):
    """A response's body, until whose end the connection is in use."""

    def __init__(self, stream: httpx.SyncByteStream, call: _Call) -> None:
        self._stream = stream
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._call.over()


class _AsyncBody(httpx.AsyncByteStream):
    """The same for async clients."""

    def __init__(self, stream: httpx.AsyncByteStream, call: _Call) -> None:
        self._stream = stream
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            yield piece

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._call.over()


def _small(response: httpx.Response) -> bool:
    length = response.headers.get("content-length", "")
    return length.isascii() and length.isdigit() and int(length[:9]) <= SMALL_BYTES


def _drop(response: httpx.Response, call: _Call, drop_s: float) -> None:
    """Let go of an answer; its connection is used again if the rest of it is short and comes within `drop_s`."""
    try:
        if _small(response):
            until_s = call.hasten(drop_s)
            for _ in response.iter_raw():  # as it came: nobody looks at it
                if call.pool.clock_s() > until_s:
                    break
    except httpx.TransportError:
        pass
    finally:
        response.close()


async def _adrop(response: httpx.Response, call: _Call, drop_s: float) -> None:
    try:
        if _small(response):
            until_s = call.hasten(drop_s)
            async for _ in response.aiter_raw():
                if call.pool.clock_s() > until_s:
                    break
    except httpx.TransportError:
        pass
    finally:
        await response.aclose()
