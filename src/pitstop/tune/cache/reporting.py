"""What a cache says of itself: metrics for the host, reports for the recorder, answers to whoever asks this process."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any, Final, TypedDict

from pitstop.model.errors import SettingError
from pitstop.model.tuned import CACHE_REPORT, CacheBody, HotKey
from pitstop.record.reports import Report
from pitstop.tune.cache.keys import hashed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.memory import Entry
    from pitstop.tune.cache.region import Region

HOTTEST: Final = 10
MOST_TENANTS: Final = 100  # in a report: those with most lookups


class Metrics(TypedDict):
    """A cache's totals since the process began; `hit_ratio` None before the first lookup. Stale answers are hits."""

    hits: int
    misses: int
    hit_ratio: float | None
    entries: int
    nbytes: int
    evictions: int
    regions: dict[str, CacheBody]
    tenants: dict[str, list[int]]


def metrics(cache: Cache) -> Metrics:
    """What `Cache.get_metrics` answers."""
    regions = {region.name: body(region) for region in cache.regions}
    hits = sum(sum(each["hits"].values()) + each["stale"] for each in regions.values())
    misses = sum(each["misses"] for each in regions.values())
    tenants: dict[str, list[int]] = {}
    for each in regions.values():
        for tenant, (tenant_hits, tenant_misses) in each["tenants"].items():
            known = tenants.setdefault(tenant, [0, 0])
            known[0] += tenant_hits
            known[1] += tenant_misses
    memory = cache.core.memory
    return Metrics(
        hits=hits, misses=misses, hit_ratio=hits / (hits + misses) if hits + misses else None, entries=len(memory),
        nbytes=memory.nbytes, evictions=memory.evictions, regions=regions, tenants=tenants,
    )  # fmt: skip


def body(region: Region, entries: Iterable[Entry] | None = None) -> CacheBody:
    """One region's report."""
    core, stats = region.core, region.stats
    own = [entry for entry in (core.memory if entries is None else entries) if entry.owner is region]
    hottest = heapq.nlargest(HOTTEST, own, key=lambda entry: entry.hits)
    hits = {name: tally.total for name, tally in stats.hits.items()}
    lookup_s, found = stats.lookup.mean_s, sum(hits.values()) + stats.stale.total
    saved_s = stats.saved_s + sum(entry.hits * entry.cost_s for entry in own) - lookup_s * (found + stats.misses.total)
    shared = {how: tally.total for how, tally in core.invalidations.items()}
    tenants = heapq.nlargest(
        MOST_TENANTS, ((name, [hit.total, miss.total]) for name, (hit, miss) in list(stats.tenants.items())),
        key=lambda tenant: sum(tenant[1]),
    )  # fmt: skip
    breakers = [link.level.breaker for link in core.links]
    return CacheBody(
        levels=[*(["memory"] if core.memory.max_entries else []), *(link.name for link in core.links)],
        entries=len(own),
        nbytes=sum(entry.nbytes for entry in own),
        max_entries=core.memory.max_entries,
        max_bytes=core.memory.max_bytes,
        hits=hits,
        misses=stats.misses.total,
        stale=stats.stale.total,
        negative=stats.negative.total,
        errors=stats.errors.total,
        sets=stats.sets.total,
        evictions=stats.evictions.total,
        refreshes=stats.refreshes.total,
        waits=stats.waits.total,
        invalidations={"key": stats.invalidations["key"].total, **shared},
        lookup_s=lookup_s,
        recompute_s=stats.recompute.mean_s,
        saved_s=saved_s,
        ttl_s=region.ttl_s,
        ttl_why=region.why or "set by the host",
        breaker=next((breaker for breaker in breakers if breaker != "closed"), "closed"),
        hottest=[_hot(entry) for entry in hottest if entry.hits],
        tenants=dict(tenants),
    )


def reports(cache: Cache) -> list[Report]:
    """One report a region that was used."""
    entries = list(cache.core.memory)
    by_region: dict[int, list[Entry]] = {}
    for entry in entries:
        by_region.setdefault(id(entry.owner), []).append(entry)
    named = "" if cache.core.namespace == "pitstop" else f"{cache.core.namespace}/"  # two caches may have a region each
    return [
        Report(CACHE_REPORT, named + region.name, {**body(region, by_region.get(id(region), ()))})
        for region in cache.regions
        if region.used
    ]


def invalidate(caches: Iterable[Cache], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ``cache.invalidate``: `tags`, `tenant`, `region`, `everything`; `dry_run` only counts what would go."""
    caches = list(caches)
    tags = _texts(arguments, "tags")
    tenant, region = _text(arguments, "tenant"), _text(arguments, "region")
    everything = bool(arguments.get("everything"))
    if not (tags or tenant or region or everything):
        raise SettingError("cache.invalidate was told nothing: name tags, tenant, region or everything")
    counts: dict[str, int] = {}
    for cache in caches:
        names = set(cache.names(tags, tenant, region, everything=everything))
        for entry in cache.core.memory:
            if not names.isdisjoint(entry.tags) and cache.core.valid(entry):
                counts[entry.owner.name] = counts.get(entry.owner.name, 0) + 1
        if not arguments.get("dry_run"):
            cache.invalidate(*tags, tenant=tenant, region=region, everything=everything)
    return {"entries": sum(counts.values()), "regions": counts, "dry_run": bool(arguments.get("dry_run"))}


def warm(caches: Iterable[Cache], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Answer ``cache.warm``: make what is predicted to be asked for, of `region` or all; `dry_run` only counts it."""
    region = _text(arguments, "region")
    dry_run = bool(arguments.get("dry_run"))
    done: dict[str, int] = {}
    left_out: list[str] = []
    for cache in caches:
        for warmer in cache.warmers:
            name = warmer.cached.region.name
            if region not in {None, name}:
                continue
            try:
                calls = warmer.due()
                done[name] = done.get(name, 0) + (len(calls) if dry_run else warmer.warm(calls))
            except (SettingError, TimeoutError) as error:
                left_out.append(f"{name}: {error}")
    return {"calls": sum(done.values()), "regions": done, "left_out": left_out, "dry_run": dry_run}


def stats(caches: Iterable[Cache]) -> dict[str, Any]:
    """Answer ``cache.stats``: the reports as they are now, by region."""
    return {report.name: dict(report.body) for cache in caches for report in reports(cache)}


def _hot(entry: Entry) -> HotKey:
    region = entry.owner
    now_ns, now_s = region.core.now_ns(), region.core.now_s()
    age_s = max(0.0, now_s - entry.made_s)
    return HotKey(
        key=hashed(entry.key), hits=entry.hits, ttl_s=age_s + (entry.fresh_ns - now_ns) / 1e9, age_s=age_s,
        cost_s=entry.cost_s,
    )  # fmt: skip


def _text(arguments: Mapping[str, Any], name: str) -> str | None:
    value = arguments.get(name)
    if value is None or (isinstance(value, str) and value):
        return value
    raise SettingError(f"{name}={value!r}: a text is needed")


def _texts(arguments: Mapping[str, Any], name: str) -> list[str]:
    values = arguments.get(name) or []
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise SettingError(f"{name}={values!r}: a list of texts is needed")
    return list(values)
