"""A region: keys of one kind with rules of their own, in a cache they share."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.model.series import REGION
from pitstop.record.leaf import leaf
from pitstop.record.recorder import RECORDER
from pitstop.tune.cache import steps
from pitstop.tune.cache.keep import OWN_BYTES, Negative, Visit, keep
from pitstop.tune.cache.keys import LONGEST, full_key, prefix
from pitstop.tune.cache.memory import Entry
from pitstop.tune.cache.obtain import ERROR, HIT, MISS, STALE, entry_if_unasked, fetch, obtain
from pitstop.tune.cache.rules import Adaptive
from pitstop.tune.cache.sizes import size_of
from pitstop.tune.cache.stats import Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.core import Core
    from pitstop.tune.cache.flights import Flight
    from pitstop.tune.cache.rules import Rules
    from pitstop.tune.cache.steps import Steps

LOOKED_AT: Final = 63  # of each entry's hits one in 64 is timed
MOST_TENANTS: Final = 10_000  # whose prefixes are remembered

_log = logging.getLogger("pitstop.cache")


class Region:
    """What `pitstop.tune.cache.Cache.region` answers. Every method may be called from any thread.

    Keys are strings, or whatever `pitstop.tune.cache.keys.canonical` knows. Values in memory are the very objects that
    were put there: who changes one changes it for all.
    """

    def __init__(self, core: Core, name: str, rules: Rules) -> None:
        self.core = core
        self.name = name
        self.rules = rules
        self.stats = Stats(link.name for link in core.links)
        self.ttl_s = 0.0 if isinstance(rules.ttl_s, Adaptive) else rules.ttl_s  # the last that was chosen
        self.why = ""
        self._prefixes: dict[str, str] = {}
        self._prefix = prefix(core.namespace, name, "")
        self.begin = self._prefix + ":"
        self.begun = len(self.begin)
        self.near: dict[str, Entry] = {}  # what memory has of this region and no tenant, by the keys the host uses
        self._names = core.tag_names(name, "", ())
        self._find = core.memory.find
        self._hits = self.stats.hits["memory"]
        self._said = ""
        alone = not core.links and rules.tenant is None
        self._ttl_ns = 0 if isinstance(rules.ttl_s, Adaptive) or not alone else int(rules.ttl_s * 1e9)
        if rules.tenant is None:
            self.get = quick_get(self)  # type: ignore[method-assign]  # the same, in a third of the time

    def get(self, key: object, default: Any = None, *, tenant: str | None = None) -> Any:
        """The value of `key` while it is fresh, else `default`."""
        return steps.run(self._get(self.visit(key, tenant), default))

    async def aget(self, key: object, default: Any = None, *, tenant: str | None = None) -> Any:
        """`get` for asyncio."""
        owner = self.tenant_of(tenant)
        full, start_ns = full_key(self.prefix_of(owner), key), self.core.now_ns()
        entry = self._find(full)
        if entry is not None and self.fresh(entry, start_ns):
            return self.hit(entry, start_ns, owner)
        return await steps.arun(self._get(Visit(self.core, full, self.names_of(owner), owner), default))

    def set(
        self,
        key: object,
        value: Any,
        *,
        ttl_s: float | None = None,
        tags: Sequence[str] = (),
        tenant: str | None = None,
    ) -> None:
        """Keep `value` for `ttl_s`, or as long as the region's rules say, on all levels."""
        if self._ttl_ns and ttl_s is None and not tags and tenant is None and value is not None and type(key) is str:
            self._set_here(key, value)
            return
        steps.run(self._set(self.visit(key, tenant, tags, ttl_s), value))

    async def aset(
        self,
        key: object,
        value: Any,
        *,
        ttl_s: float | None = None,
        tags: Sequence[str] = (),
        tenant: str | None = None,
    ) -> None:
        """`set` for asyncio."""
        await steps.arun(self._set(self.visit(key, tenant, tags, ttl_s), value))

    def delete(self, key: object, *, tenant: str | None = None) -> bool:
        """Forget `key` on all levels; whether it was anywhere."""
        return steps.run(self.forget(self.visit(key, tenant)))

    async def adelete(self, key: object, *, tenant: str | None = None) -> bool:
        """`delete` for asyncio."""
        return await steps.arun(self.forget(self.visit(key, tenant)))

    def get_or_set(
        self, key: object, make: Callable[[], Any], *,
        ttl_s: float | None = None, tags: Sequence[str] = (), tenant: str | None = None,
    ) -> Any:  # fmt: skip
        """The value of `key`; where there is none, that of ``make()``, called once however many ask at a time.

        Raises what `make` raises, unless a stale value may be served instead.
        """
        owner = self.tenant_of(tenant)
        full, start_ns = full_key(self.prefix_of(owner), key), self.core.now_ns()
        entry = self._find(full)
        if entry is not None and self.fresh(entry, start_ns):
            return self.hit(entry, start_ns, owner)
        return steps.run(obtain(self, self.visit(key, tenant, tags, ttl_s), make, self.core.background.thread))

    async def aget_or_set(
        self, key: object, make: Callable[[], Any], *,
        ttl_s: float | None = None, tags: Sequence[str] = (), tenant: str | None = None,
    ) -> Any:  # fmt: skip
        """`get_or_set` for asyncio; `make` may be a coroutine function or a plain one."""
        owner = self.tenant_of(tenant)
        full, start_ns = full_key(self.prefix_of(owner), key), self.core.now_ns()
        entry = self._find(full)
        if entry is not None and self.fresh(entry, start_ns):
            return self.hit(entry, start_ns, owner)
        return await steps.arun(obtain(self, self.visit(key, tenant, tags, ttl_s), make, self.core.background.task))

    @property
    def used(self) -> bool:
        """Whether anything was asked of it."""
        stats = self.stats
        return bool(stats.misses.total or stats.sets.total or any(tally.total for tally in stats.hits.values()))

    # What lookups and the decorator are made of.

    def visit(
        self, key: object, tenant: str | None = None, tags: Sequence[str] = (), ttl_s: float | None = None
    ) -> Visit:
        """One lookup of `key` that begins now."""
        tenant = self.tenant_of(tenant)
        if ttl_s is not None and not ttl_s > 0:
            raise SettingError(
                f"ttl_s={ttl_s} of key {str(key)!r:.60}: seconds above 0 are needed; to forget a key, delete it"
            )
        if isinstance(tags, str):
            raise SettingError(f'tags={tags!r}: a sequence is needed; write tags=["{tags}"]')
        names = self.core.tag_names(self.name, tenant, tags) if tags else self.names_of(tenant)
        return Visit(self.core, full_key(self.prefix_of(tenant), key), names, tenant, ttl_s)

    def names_of(self, tenant: str) -> tuple[str, ...]:
        """The tags that everything of this region and tenant carries."""
        return self.core.tag_names(self.name, tenant, ()) if tenant else self._names

    def tenant_of(self, tenant: str | None) -> str:
        """Whose call it is; "" where the region knows no tenants."""
        if tenant is None:
            if self.rules.tenant is None:
                return ""
            tenant = self.rules.tenant()
        if not tenant:
            raise SettingError(
                f"region {self.name!r} was asked without a tenant (got {tenant!r}), which would share one tenant's "
                "values with all; name the tenant"
            )
        return tenant

    def prefix_of(self, tenant: str) -> str:
        """What its keys begin with."""
        if not tenant:
            return self._prefix
        known = self._prefixes.get(tenant)
        if known is None:
            if len(self._prefixes) >= MOST_TENANTS:
                self._prefixes.clear()
            known = self._prefixes[tenant] = prefix(self.core.namespace, self.name, tenant)
        return known

    def fresh(self, entry: Entry, now_ns: int) -> bool:
        """Whether `entry` can be handed out without another thought."""
        return now_ns < entry.soon_ns and (entry.epoch == self.core.versions.epoch or self.core.valid(entry))

    def in_memory(self, key: str) -> Entry | None:
        """What memory has, stale or not, but not void."""
        entry = self._find(key)
        if entry is None or self.core.valid(entry):
            return entry
        self.core.memory.drop(key, entry)
        return None

    def hit(self, entry: Entry, start_ns: int, tenant: str) -> Any:
        """Count a hit in memory; its value."""
        entry.hits += 1
        next(self._hits.up)
        if tenant:
            next(self.stats.of_tenant(tenant)[0].up)
        if RECORDER.on or not entry.hits & LOOKED_AT:
            self.noted(entry, start_ns)
        return entry.value

    def served(self, visit: Visit, entry: Entry, outcome: str) -> Any:
        """Count a lookup that was answered by `entry`; its value, or the exception that it stands for."""
        stats = self.stats
        entry.hits += 1
        if outcome == STALE:
            next(stats.stale.up)
        else:
            next(stats.hits[visit.level or "memory"].up)
        if entry.negative:
            next(stats.negative.up)
        self._ended(visit, outcome)
        if type(entry.value) is Negative:
            raise entry.value.again()
        return entry.value

    def made(self, visit: Visit, value: Any, error: Exception | None = None) -> Any:
        """Count a lookup whose value had to be made; the value, or the `error` that it stands for."""
        next(self.stats.misses.up)
        self._ended(visit, MISS)
        if error is not None:
            raise error
        return value

    def shared(self, visit: Visit, flight: Flight) -> Any:
        """Count a lookup that waited for another's recomputation; its value or exception."""
        next(self.stats.misses.up)
        self._ended(visit, ERROR if flight.error is not None else MISS)
        if flight.error is not None:
            raise flight.error
        if type(flight.value) is Negative:
            raise flight.value.again()
        return flight.value

    def failed(self, visit: Visit) -> None:
        """Count a lookup whose value could not be made."""
        next(self.stats.errors.up)
        next(self.stats.misses.up)
        self._ended(visit, ERROR)

    def complain(self, error: Exception) -> None:
        """Log what keeps values from leaving the process, once for each text."""
        self.stats.last_error = str(error)
        if self._said != str(error):
            self._said = str(error)
            _log.warning("region %s keeps values in memory only: %s", self.name, error)

    def noted(self, entry: Entry, start_ns: int) -> None:
        """File a hit in memory, and time it where it is its turn."""
        end_ns = self.core.now_ns()
        if not entry.hits & LOOKED_AT:
            self.stats.lookup.add((end_ns - start_ns) / 1e9)
        if RECORDER.on:
            leaf(REGION, self.name, HIT, start_ns, end_ns)

    def _ended(self, visit: Visit, outcome: str) -> None:
        end_ns = self.core.now_ns()
        if outcome in {HIT, STALE}:
            self.stats.lookup.add((end_ns - visit.start_ns) / 1e9)
        if visit.tenant:
            next(self.stats.of_tenant(visit.tenant)[outcome in {MISS, ERROR}].up)
        if RECORDER.on:
            leaf(REGION, self.name, outcome, visit.start_ns, end_ns)

    def _get(self, visit: Visit, default: Any) -> Steps[Any]:
        core = self.core
        entry = self.in_memory(visit.key)
        if entry is not None and core.now_ns() < min(entry.check_ns, entry.fresh_ns):
            visit.level = "memory"
        elif core.links:
            visit.begin(core)
            try:
                entry = (yield from fetch(self, visit)) or entry_if_unasked(self, entry)
            finally:
                visit.end(core)
        if entry is not None and core.now_ns() < entry.fresh_ns:
            return self.served(visit, entry, HIT)
        return self.made(visit, default)

    def _set_here(self, key: str, value: Any) -> None:
        """What `_set` does, where memory is all there is and nothing about the value is special."""
        core = self.core
        full = full_key(self._prefix, key)
        core.loading.disturb(full)  # as in `_set`
        next(self.stats.sets.up)
        fresh_ns = core.now_ns() + self._ttl_ns
        core.memory.put(
            Entry(
                full, value, core.now_s(), fresh_ns, fresh_ns, 0.0, size_of(value) + OWN_BYTES + 2 * len(full),
                self._names, core.versions.epoch, False, None, self, key if len(key) <= LONGEST else None,
            )
        )  # fmt: skip

    def _set(self, visit: Visit, value: Any) -> Steps[None]:
        core = self.core
        next(self.stats.sets.up)
        core.loading.disturb(visit.key)  # what is being made of older data must not come after this
        visit.begin(core)
        try:
            for place, link in enumerate(core.links):
                versions = yield from link.versions(self.stats, visit.tags)
                if versions is not None:
                    visit.versions[place] = dict(zip(visit.tags, versions, strict=True))
            yield from keep(self, visit, value, 0.0, None, lambda: None)
        finally:
            visit.end(core)

    def forget(self, visit: Visit) -> Steps[bool]:
        """What `delete` does."""
        core = self.core
        next(self.stats.invalidations["key"].up)
        core.loading.disturb(visit.key)
        there = core.memory.drop(visit.key)
        left = list(core.links)
        try:
            while left:
                there = bool((yield from left.pop(0).remove(self.stats, [visit.key]))) or there
        finally:
            for link in left:  # cancelled on the way there
                link.owe(keys=[visit.key])
            if core.links:  # once more: what was loaded before the level forgot it goes, too
                core.forget_key(visit.key)
        return there


def quick_get(region: Region) -> Callable[..., Any]:
    """`Region.get` for what is in memory, fresh and known to be valid; all else is left to the method.

    What it needs is bound here: looking it up would take as long as the lookup itself.
    """
    slow, find, noted, up = Region.get, region.near.get, region.noted, region.stats.hits["memory"].up
    versions, now_ns, recorder = region.core.versions, region.core.now_ns, RECORDER
    alone, missed = not region.core.links, region.stats.misses.up

    def get(key: object, default: Any = None, *, tenant: str | None = None) -> Any:
        if tenant is None:
            try:
                entry = find(key)  # type: ignore[call-overload]  # what is no text is not found, and goes the long way
            except TypeError:  # nor has it a hash
                entry = None
            if entry is not None:
                start_ns = now_ns()
                if start_ns < entry.soon_ns and entry.epoch == versions.epoch:
                    entry.hits = hits = entry.hits + 1
                    next(up)
                    if not hits & LOOKED_AT or recorder.on:
                        noted(entry, start_ns)
                    return entry.value
            elif alone and not recorder.on and type(key) is str and len(key) <= LONGEST:
                next(missed)
                return default
        return slow(region, key, default, tenant=tenant)

    get.__doc__ = slow.__doc__
    return get
