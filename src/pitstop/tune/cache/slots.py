"""Lookups whose value is made elsewhere, between two calls, and not by a function of ours.

What keeps `get_or_set` right holds here, too: the versions of tags are from before the value was made, and whoever
deletes the key meanwhile keeps the outcome from being kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.cache.keep import keep
from pitstop.tune.cache.obtain import HIT, entry_if_unasked, fetch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.cache.keep import Visit
    from pitstop.tune.cache.memory import Entry
    from pitstop.tune.cache.region import Region
    from pitstop.tune.cache.steps import Steps


class Slot:
    """One key under way: `look`, then perhaps `begin` and `fill`, and `end` in any case."""

    __slots__ = ("entry", "region", "visit")

    def __init__(self, region: Region, key: str, *, tenant: str | None = None, tags: Sequence[str] = ()) -> None:
        self.region = region
        self.visit: Visit = region.visit(key, tenant, tags)
        self.entry: Entry | None = None

    def look(self) -> Steps[Any]:
        """The value that is kept, None where there is none."""
        region, visit = self.region, self.visit
        core = region.core
        entry = region.in_memory(visit.key)
        if entry is not None and entry.check_ns > core.now_ns():
            visit.level = "memory"
        elif core.links:
            if visit.mark is None:
                visit.begin(core)
            entry = (yield from fetch(region, visit)) or entry_if_unasked(region, entry)
        if entry is None or core.now_ns() >= entry.fresh_ns:
            return None
        self.entry = entry
        return entry.value

    def hit(self, outcome: str = HIT) -> None:
        """Count that what `look` found was served."""
        if self.entry is not None:
            self.region.served(self.visit, self.entry, outcome)

    def missed(self) -> None:
        """Count that the value had to be made."""
        self.region.made(self.visit, ())

    def begin(self) -> Steps[None]:
        """From now on the value is being made: what is voided or deleted from here on is not kept."""
        visit, core = self.visit, self.region.core
        if visit.mark is None:
            visit.begin(core)
        for place, link in enumerate(core.links):
            if visit.versions[place] is None:
                versions = yield from link.versions(self.region.stats, visit.tags)
                if versions is not None:
                    visit.versions[place] = dict(zip(visit.tags, versions, strict=True))

    def more_tags(self, tags: Sequence[str]) -> Steps[None]:
        """Tags that became known while the value was made. Here they count from `begin`, at other levels from now."""
        visit, core = self.visit, self.region.core
        new = [name for name in core.tag_names(self.region.name, "", tags)[2:] if name not in visit.tags]
        if not new:
            return
        visit.tags = (*visit.tags, *new)
        for place, link in enumerate(core.links):
            known = visit.versions[place]
            versions = None if known is None else (yield from link.versions(self.region.stats, new))
            visit.versions[place] = (
                None if versions is None else {**(known or {}), **dict(zip(new, versions, strict=True))}
            )

    @property
    def undisturbed(self) -> bool:
        """Whether what was made since `begin` may be kept."""
        return self.visit.undisturbed(self.region.core)

    def fill(self, value: Any, ttl_s: float, cost_s: float) -> Steps[None]:
        """Keep `value`, which took `cost_s` to make."""
        self.visit.ttl_s = ttl_s
        yield from keep(self.region, self.visit, value, cost_s, None, lambda: None)

    def disturb(self) -> None:
        """What others are making or loading for this key is older than what is about to be kept."""
        self.end()
        self.region.core.loading.disturb(self.visit.key)

    def end(self) -> None:
        """Whatever came of it."""
        if self.visit.mark is not None:
            self.visit.end(self.region.core)
            self.visit.mark = None
