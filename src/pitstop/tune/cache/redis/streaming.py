"""Connections for asyncio: one for each server and event loop, which all tasks share.

Replies are matched in the order of what was sent, so a task that gives up leaves its place in the queue: its reply is
read and thrown away, nobody else can get it, and the connection stays good. A server that answers nobody until a task's
deadline is hung: the connection is closed and all who wait are told.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import hiredis

from pitstop.tune.cache.redis.blocking import GoneError
from pitstop.tune.cache.redis.wire import NAME, NOTHING, Ask, WireError, ask, reader

if TYPE_CHECKING:
    from collections.abc import Callable
    from ssl import SSLContext

    from pitstop.tune.cache.redis.address import Login, Node
    from pitstop.tune.cache.redis.wire import Command, Reply

MOST_WAITING: Final = 8192  # pieces under way on one connection; who comes then goes on without Redis
MOST_UNSENT_BYTES: Final = 32 << 20

Waiting = asyncio.Future["list[Reply]"]


class Stream(asyncio.Protocol):
    """One connection."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self.node = node
        self.used = False
        self.error: WireError | None = None
        self._loop = loop
        self._reader: Any = reader()
        self._waiting: deque[tuple[Waiting, int]] = deque()  # who waits, for how many replies
        self._got: list[Reply] = []  # of the first one
        self._transport: Any = None  # uvloop's are no asyncio.Transport
        self._unsent: list[bytes] = []
        self._answered_s = float("-inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = transport
        self._transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """It fell."""
        self._fail(GoneError(f"Redis at {self.node} closed the connection{f': {exc}' if exc else ''}"))

    def data_received(self, data: bytes) -> None:
        """Give replies to whoever is next."""
        waiting, gets = self._waiting, self._reader.gets
        try:
            self._reader.feed(data)
            while (reply := gets()) is not NOTHING:
                if not waiting:
                    self.close(WireError(f"Redis at {self.node} said more than it was asked"))
                    return
                self._answered_s = self._loop.time()
                future, replies = waiting[0]
                if replies == 1:
                    waiting.popleft()
                    if not future.done():
                        future.set_result([reply])
                    continue
                self._got.append(reply)
                if len(self._got) == replies:
                    waiting.popleft()
                    if not future.done():
                        future.set_result(self._got)
                    self._got = []
        except hiredis.ProtocolError as error:
            self.close(WireError(f"what Redis at {self.node} said is not its protocol: {error}"))

    def send(self, asked: Ask) -> Waiting:
        """Send a piece; the future gets its replies. Whoever is alone sends at once, a crowd in one piece."""
        if self.error is not None:
            raise self.error
        transport, waiting = self._transport, self._waiting
        assert transport is not None
        if len(waiting) >= MOST_WAITING or transport.get_write_buffer_size() >= MOST_UNSENT_BYTES:
            raise WireError(f"Redis at {self.node} cannot keep up: {len(waiting)} calls wait for it")
        future: Waiting = self._loop.create_future()
        if not waiting:
            transport.write(asked.packed)
        else:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(asked.packed)
        waiting.append((future, asked.replies))
        return future

    def late(self, future: Waiting, began_s: float) -> None:
        """A deadline has passed: the caller is told; if nobody was answered since it began, so are all others."""
        if future.done():
            return
        error = WireError(f"no answer in time from Redis at {self.node}")
        future.set_exception(error)
        if self._answered_s <= began_s:
            self.close(error)

    def close(self, error: WireError) -> None:
        """For good, at once."""
        if self._transport is not None:
            self._transport.abort()
        self._fail(error)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self.error is None and self._transport is not None:
            self._transport.write(b"".join(unsent))

    def _fail(self, error: WireError) -> None:
        if self.error is None:
            self.error = error
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(self.error)


class Streams:
    """Connections to every server, apart for each event loop."""

    def __init__(self, login_of: Callable[[Node], Login], tls: SSLContext | None) -> None:
        self._login_of = login_of
        self._tls = tls
        self._of: dict[asyncio.AbstractEventLoop, dict[Node, Stream | asyncio.Task[Stream]]] = {}

    async def exchange(self, asked: Ask, deadline_s: float) -> list[Reply]:
        """The replies to one piece, within `deadline_s`. Who is cancelled leaves nothing behind."""
        loop = asyncio.get_running_loop()
        known = self._of.get(loop)
        stream = known.get(asked.node) if known is not None else None
        began_s = loop.time()
        if type(stream) is not Stream or stream.error is not None:
            stream = await self._connected(loop, asked.node, deadline_s)
        try:
            return await self._answered(loop, stream, asked, began_s, deadline_s)
        except GoneError:
            if not stream.used:
                raise
        stream = await self._connected(loop, asked.node, began_s + deadline_s - loop.time())
        return await self._answered(loop, stream, asked, began_s, began_s + deadline_s - loop.time())

    async def _answered(
        self, loop: asyncio.AbstractEventLoop, stream: Stream, asked: Ask, began_s: float, deadline_s: float
    ) -> list[Reply]:
        future = stream.send(asked)
        timer = loop.call_at(began_s + deadline_s, stream.late, future, loop.time())
        try:
            got = await future
        finally:
            timer.cancel()
        stream.used = True
        return got

    async def _connected(self, loop: asyncio.AbstractEventLoop, node: Node, deadline_s: float) -> Stream:
        """The loop's connection to `node`. One task opens it for all who want it, whoever of them is cancelled."""
        known = self._of.get(loop)
        if known is None:
            for other in [other for other in list(self._of) if other.is_closed()]:
                self._of.pop(other, None)
            known = self._of.setdefault(loop, {})
        held = known.get(node)
        if isinstance(held, Stream):
            if held.error is None:
                return held
            held = None
        if held is None or held.done():
            held = known[node] = loop.create_task(self._connect(loop, node, deadline_s))
            held.add_done_callback(lambda task: task.cancelled() or task.exception())  # whoever waits raises it
        done, _ = await asyncio.wait({held}, timeout=max(0.0, deadline_s))
        if not done:
            raise WireError(f"no connection to Redis at {node} in time")
        if held.cancelled():
            raise WireError(f"no connection to Redis at {node}: the event loop ends")
        stream = held.result()
        if known.get(node) is held:
            known[node] = stream
        return stream

    async def _connect(self, loop: asyncio.AbstractEventLoop, node: Node, deadline_s: float) -> Stream:
        began_s = loop.time()
        stream = Stream(node, loop)
        try:
            async with asyncio.timeout(max(0.001, deadline_s)):
                if node.port:
                    await loop.create_connection(
                        lambda: stream, node.host, node.port, ssl=self._tls,
                        server_hostname=node.host if self._tls else None,
                    )  # fmt: skip
                else:
                    await loop.create_unix_connection(lambda: stream, node.host)
                said: list[Command] = [*self._login_of(node).commands(), NAME]
                replies = await self._answered(loop, stream, ask(node, said), began_s, deadline_s)
        except OSError as error:  # TimeoutError is one, WireError another
            stream.close(WireError(f"no connection to Redis at {node}: {error or 'no answer in time'}"))
            assert stream.error is not None
            raise stream.error from error
        except BaseException:
            stream.close(WireError(f"no connection to Redis at {node}: cancelled"))
            raise
        stream.used = False
        for reply in replies[:-1]:  # an old server or a proxy may not know of names
            if isinstance(reply, hiredis.ReplyError):
                stream.close(WireError(f"Redis at {node} refused to let us in: {reply}"))
                assert stream.error is not None
                raise stream.error
        return stream

    def close(self) -> None:
        """Close every loop's connections, from whatever thread."""
        of, self._of = self._of, {}
        for loop, known in of.items():
            try:
                running = asyncio.get_running_loop() is loop
            except RuntimeError:
                running = False
            if loop.is_closed():
                continue
            if running or not loop.is_running():
                _close(known)
            else:
                loop.call_soon_threadsafe(_close, known)


def _close(known: dict[Node, Stream | asyncio.Task[Stream]]) -> None:
    for held in known.values():
        if isinstance(held, Stream):
            held.close(WireError("the cache was closed"))
        else:
            held.cancel()
