"""The level that all workers share: a Redis, alone, behind sentinels, or a cluster.

Redis ≥ 5 will do; it tells what changes from 6 on, so that memory levels of several workers agree at once.

What is kept: ``<prefix>{<key>}`` a value's blob after a stamp of its writing, ``<prefix>{<key>}!`` the lease of whoever
makes it anew, ``<prefix>tag:<tag>`` a tag's version. Braces keep a key and its lease on one server of a cluster.
"""

from __future__ import annotations

import secrets
import time
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.tune.cache.level import Loaded
from pitstop.tune.cache.redis.client import DEADLINE_S, Client
from pitstop.tune.cache.redis.ears import Ears
from pitstop.tune.cache.redis.leases import COMMIT, DEAF_POLL_S, LEASE_S, POLL_S, RELEASE, Gates, Leases
from pitstop.tune.cache.redis.tags import SeenTags
from pitstop.tune.cache.redis.wire import ReplyError, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.cache.level import Hearer
    from pitstop.tune.cache.redis.address import Address
    from pitstop.tune.cache.redis.wire import Arg, Command, Reply

PREFIX: Final = "pitstop:"
STAMP_BYTES: Final = 8
MOST_STAMPS: Final = 10_000  # of own writings that are recognized when they are pushed back to us
MOST_TAGS: Final = 100_000  # whose versions are known here
TAG_S: Final = 32 * 86_400  # a version that is not raised lives so long; a new one is never equal to it, so it may end
DEAF_S: Final = 30.0  # so long may memory keep what it has while changes are not heard: the least adaptive TTL

_now_s = time.monotonic


class _Look(NamedTuple):
    """What was known of tags' versions before the server was asked for the others."""

    versions: dict[str, int]
    asked: list[str]
    pushes: int


