"""Which server a command goes to, and what to do when it was the wrong one: without any I/O.

A route is a generator: it yields pieces to send, each to one server, and is sent their replies (or why there are none).
`client.py` runs it for threads and for asyncio. Redis' cluster specification: redis.io/docs/reference/cluster-spec.
"""

from __future__ import annotations

import time
from binascii import crc_hqx
from typing import TYPE_CHECKING, Final, Protocol

from pitstop.tune.cache.redis.address import Node
from pitstop.tune.cache.redis.wire import UNAVAILABLE, Ask, ReplyError, WireError, ask, code

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from pitstop.tune.cache.redis.address import Address
    from pitstop.tune.cache.redis.wire import Arg, Command, Reply

    Got = list[Reply] | WireError
    Talk = Generator[Sequence[Ask], list[Got], list[Reply]]
    Look = Generator[Sequence[Ask], list[Got], None]

SLOTS: Final = 16_384
MOST_TRIES: Final = 4  # redirections of one call
LOOK_EVERY_S: Final = 0.1  # at most, after a fault: a failover takes seconds, and everybody asks


class Route(Protocol):
    """How commands find their server."""

    def talk(self, commands: Sequence[Command]) -> Talk:
        """The commands' replies, errors of a single command among them; raises WireError when there are none."""
        ...

    def look(self) -> Look:
        """Learn anew who is where."""
        ...

    def writers(self) -> frozenset[Node]:
        """The servers that take writes, as far as it is known."""
        ...


def route(address: Address, clock: Callable[[], float] = time.monotonic) -> Route:
    """The one that fits `address`."""
    if address.mode == "cluster":
        return Cluster(address, clock)
    return Sentinels(address, clock) if address.mode == "sentinel" else Single(address)


def checked(got: Got) -> list[Reply]:
    """The replies, if the server could do it now."""
    if isinstance(got, WireError):
        raise got
    for reply in got:
        if isinstance(reply, ReplyError) and code(reply) in UNAVAILABLE:
            raise WireError(f"Redis cannot do it now: {reply}")
    return got


class Single:
    """One server."""

    def __init__(self, address: Address) -> None:
        self.node = address.nodes[0]

    def talk(self, commands: Sequence[Command]) -> Talk:
        """All of it in one piece."""
        got = yield (ask(self.node, commands),)
        return checked(got[0])

    def look(self) -> Look:
        """There is nothing to learn."""
        yield from ()

    def writers(self) -> frozenset[Node]:
        """The server."""
        return frozenset({self.node})


