"""What a level makes of the names that are pushed to it: which of them are news to memory, and which its own echo.

A push tells a key's name and nothing else. So each blob begins with a stamp of its writing, and tags have versions:
what still is as we last wrote or saw it is no news. That costs a look at a few bytes, aside; without it every value
that is saved would be thrown out of its own process's memory.
"""

from __future__ import annotations

import secrets
import time
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pitstop.tune.cache.redis.ears import Ears
from pitstop.tune.cache.redis.leases import DEAF_POLL_S, POLL_S, Gates
from pitstop.tune.cache.redis.tags import SeenTags
from pitstop.tune.cache.redis.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.level import Hearer
    from pitstop.tune.cache.redis.client import Client
    from pitstop.tune.cache.redis.names import Names
    from pitstop.tune.cache.redis.wire import Command, Reply

STAMP_BYTES: Final = 8
MOST_STAMPS: Final = 10_000  # of own writings that are recognized
MOST_KNOWN: Final = 100_000  # tags whose versions need not be asked for
DEAF_S: Final = 30.0  # so long may memory keep what it has while changes are not heard: the least adaptive TTL


class Hearing:
    """Of one level. `ticked` is called twice a second in the ears' thread."""

    def __init__(self, client: Client, names: Names, ticked: Callable[[], None]) -> None:
        self.hearer: Hearer | None = None
        self.known: dict[str, int] = {}
        """Versions of tags; only good while `ears.hears`."""
        self.pushes = 0
        """Rises with each change of a tag: what was read before it may be old."""
        self.gates = Gates()
        self.seen = SeenTags(self._tag_gone, lambda tags: self.ears.soon(lambda: self._verify((), tags)))
        self._client = client
        self._names = names
        self._ticked = ticked
        self._stamps: OrderedDict[str, bytes] = OrderedDict()
        self._forgot_s = float("-inf")
        self.ears = self._new_ears()

    def _new_ears(self) -> Ears:
        weak = weakref.ref(self)  # their thread must not keep alive what nobody else holds

        def changed(wires: Sequence[bytes] | None) -> None:
            if (hearing := weak()) is not None:
                hearing._changed(wires)  # noqa: SLF001  its own

        def tick() -> None:
            if (hearing := weak()) is not None:
                hearing._tick()  # noqa: SLF001  its own

        ears = Ears(self._client, self._names.prefix, changed)
        ears.ticked.append(tick)
        return ears

    @property
    def poll_s(self) -> float:
        """How long to wait for a push at most, before looking again."""
        return POLL_S if self.ears.hears else DEAF_POLL_S

    def stamp(self, key: str) -> bytes:
        """For what is written now."""
        stamp = self._stamps[key] = secrets.token_bytes(STAMP_BYTES)
        self._stamps.move_to_end(key)
        while len(self._stamps) > MOST_STAMPS:
            self._stamps.popitem(last=False)
        return stamp

    def unstamp(self, key: str) -> None:
        """It was not written after all, or is deleted now."""
        self._stamps.pop(key, None)

    def forget(self, key: str) -> None:
        """Have memory forget `key`."""
        if self.hearer is not None:
            self.hearer.forget_key(key)

    def learnt(self, versions: dict[str, int], pushes: int) -> None:
        """These were read when `pushes` was so much."""
        if not self.ears.hears or pushes != self.pushes:
            return
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        self.known.update(versions)
        if pushes != self.pushes:  # between the lines above
            for tag in versions:
                self.known.pop(tag, None)

    def stop(self) -> None:
        """Hear no more; a later use begins anew, with nothing in memory that may have changed meanwhile."""
        self.ears.stop()
        self.ears = self._new_ears()
        self._all_gone()

    def reset_after_fork(self) -> None:
        """What the parent had in memory may have changed before the child hears by itself."""
        self.gates = Gates()
        self.seen.reset_after_fork()
        self._all_gone()

    def _changed(self, wires: Sequence[bytes] | None) -> None:
        if wires is None:
            self._all_gone()
            self.gates.open_all()
            return
        keys: list[str] = []
        tags: list[str] = []
        for wire in wires:
            what, name = self._names.parse(wire)
            if what == "tag":
                doubtful = self.seen.pushed(name)
                if doubtful:
                    tags.append(name)
                elif doubtful is False:
                    self._tag_gone(name)
                continue
            self.gates.open(name)
            if what == "value":
                if name in self._stamps:
                    keys.append(name)
                else:
                    self.forget(name)
        if keys or tags:
            self._verify(keys, tags)

    def _verify(self, keys: Sequence[str], tags: Sequence[str]) -> None:
        """Forget what is not as we wrote or saw it last."""
        stamps = [self._stamps.get(key) for key in keys]
        versions = [self.seen.version(tag) for tag in tags]
        commands: list[Command] = [("GETRANGE", self._names.value(key), 0, STAMP_BYTES - 1) for key in keys]
        commands += [("GET", self._names.tag(tag)) for tag in tags]
        found: list[Reply] = []
        try:
            found += self._client.ask(commands)
        except WireError:  # nobody knows: then it is news
            found += [b"?"] * len(commands)
        for key, stamp, now in zip(keys, stamps, found, strict=False):
            if now != stamp:
                if self._stamps.get(key) == stamp:
                    self._stamps.pop(key, None)
                self.forget(key)
        for tag, version, now in zip(tags, versions, found[len(keys) :], strict=True):
            if now != str(version).encode():
                self._tag_gone(tag)
                if isinstance(now, bytes) and now.isdigit():
                    self.seen.saw(tag, int(now))

    def _tag_gone(self, tag: str) -> None:
        self.pushes += 1
        self.known.pop(tag, None)
        if self.hearer is not None:
            self.hearer.forget_tag(tag)

    def _all_gone(self) -> None:
        self.pushes += 1
        self.known.clear()
        if self.hearer is not None:
            self.hearer.forget_all()

    def _tick(self) -> None:
        now_s, since_s = time.monotonic(), self.ears.since_s
        if not self.ears.hears and self._forgot_s < since_s and now_s - since_s > DEAF_S:
            self._forgot_s = now_s
            self._all_gone()
        self._ticked()