class RedisLevel:
    """`url` as in `pitstop.tune.cache.redis.address`. Any thread, any event loop; forks begin with nothing open.

    `deadline_s` bounds each call. All caches with the same `prefix` hear each other.
    """

    name = "redis"

    def __init__(self, url: str | Address, *, prefix: str = PREFIX, deadline_s: float = DEADLINE_S) -> None:
        self.client = Client(url, deadline_s=deadline_s)
        self.refused = 0
        """Values that were not saved because somebody voided the key while they were made."""
        self._prefix = prefix.encode()
        self._begin = f"{prefix}{{".encode()
        self._tag_begin = f"{prefix}tag:".encode()
        self._leases = Leases()
        self._gates = Gates()
        self._hearer: Hearer | None = None
        self._known: dict[str, int] = {}  # versions of tags, while every change is heard
        self._stamps: OrderedDict[str, bytes] = OrderedDict()  # of what we wrote last
        self._seen = SeenTags()
        self._pushes = 0  # of tags
        self._forgot = True  # since hearing was lost
        self.ears = self._ears()

    def _ears(self) -> Ears:
        weak = weakref.ref(self)  # its thread must not keep alive a level that nobody else holds

        def changed(keys: Sequence[bytes] | None) -> None:
            level = weak()
            if level is not None:
                level._changed(keys)  # noqa: SLF001  its own

        def tick() -> None:
            level = weak()
            if level is not None:
                level._tick()  # noqa: SLF001  its own

        ears = Ears(self.client, self._prefix, changed)
        ears.ticked.append(tick)
        return ears

    @property
    def tells(self) -> bool:
        """Whether every change is heard."""
        return self.ears.hears

    @property
    def breaker(self) -> str:
        """closed, open or half-open: the worst of all servers that take writes."""
        return self.client.state

    def listen(self, hearer: Hearer) -> None:
        """Tell `hearer` what others change, from the first use on."""
        self._hearer = hearer

    # load

    def load(self, key: str, tags: Sequence[str]) -> Loaded:
        """The blob and the tags' versions, in one round trip."""
        commands, look = self._loading(key, tags)
        if look is None or not look.asked:
            return self._loaded(tags, look, self.client.ask(commands))
        with self._seen.learning(look.asked, self._doubt) as learn:
            replies = self.client.ask(commands)
            if None in replies[1:]:
                replies[1:] = self.client.ask(self._asking(look))[1::2]
            learn(replies[1:])
        return self._loaded(tags, look, replies)

    async def aload(self, key: str, tags: Sequence[str]) -> Loaded:
        """The same."""
        commands, look = self._loading(key, tags)
        if look is None or not look.asked:
            return self._loaded(tags, look, await self.client.aask(commands))
        with self._seen.learning(look.asked, self._doubt) as learn:
            replies = await self.client.aask(commands)
            if None in replies[1:]:
                replies[1:] = (await self.client.aask(self._asking(look)))[1::2]
            learn(replies[1:])
        return self._loaded(tags, look, replies)

    def _loading(self, key: str, tags: Sequence[str]) -> tuple[list[Command], _Look | None]:
        self.ears.start()
        if not tags:
            return [("GET", self._wire(key))], None
        look = self._look(tags)
        return [("GET", self._wire(key)), *(("GET", self._wire_tag(tag)) for tag in look.asked)], look

    def _loaded(self, tags: Sequence[str], look: _Look | None, replies: Sequence[Reply]) -> Loaded:
        blob = _plain(replies[0])
        blob = None if blob is None else blob[STAMP_BYTES:]
        return Loaded(blob, () if look is None else self._learnt(tags, look, replies[1:]))

    # tags

    def versions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The tags' versions; those that are known and cannot have changed unheard are not asked for."""
        self.ears.start()
        look = self._look(tags)
        if not look.asked:
            return self._learnt(tags, look, ())
        with self._seen.learning(look.asked, self._doubt) as learn:
            return self._learnt(tags, look, learn(self.client.ask(self._asking(look))[1::2]))

    async def aversions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The same."""
        self.ears.start()
        look = self._look(tags)
        if not look.asked:
            return self._learnt(tags, look, ())
        with self._seen.learning(look.asked, self._doubt) as learn:
            return self._learnt(tags, look, learn((await self.client.aask(self._asking(look)))[1::2]))

    def _look(self, tags: Sequence[str]) -> _Look:
        pushes, known = self._pushes, self._known if self.ears.hears else {}
        versions = {tag: version for tag in tags if (version := known.get(tag)) is not None}
        return _Look(versions, [tag for tag in dict.fromkeys(tags) if tag not in versions], pushes)

    def _asking(self, look: _Look) -> list[Command]:
        """Each tag's version, begun where there is none."""
        wires = [self._wire_tag(tag) for tag in look.asked]
        return [command for wire in wires for command in (_first(wire), ("GET", wire))]

    def _learnt(self, tags: Sequence[str], look: _Look, replies: Sequence[Reply]) -> tuple[int, ...]:
        new = {tag: int(_plain(reply) or 0) for tag, reply in zip(look.asked, replies, strict=True)}
        if new and self.ears.hears and look.pushes == self._pushes:
            if len(self._known) > MOST_TAGS:
                self._known.clear()
            self._known.update(new)
            if look.pushes != self._pushes:  # pushed between the two lines above
                for tag in new:
                    self._known.pop(tag, None)
        versions = {**look.versions, **new}
        return tuple(versions[tag] for tag in tags)

    def raise_versions(self, tags: Sequence[str]) -> None:
        """Void what carries one of `tags`."""
        with self._seen.learning(tags, self._doubt) as learn:
            learn(self.client.ask(self._raising(tags))[1::3])

    async def araise_versions(self, tags: Sequence[str]) -> None:
        """The same."""
        with self._seen.learning(tags, self._doubt) as learn:
            learn((await self.client.aask(self._raising(tags)))[1::3])

    def _raising(self, tags: Sequence[str]) -> list[Command]:
        self.ears.start()
        self._pushes += 1
        commands: list[Command] = []
        for tag in tags:
            self._known.pop(tag, None)
            wire = self._wire_tag(tag)
            commands += [_first(wire), ("INCR", wire), ("EXPIRE", wire, TAG_S)]
        return commands

    # save and remove

    def save(self, key: str, blob: bytes, ttl_s: float) -> None:
        """Keep `blob` for `ttl_s`; not if somebody voided the key while we, by our lease, made it."""
        self._saved(key, self.client.ask(self._saving(key, blob, ttl_s)))

    async def asave(self, key: str, blob: bytes, ttl_s: float) -> None:
        """The same."""
        self._saved(key, await self.client.aask(self._saving(key, blob, ttl_s)))

    def _saving(self, key: str, blob: bytes, ttl_s: float) -> list[Command]:
        self.ears.start()
        wire, stamp, ttl_ms = self._wire(key), secrets.token_bytes(STAMP_BYTES), max(1, int(ttl_s * 1000))
        self._stamps[key] = stamp
        self._stamps.move_to_end(key)
        while len(self._stamps) > MOST_STAMPS:
            self._stamps.popitem(last=False)
        held = self._leases.of(key)
        if held is not None:
            return [("EVAL", COMMIT, 2, wire, held.wire_key, held.token, stamp + blob, ttl_ms)]
        return [("SET", wire, stamp + blob, "PX", ttl_ms), ("UNLINK", wire + b"!")]

    def _saved(self, key: str, replies: Sequence[Reply]) -> None:
        if _plain(replies[0]) == 0:
            self.refused += 1
            self._stamps.pop(key, None)
            self._forget(key)

    def remove(self, keys: Sequence[str]) -> int:
        """Forget these, and what is being made for them; how many there were."""
        return self._removed(self.client.ask(self._removing(keys))) if keys else 0

    async def aremove(self, keys: Sequence[str]) -> int:
        """The same."""
        return self._removed(await self.client.aask(self._removing(keys))) if keys else 0

    def _removing(self, keys: Sequence[str]) -> list[Command]:
        self.ears.start()
        commands: list[Command] = []
        for key in keys:
            self._stamps.pop(key, None)
            wire = self._wire(key)
            commands += [("UNLINK", wire), ("UNLINK", wire + b"!")]
        return commands

    @staticmethod
    def _removed(replies: Sequence[Reply]) -> int:
        return sum(int(_plain(reply)) for reply in replies[::2])

    # leases

    def lease(self, key: str, hold_s: float) -> str | None:
        """A token for whoever may make the value now; None while another holds one: then `wait`."""
        token, commands = self._leasing(key)
        return self._leased(key, token, hold_s, self.client.ask(commands))

    async def alease(self, key: str, hold_s: float) -> str | None:
        """The same."""
        token, commands = self._leasing(key)
        return self._leased(key, token, hold_s, await self.client.aask(commands))

    def _leasing(self, key: str) -> tuple[str, list[Command]]:
        self.ears.start()
        self._gates.put_up(key)
        token, wire = secrets.token_hex(8), self._wire(key) + b"!"
        return token, [("SET", wire, token, "NX", "PX", int(LEASE_S * 1000)), ("GET", wire)]

    def _leased(self, key: str, token: str, hold_s: float, replies: Sequence[Reply]) -> str | None:
        _plain(replies[0])
        holder = _plain(replies[1])
        if holder != token.encode():  # the second reply, as the first command may have been sent twice
            return None
        self._gates.take_down(key)
        self._leases.add(key, token, self._wire(key) + b"!", hold_s)
        return token

    def release(self, key: str, token: str) -> None:
        """Give the lease back, if it is still ours; the server wakes who waits."""
        commands = self._releasing(key, token)
        if commands:
            self.client.ask(commands)

    async def arelease(self, key: str, token: str) -> None:
        """The same."""
        commands = self._releasing(key, token)
        if commands:
            await self.client.aask(commands)

    def _releasing(self, key: str, token: str) -> list[Command]:
        held = self._leases.of(key)
        if held is None or held.token != token:
            return []
        self._leases.drop(key)
        return [("EVAL", RELEASE, 1, held.wire_key, token)]

    def wait(self, key: str, timeout_s: float) -> None:
        """Until the value or its lease changed, as far as we hear it; callers look again."""
        self._gates.wait(key, min(timeout_s, POLL_S if self.ears.hears else DEAF_POLL_S))

    async def await_(self, key: str, timeout_s: float) -> None:
        """The same."""
        await self._gates.await_(key, min(timeout_s, POLL_S if self.ears.hears else DEAF_POLL_S))

    def close(self) -> None:
        """Let go of the thread and of connections. A later use begins anew."""
        self.ears.stop()
        self.client.close()
        self.ears = self._ears()

    # what others change: in the ears' thread

    def _changed(self, wires: Sequence[bytes] | None) -> None:
        if wires is None:
            self._pushes += 1
            self._known.clear()
            self._gates.open_all()
            if self._hearer is not None:
                self._hearer.forget_all()
            self._forgot = False
            return
        keys: list[str] = []
        tags: list[str] = []
        for wire in wires:
            if wire.startswith(self._tag_begin):
                self._tag_changed(wire[len(self._tag_begin) :].decode(errors="replace"), tags)
            elif wire.startswith(self._begin):
                key, _, lease = wire[len(self._begin) :].decode(errors="replace").rpartition("}")
                self._gates.open(key)
                if lease:
                    continue
                if key in self._stamps:
                    keys.append(key)
                else:
                    self._forget(key)
        if keys or tags:
            self._verify(keys, tags)

    def _tag_changed(self, tag: str, doubtful: list[str]) -> None:
        if not self._seen.pushed(tag):
            self._tag_gone(tag)
        elif not self._seen.waits(tag):
            doubtful.append(tag)

    def _verify(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget what is not as we wrote it last: a push does not tell whose writing it was."""
        stamps = [self._stamps.get(key) for key in keys]
        versions = [self._seen.version(tag) for tag in tags]
        commands: list[Command] = [("GETRANGE", self._wire(key), 0, STAMP_BYTES - 1) for key in keys]
        commands += [("GET", self._wire_tag(tag)) for tag in tags]
        try:
            found = self.client.ask(commands)
        except WireError:
            found = [b"?"] * len(commands)
        for key, stamp, now in zip(keys, stamps, found, strict=False):
            if now != stamp:
                if self._stamps.get(key) == stamp:
                    self._stamps.pop(key, None)
                self._forget(key)
        for tag, version, now in zip(tags, versions, found[len(keys) :], strict=True):
            if now != str(version).encode():
                self._tag_gone(tag)

    def _doubt(self, tags: list[str]) -> None:
        """Have tags verified that were pushed while we were at them."""
        self.ears.soon(lambda: self._verify((), tags))

    def _tag_gone(self, tag: str) -> None:
        self._pushes += 1
        self._known.pop(tag, None)
        if self._hearer is not None:
            self._hearer.forget_tag(tag)

    def _forget(self, key: str) -> None:
        if self._hearer is not None:
            self._hearer.forget_key(key)

    def _tick(self) -> None:
        if not self.ears.hears and not self._forgot and _now_s() - self.ears.since_s > DEAF_S:
            self._forgot = True
            self._known.clear()
            if self._hearer is not None:
                self._hearer.forget_all()
        prolonging = self._leases.prolonging()
        if prolonging:
            self.client.ask(prolonging)

    def reset_after_fork(self) -> None:
        """Leases are the parent's; what it knew may change unheard."""
        self._leases.clear()
        self._gates = Gates()
        self._known.clear()
        self._stamps.clear()
        self._seen.clear()

    def _wire(self, key: str) -> bytes:
        return self._begin + key.encode() + b"}"

    def _wire_tag(self, tag: str) -> bytes:
        return self._tag_begin + tag.encode()


def _first(wire: Arg) -> Command:
    """Begins a tag's version where there is none: by the clock, so that one that was lost never comes back."""
    return ("SET", wire, time.time_ns() // 1000, "NX", "EX", TAG_S)


def _plain(reply: Reply) -> Reply:
    if isinstance(reply, ReplyError):
        raise WireError(f"Redis refused: {reply}")
    return reply
