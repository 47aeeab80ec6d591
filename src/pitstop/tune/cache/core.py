"""What the regions of one cache share."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Protocol

from pitstop.tune.cache.background import Background
from pitstop.tune.cache.flights import Flights
from pitstop.tune.cache.keys import escape
from pitstop.tune.cache.link import Link
from pitstop.tune.cache.loading import Loading
from pitstop.tune.cache.memory import Entry, Memory
from pitstop.tune.cache.stats import Tally
from pitstop.tune.cache.versions import Versions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.envelope import Envelope
    from pitstop.tune.cache.level import Level


class Sealer(Protocol):
    """Turns envelopes into bytes and back; see `pitstop.tune.cache.codec`."""

    def seal(self, key: str, envelope: Envelope) -> bytes:
        """Bytes of `envelope` that are good for `key` only. Raises CacheValueError for values that have none."""
        ...

    def open(self, key: str, blob: bytes) -> Envelope | None:
        """What was sealed for `key`; None for anything else."""
        ...


class Core:
    """Memory, levels below it in the order in which they are asked, and what is under way.

    `loading` knows which keys are being loaded or made.
    """

    def __init__(
        self, *, namespace: str, max_entries: int, max_bytes: int | None, levels: Sequence[Level],
        sealer: Sealer | None, now_ns: Callable[[], int] = time.perf_counter_ns, now_s: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:  # fmt: skip
        self.namespace = namespace
        self.everything = f"{escape(namespace)}:*"
        self.memory = Memory(max_entries, max_bytes, came=_came, gone=_gone)
        self.versions = Versions()
        self.links = [Link(level, self.everything) for level in levels]
        self.sealer = sealer
        self.flights = Flights()
        self.background = Background()
        self.loading = Loading()
        self.invalidations = {how: Tally() for how in ("tag", "tenant", "event", "everything")}
        self.now_ns = now_ns
        self.now_s = now_s
        self.rng = rng or random.Random()  # noqa: S311  when to refresh early is no secret
        for level in levels:
            level.listen(self)

    def tag_names(self, region: str, tenant: str, tags: Sequence[str]) -> tuple[str, ...]:
        """Tags as levels know them: everything's, the region's and the tenant's before the host's own."""
        before = escape(self.namespace)
        names = [self.everything, f"{before}:r:{escape(region)}"]
        if tenant:
            names.append(f"{before}:t:{escape(tenant)}")
        names += [f"{before}:g:{escape(tag)}" for tag in sorted(set(tags))]
        return tuple(names)

    def forget_key(self, key: str) -> None:
        """Another process wrote or deleted `key`, or this one did."""
        self.loading.disturb(key)
        self.memory.drop(key)

    def forget_tag(self, tag: str) -> None:
        """Another process raised `tag`, which is a name as levels know it."""
        self.versions.bump((tag,))

    def forget_all(self) -> None:
        """What is in memory may be outdated."""
        self.loading.disturb_all()
        self.versions.bump_all()
        self.memory.clear()

    def valid(self, entry: Entry) -> bool:
        """Whether none of its tags was raised since it was made."""
        versions = self.versions
        epoch = versions.epoch
        if entry.epoch == epoch:
            return True
        if not versions.holds(entry.tags, entry.epoch):
            return False
        entry.epoch = epoch
        return True

    def reset_after_fork(self) -> None:
        """Locks and what was under way are the parent's."""
        self.memory.reset_after_fork()
        self.versions.reset_after_fork()
        self.flights.reset_after_fork()
        self.background = Background()
        self.loading.reset_after_fork()
        for link in self.links:
            link.level.reset_after_fork()


def _came(entry: Entry) -> None:
    if entry.near is not None:
        entry.owner.near[entry.near] = entry


def _gone(entry: Entry, evicted: bool) -> None:
    region: Any = entry.owner
    if region is not None:
        stats = region.stats
        stats.saved_s += entry.hits * entry.cost_s
        if entry.near is not None and region.near.get(entry.near) is entry:
            del region.near[entry.near]
        if evicted:
            next(stats.evictions.up)
