"""The level that all workers share: a Redis, alone, behind sentinels, or a cluster.

Redis ≥ 5 will do; it tells what changes from 6 on, so that memory levels of several workers agree at once.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.tune.cache.level import Loaded
from pitstop.tune.cache.redis.client import DEADLINE_S, Client
from pitstop.tune.cache.redis.hearing import STAMP_BYTES, Hearing
from pitstop.tune.cache.redis.leases import COMMIT, LEASE_S, RELEASE, Leases
from pitstop.tune.cache.redis.names import PREFIX, Names
from pitstop.tune.cache.redis.wire import ReplyError, WireError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.cache.level import Hearer
    from pitstop.tune.cache.redis.address import Address
    from pitstop.tune.cache.redis.ears import Ears
    from pitstop.tune.cache.redis.wire import Arg, Command, Reply

TAG_S: Final = 32 * 86_400  # a version that is not raised lives so long; a new one is never equal to it, so it may end


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
        self._names = Names(prefix)
        self._leases = Leases()
        self._giving_back: set[asyncio.Task[None]] = set()
        self._hearing = Hearing(self.client, self._names, self._prolong)

    @property
    def tells(self) -> bool:
        """Whether every change is heard."""
        return self._hearing.ears.hears

    @property
    def ears(self) -> Ears:
        """Who hears what changes, for looking at."""
        return self._hearing.ears

    @property
    def breaker(self) -> str:
        """closed, open or half-open: the worst of all servers that take writes."""
        return self.client.state

    def listen(self, hearer: Hearer) -> None:
        """Tell `hearer` what others change, from the first use on."""
        self._hearing.hearer = hearer

    def _ask(self, commands: Sequence[Command]) -> list[Reply]:
        ears = self._hearing.ears
        if not ears.settled:  # what is kept before changes are heard would be thrown away as soon as they are
            ears.settle(self.client.deadline_s)
        return self.client.ask(commands)

    async def _aask(self, commands: Sequence[Command]) -> list[Reply]:
        ears = self._hearing.ears
        if not ears.settled:
            await ears.asettle(self.client.deadline_s)
        return await self.client.aask(commands)

    # load

    def load(self, key: str, tags: Sequence[str]) -> Loaded:
        """The blob and the tags' versions, in one round trip."""
        commands, look = self._loading(key, tags)
        if look is None or not look.asked:
            return self._loaded(tags, look, self._ask(commands))
        with self._hearing.seen.learning(look.asked) as learn:
            replies = self._ask(commands)
            if None in replies[1:]:
                replies[1:] = self._ask(self._asking(look))[1::2]
            learn(replies[1:])
        return self._loaded(tags, look, replies)

    async def aload(self, key: str, tags: Sequence[str]) -> Loaded:
        """The same."""
        commands, look = self._loading(key, tags)
        if look is None or not look.asked:
            return self._loaded(tags, look, await self._aask(commands))
        with self._hearing.seen.learning(look.asked) as learn:
            replies = await self._aask(commands)
            if None in replies[1:]:
                replies[1:] = (await self._aask(self._asking(look)))[1::2]
            learn(replies[1:])
        return self._loaded(tags, look, replies)

    def _loading(self, key: str, tags: Sequence[str]) -> tuple[list[Command], _Look | None]:
        if not tags:
            return [("GET", self._names.value(key))], None
        look = self._look(tags)
        return [("GET", self._names.value(key)), *(("GET", self._names.tag(tag)) for tag in look.asked)], look

    def _loaded(self, tags: Sequence[str], look: _Look | None, replies: Sequence[Reply]) -> Loaded:
        blob = _plain(replies[0])
        blob = None if blob is None else blob[STAMP_BYTES:]
        return Loaded(blob, () if look is None else self._learnt(tags, look, replies[1:]))

    # tags

    def versions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The tags' versions; those that are known and cannot have changed unheard are not asked for."""
        look = self._look(tags)
        if not look.asked:
            return self._learnt(tags, look, ())
        with self._hearing.seen.learning(look.asked) as learn:
            return self._learnt(tags, look, learn(self._ask(self._asking(look))[1::2]))

    async def aversions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The same."""
        look = self._look(tags)
        if not look.asked:
            return self._learnt(tags, look, ())
        with self._hearing.seen.learning(look.asked) as learn:
            return self._learnt(tags, look, learn((await self._aask(self._asking(look)))[1::2]))

    def _look(self, tags: Sequence[str]) -> _Look:
        hearing = self._hearing
        pushes, known = hearing.pushes, hearing.known if hearing.ears.hears else {}
        versions = {tag: version for tag in tags if (version := known.get(tag)) is not None}
        return _Look(versions, [tag for tag in dict.fromkeys(tags) if tag not in versions], pushes)

    def _asking(self, look: _Look) -> list[Command]:
        """Each tag's version, begun where there is none."""
        wires = [self._names.tag(tag) for tag in look.asked]
        return [command for wire in wires for command in (_first(wire), ("GET", wire))]

    def _learnt(self, tags: Sequence[str], look: _Look, replies: Sequence[Reply]) -> tuple[int, ...]:
        new = {tag: int(_plain(reply) or 0) for tag, reply in zip(look.asked, replies, strict=True)}
        if new:
            self._hearing.learnt(new, look.pushes)
        versions = {**look.versions, **new}
        return tuple(versions[tag] for tag in tags)

    def raise_versions(self, tags: Sequence[str]) -> None:
        """Void what carries one of `tags`."""
        with self._hearing.seen.learning(tags) as learn:
            learn(self._ask(self._raising(tags))[1::3])

    async def araise_versions(self, tags: Sequence[str]) -> None:
        """The same."""
        with self._hearing.seen.learning(tags) as learn:
            learn((await self._aask(self._raising(tags)))[1::3])

    def _raising(self, tags: Sequence[str]) -> list[Command]:
        self._hearing.pushes += 1
        commands: list[Command] = []
        for tag in tags:
            self._hearing.known.pop(tag, None)
            wire = self._names.tag(tag)
            commands += [_first(wire), ("INCR", wire), ("EXPIRE", wire, TAG_S)]
        return commands

    # save and remove

    def save(self, key: str, blob: bytes, ttl_s: float) -> None:
        """Keep `blob` for `ttl_s`; not if somebody voided the key while we, by our lease, made it."""
        self._saved(key, self._ask(self._saving(key, blob, ttl_s)))

    async def asave(self, key: str, blob: bytes, ttl_s: float) -> None:
        """The same."""
        self._saved(key, await self._aask(self._saving(key, blob, ttl_s)))

    def _saving(self, key: str, blob: bytes, ttl_s: float) -> list[Command]:
        wire, stamp, ttl_ms = self._names.value(key), self._hearing.stamp(key), max(1, int(ttl_s * 1000))
        held = self._leases.of(key)
        if held is not None:
            return [("EVAL", COMMIT, 2, wire, held.wire_key, held.token, stamp + blob, ttl_ms)]
        return [("SET", wire, stamp + blob, "PX", ttl_ms), ("UNLINK", self._names.lease(key))]

    def _saved(self, key: str, replies: Sequence[Reply]) -> None:
        if _plain(replies[0]) == 0:
            self.refused += 1
            self._hearing.unstamp(key)
            self._hearing.forget(key)

    def remove(self, keys: Sequence[str]) -> int:
        """Forget these, and what is being made for them; how many there were."""
        return self._removed(self._ask(self._removing(keys))) if keys else 0

    async def aremove(self, keys: Sequence[str]) -> int:
        """The same."""
        return self._removed(await self._aask(self._removing(keys))) if keys else 0

    def _removing(self, keys: Sequence[str]) -> list[Command]:
        commands: list[Command] = []
        for key in keys:
            self._hearing.unstamp(key)
            commands += [("UNLINK", self._names.value(key)), ("UNLINK", self._names.lease(key))]
        return commands

    @staticmethod
    def _removed(replies: Sequence[Reply]) -> int:
        return sum(int(_plain(reply)) for reply in replies[::2])

    # leases

    def lease(self, key: str, hold_s: float) -> str | None:
        """A token for whoever may make the value now; None while another holds one: then `wait`."""
        token, commands = self._leasing(key, hold_s)
        try:
            return self._leased(key, token, hold_s, self._ask(commands))
        except BaseException:
            self._unleased(key, token)
            raise

    async def alease(self, key: str, hold_s: float) -> str | None:
        """The same."""
        token, commands = self._leasing(key, hold_s)
        try:
            return self._leased(key, token, hold_s, await self._aask(commands))
        except asyncio.CancelledError:
            self._hearing.gates.take_down(key)  # given back on the way that the question took, so as not to overtake it
            giving_back = asyncio.get_running_loop().create_task(self._agive_back(key, token))
            self._giving_back.add(giving_back)
            giving_back.add_done_callback(self._giving_back.discard)
            raise
        except BaseException:
            self._unleased(key, token)
            raise

    def _leasing(self, key: str, hold_s: float) -> tuple[str, list[Command]]:
        self._hearing.gates.put_up(key)
        token, wire = secrets.token_hex(8), self._names.lease(key)
        return token, [("SET", wire, token, "NX", "PX", max(1, int(min(LEASE_S, hold_s) * 1000))), ("GET", wire)]

    def _leased(self, key: str, token: str, hold_s: float, replies: Sequence[Reply]) -> str | None:
        _plain(replies[0])
        holder = _plain(replies[1])
        if holder != token.encode():  # the second reply, as the first command may have been sent twice
            return None
        self._hearing.gates.take_down(key)
        self._leases.add(key, token, self._names.lease(key), hold_s)
        return token

    def _unleased(self, key: str, token: str) -> None:
        """Nobody was told whether it was granted: have it given back, or others would wait until it ends."""
        self._hearing.gates.take_down(key)
        self._hearing.ears.soon(lambda: self.client.ask([self._give_back(key, token)]))

    async def _agive_back(self, key: str, token: str) -> None:
        with suppress(WireError):
            await self._aask([self._give_back(key, token)])

    def _give_back(self, key: str, token: str) -> Command:
        return ("EVAL", RELEASE, 1, self._names.lease(key), token)

    def release(self, key: str, token: str) -> None:
        """Give the lease back, if it is still ours; the server wakes who waits."""
        commands = self._releasing(key, token)
        if commands:
            self._ask(commands)

    async def arelease(self, key: str, token: str) -> None:
        """The same."""
        commands = self._releasing(key, token)
        if commands:
            await self._aask(commands)

    def _releasing(self, key: str, token: str) -> list[Command]:
        held = self._leases.of(key)
        if held is None or held.token != token:
            return []
        self._leases.drop(key)
        return [self._give_back(key, token)]

    def wait(self, key: str, timeout_s: float) -> None:
        """Until the value or its lease changed, as far as we hear it; callers look again."""
        self._hearing.gates.wait(key, min(timeout_s, self._hearing.poll_s))

    async def await_(self, key: str, timeout_s: float) -> None:
        """The same."""
        await self._hearing.gates.await_(key, min(timeout_s, self._hearing.poll_s))

    def _prolong(self) -> None:
        prolonging = self._leases.prolonging()
        if prolonging:
            self.client.ask(prolonging)

    def close(self) -> None:
        """Let go of the thread and of connections. A later use begins anew."""
        self._hearing.stop()
        self.client.close()

    def reset_after_fork(self) -> None:
        """Leases are the parent's; the client and the ears look after themselves."""
        self._leases.clear()
        self._hearing.reset_after_fork()


def _first(wire: Arg) -> Command:
    """Begins a tag's version where there is none: by the clock, so that one that was lost never comes back."""
    return ("SET", wire, time.time_ns() // 1000, "NX", "EX", TAG_S)


def _plain(reply: Reply) -> Reply:
    if isinstance(reply, ReplyError):
        raise WireError(f"Redis refused: {reply}")
    return reply