class Sentinels:
    """The server that sentinels call primary. redis.io/docs/reference/sentinel-clients."""

    def __init__(self, address: Address, clock: Callable[[], float]) -> None:
        self._service = address.service
        self._sentinels = list(address.nodes)
        self._clock = clock
        self._primary: Node | None = None
        self._looked_s = float("-inf")

    def talk(self, commands: Sequence[Command]) -> Talk:
        """From the primary; when that fails, from the one that the sentinels name then, if it is another."""
        if self._primary is None:
            yield from self.look()
        primary = self._primary
        if primary is None:
            raise WireError(f"no sentinel names a primary of {self._service!r}")
        got = yield (ask(primary, commands),)
        try:
            return checked(got[0])
        except WireError:
            if self._clock() - self._looked_s >= LOOK_EVERY_S:
                yield from self.look()
            if self._primary in {None, primary}:
                raise
        assert self._primary is not None
        got = yield (ask(self._primary, commands),)
        return checked(got[0])

    def look(self) -> Look:
        """Ask one sentinel after the other; the first that knows is asked first next time."""
        self._looked_s = self._clock()
        for sentinel in list(self._sentinels):
            question = ask(sentinel, [("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)])
            got = (yield (question._replace(share=0.4),))[0]
            if isinstance(got, WireError) or not isinstance(got[0], list):
                continue
            host, port = got[0]
            self._primary = Node(host.decode(), int(port))
            self._sentinels.remove(sentinel)
            self._sentinels.insert(0, sentinel)
            return

    def writers(self) -> frozenset[Node]:
        """The primary."""
        return frozenset({self._primary} if self._primary else ())


def slot(key: Arg) -> int:
    """A key's: CRC16 (XMODEM) of what stands between the first braces, or of all of it."""
    raw = key if isinstance(key, bytes) else str(key).encode()
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    return crc_hqx(raw, 0) % SLOTS


def key_of(command: Command) -> Arg:
    """The key that decides where `command` goes: the first one."""
    return command[3] if command[0] in {"EVAL", "EVALSHA"} else command[1]


class Cluster:
    """Who has which slot. The map is replaced whole, so any thread may read it."""

    def __init__(self, address: Address, clock: Callable[[], float]) -> None:
        self._seeds = address.nodes
        self._clock = clock
        self._owners: dict[int, Node] = {}
        self._everybody: tuple[Node, ...] = ()
        self._looked_s = float("-inf")

    def talk(self, commands: Sequence[Command]) -> Talk:  # noqa: C901  the specification's cases, one after the other
        """From whoever has the slots: a piece for each server, redirections followed, a lost server's heir found."""
        replies: list[Reply] = [None] * len(commands)
        open_ = list(range(len(commands)))
        importing: dict[int, Node] = {}
        error: WireError | None = None
        for _ in range(MOST_TRIES):
            if not self._owners:
                yield from self.look()
            asks, whose = self._pieces(commands, open_, importing)
            importing = {}
            open_, stale = [], False
            for got, indexes in zip((yield asks), whose, strict=True):
                if isinstance(got, WireError):
                    error, stale = got, True
                    open_ += indexes
                    continue
                for index, reply in zip(indexes, got[-len(indexes) :], strict=True):
                    word = code(reply)
                    if word == "MOVED":
                        self._moved(str(reply))
                        stale = True
                    elif word == "ASK":
                        importing[index] = _place(str(reply))
                    elif word in UNAVAILABLE:
                        error, stale = WireError(f"Redis cannot do it now: {reply}"), True
                    else:
                        replies[index] = reply
                        continue
                    open_.append(index)
            if not open_:
                return replies
            if stale and self._clock() - self._looked_s >= LOOK_EVERY_S:
                yield from self.look()
            elif error is not None:
                break
        raise error or WireError("the cluster's servers send us from one to the other")

    def _pieces(
        self, commands: Sequence[Command], indexes: Sequence[int], importing: dict[int, Node]
    ) -> tuple[list[Ask], list[list[int]]]:
        asks, whose = [], []
        groups: dict[Node, list[int]] = {}
        for index in indexes:
            if index in importing:
                asks.append(ask(importing[index], [("ASKING",), commands[index]]))
                whose.append([index])
                continue
            owner = self._owners.get(slot(key_of(commands[index])))
            if owner is None:
                self._owners = {}
                raise WireError("the cluster has no server for a slot: it is not whole")
            groups.setdefault(owner, []).append(index)
        for owner, group in groups.items():
            asks.append(ask(owner, [commands[index] for index in group]))
            whose.append(group)
        return asks, whose

    def _moved(self, said: str) -> None:
        owners = dict(self._owners)
        owners[int(said.split()[1])] = _place(said)
        self._owners = owners

    def look(self) -> Look:
        """Ask one server after the other for the map."""
        self._looked_s = self._clock()
        for node in dict.fromkeys((*self.writers(), *self._everybody, *self._seeds)):
            got = (yield (ask(node, [("CLUSTER", "SLOTS")])._replace(share=0.4),))[0]
            if isinstance(got, WireError) or not isinstance(got[0], list) or not got[0]:
                continue
            owners: dict[int, Node] = {}
            everybody: dict[Node, None] = {}
            for first, last, *servers in got[0]:
                places = [Node((host or b"").decode() or node.host, port) for host, port, *_ in servers]
                everybody.update(dict.fromkeys(places))
                owners.update(dict.fromkeys(range(first, last + 1), places[0]))
            self._owners, self._everybody = owners, tuple(everybody)
            return

    def writers(self) -> frozenset[Node]:
        """All that have slots."""
        return frozenset(self._owners.values())


def _place(said: str) -> Node:
    """Of ``MOVED 3999 127.0.0.1:6381`` or ASK."""
    host, _, port = said.split()[2].rpartition(":")
    return Node(host, int(port))
