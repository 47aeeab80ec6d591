"""Commands to a Redis, within a deadline, from threads and from event loops alike.

One of our own rather than redis-py's, because a cache wants less and must know more: every wait is bounded by one
deadline, a breaker stands before each server, and cancelled calls cost nothing. It also takes half the time:
``python bench/cache_redis.py``.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from pitstop.model.errors import SettingError
from pitstop.tune.cache.redis.address import Address, Login, Node, parse
from pitstop.tune.cache.redis.blocking import Connection, Pool
from pitstop.tune.cache.redis.breaker import CLOSED, HALF_OPEN, OPEN, Breaker
from pitstop.tune.cache.redis.route import route
from pitstop.tune.cache.redis.streaming import Streams
from pitstop.tune.cache.redis.wire import Ask, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.cache.redis.route import Got, Look, Talk
    from pitstop.tune.cache.redis.wire import Command, Reply

DEADLINE_S: Final = 0.25  # a Redis next door takes 0.1–1 ms; a caller that waits longer had better compute
_now_s = time.monotonic


class Client:
    """A Redis as `url` tells (see `address`). Any thread, any event loop; forks start with connections of their own.

    `deadline_s` bounds each call as a whole: finding the server, connecting, redirections, the answer.
    """

    def __init__(self, url: str | Address, *, deadline_s: float = DEADLINE_S) -> None:
        if not 0 < deadline_s <= 60:  # noqa: PLR2004
            raise SettingError(f"deadline_s={deadline_s} is not from above 0 to 60 s: 0.25 suits a Redis nearby")
        self.address = parse(url) if isinstance(url, str) else url
        self.deadline_s = deadline_s
        self.route = route(self.address)
        self.errors = 0
        """Calls without an answer, those that a breaker kept back included."""
        self._breakers: defaultdict[Node, Breaker]
        self._pool: Pool
        self._streams: Streams
        self._fresh()
        _clients.add(self)

    def _fresh(self) -> None:
        self._breakers = defaultdict(Breaker)
        self._pool = Pool(self.login_of, self.address.tls)
        self._streams = Streams(self.login_of, self.address.tls)

    def login_of(self, node: Node) -> Login:
        """What to say first to `node`."""
        address = self.address
        return address.sentinel_login if address.mode == "sentinel" and node in address.nodes else address.login

    @property
    def state(self) -> str:
        """The worst of the breakers' of servers that take writes: closed, half-open or open."""
        states = {self._breakers[node].state for node in self.route.writers()}
        return next((state for state in (OPEN, HALF_OPEN) if state in states), CLOSED)

    def ask(self, commands: Sequence[Command], deadline_s: float | None = None) -> list[Reply]:
        """The replies; an error of a single command is one of them. Raises WireError when there are none."""
        end_s = _now_s() + (deadline_s or self.deadline_s)
        replies: list[Reply] = self._run(self.route.talk(commands), end_s)
        return replies

    async def aask(self, commands: Sequence[Command], deadline_s: float | None = None) -> list[Reply]:
        """The same for asyncio. Who is cancelled leaves nothing behind."""
        end_s = _now_s() + (deadline_s or self.deadline_s)
        talk = self.route.talk(commands)
        try:
            asks = next(talk)
            while True:
                if len(asks) == 1:
                    got = [await self._one_async(asks[0], end_s)]
                else:
                    got = await self._all_async(asks, end_s)
                asks = talk.send(got)
        except StopIteration as stop:
            replies: list[Reply] = stop.value
            return replies
        except WireError:
            self.errors += 1
            raise

    def connection(self, deadline_s: float) -> Connection:
        """One of the caller's own to a server that takes writes. Raises WireError when there is none in time."""
        if not self.route.writers():
            self.look()
        for node in self.route.writers():
            return Connection(node, self.login_of(node), self.address.tls, _now_s() + deadline_s)
        raise WireError("nobody tells which server takes writes")

    def look(self) -> None:
        """Learn anew who is where; nothing is raised when nobody tells."""
        self._run(self.route.look(), _now_s() + self.deadline_s)

    def _run(self, talk: Talk | Look, end_s: float) -> Any:
        try:
            asks = next(talk)
            while True:
                got = [self._one(asks[0], end_s)] if len(asks) == 1 else self._all(asks, end_s)
                asks = talk.send(got)
        except StopIteration as stop:
            return stop.value
        except WireError:
            self.errors += 1
            raise

    def _one(self, asked: Ask, end_s: float) -> Got:
        if _now_s() >= end_s:
            return _too_late(asked.node)
        breaker = self._breakers[asked.node]
        if not breaker.allows():
            return _left_alone(asked.node)
        try:
            got = self._pool.exchange(asked, end_s if asked.share == 1 else _share(asked, end_s))
        except WireError as error:
            breaker.failed()
            return error
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return got

    def _all(self, asks: Sequence[Ask], end_s: float) -> list[Got]:
        if _now_s() >= end_s:
            return [_too_late(asked.node) for asked in asks]
        allowed = [asked for asked in asks if self._breakers[asked.node].allows()]
        try:
            got = self._pool.exchange_all(allowed, end_s)
        except BaseException:
            for asked in allowed:
                self._breakers[asked.node].abandoned()
            raise
        of: dict[int, Got] = {}
        for asked, answer in zip(allowed, got, strict=True):
            breaker = self._breakers[asked.node]
            if isinstance(answer, WireError):
                breaker.failed()
            else:
                breaker.succeeded()
            of[id(asked)] = answer
        return [of.get(id(asked)) or _left_alone(asked.node) for asked in asks]

    async def _one_async(self, asked: Ask, end_s: float) -> Got:
        left_s = end_s - _now_s()
        if left_s <= 0:
            return _too_late(asked.node)
        breaker = self._breakers[asked.node]
        if not breaker.allows():
            return _left_alone(asked.node)
        try:
            got = await self._streams.exchange(asked, left_s * asked.share)
        except WireError as error:
            breaker.failed()
            return error
        except BaseException:
            breaker.abandoned()
            raise
        breaker.succeeded()
        return got

    async def _all_async(self, asks: Sequence[Ask], end_s: float) -> list[Got]:
        import asyncio  # noqa: PLC0415  whoever awaits has it; sync hosts need not load it

        return list(await asyncio.gather(*(self._one_async(asked, end_s) for asked in asks)))

    def close(self) -> None:
        """Close idle connections of threads and those of event loops; a later call opens new ones."""
        self._streams.close()
        self._pool.close()


def _share(asked: Ask, end_s: float) -> float:
    now_s = _now_s()
    return now_s + (end_s - now_s) * asked.share


def _too_late(node: Node) -> WireError:
    """No time is left to ask `node`, which says nothing about it."""
    return WireError(f"no time is left to ask Redis at {node}")


def _left_alone(node: Node) -> WireError:
    return WireError(f"Redis at {node} failed repeatedly and is left alone for a moment")


_clients: WeakSet[Client] = WeakSet()


def _after_fork() -> None:
    """The parent's sockets are the parent's: what a child said on them would be answered to either."""
    for client in list(_clients):
        client._fresh()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
