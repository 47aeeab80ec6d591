"""The JSON of caches and memory: what `pitstop cache` and `pitstop memory` print."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pitstop.analyze import CacheEffect, CacheRow, Memory, RegionRow
    from pitstop.analyze.asked import Asked, Grown

Json = dict[str, Any]


def region(row: RegionRow) -> Json:
    """One cache region."""
    held = row.held
    return {
        "region": row.region,
        "hits": row.hits,
        "stale": row.stale,
        "misses": row.misses,
        "errors": row.errors,
        "lookups": row.lookups,
        "hit_ratio": row.hit_ratio,
        "effect": row.effect,
        "saved_s": row.saved_s,
        "lookup_s": row.lookup_s,
        "recompute_s": row.recompute_s,
        "p95_s": row.p95_s,
        "held": None
        if held is None
        else {
            "ts": held.ts,
            "workers": held.workers,
            "levels": list(held.levels),
            "entries": held.entries,
            "nbytes": held.nbytes,
            "max_entries": held.max_entries,
            "max_bytes": held.max_bytes,
            "level_hits": held.level_hits,
            "negative": held.negative,
            "sets": held.sets,
            "evictions": held.evictions,
            "refreshes": held.refreshes,
            "waits": held.waits,
            "invalidations": held.invalidations,
            "ttl_s": held.ttl_s,
            "ttl_why": held.ttl_why,
            "breaker": held.breaker,
            "hottest": [asdict(key) for key in held.hottest],
        },
        "routes": [one._asdict() for one in row.routes],
    }


def effect(seen: CacheEffect) -> Json:
    """R21: regions by how often they hit."""
    return {
        "hit_ratio": seen.hit_ratio,
        "lookups": seen.lookups,
        "saved_s": seen.saved_s,
        "high": list(seen.high),
        "low": list(seen.low),
        "none": list(seen.none),
    }


def command(row: CacheRow) -> Json:
    """One command of a cache over a wire."""
    return {
        "name": row.name,
        "calls": row.calls,
        "hits": row.hits,
        "misses": row.misses,
        "hit_ratio": row.hit_ratio,
        "errors": row.errors,
        "total_s": row.total_s,
        "mean_s": row.mean_s,
        "p95_s": row.p95_s,
    }


def counted(seen: Asked, entries: int, *, dry_run: bool) -> Json:
    """So many values went or were made, or would be."""
    return {
        "dry_run": dry_run,
        "processes": [one.pid for one in seen.answers],
        "entries": entries,
        "regions": seen.regions,
        "problems": list(seen.problems),
    }


def memory(seen: Memory) -> Json:
    """Pressure, leaks, collectors, pools of objects, limiters."""
    return {
        "pressure": [one._asdict() | {"shed": list(one.shed)} for one in seen.pressure],
        "leaks": [one._asdict() for one in seen.leaks],
        "collectors": [
            one._asdict() | {"thresholds": list(one.thresholds), "collections": list(one.collections)}
            for one in seen.collectors
        ],
        "objects": [one._asdict() for one in seen.objects],
        "limiters": [one._asdict() for one in seen.limiters],
    }


def optimized(seen: Asked) -> Json:
    """What optimizing came to in each process, and what each step was worth."""
    processes = [{"pid": one.pid, "service": one.service, **one.body} for one in seen.answers]
    return {"processes": processes, "problems": list(seen.problems)}


def looked(seen: Asked, lines: list[Grown], outside: list[str], seconds: float) -> Json:
    """Code lines that allocated what stayed."""
    return {
        "seconds": seconds,
        "processes": [one.pid for one in seen.answers],
        "lines": [
            {
                "line": one.line,
                "bytes": one.nbytes,
                "blocks": one.blocks,
                "bytes_per_min": one.bytes_per_min,
                "stays": one.stays,
            }
            for one in lines
        ],
        "outside": outside,
        "problems": list(seen.problems),
    }
