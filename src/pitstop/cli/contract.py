"""The JSON that reading commands print. A contract: docs/json.md documents it and a test pins it.

Fields are added, never renamed or removed, within one `VERSION`. Missing data is null, never zero. Durations are
seconds, times Unix seconds, ratios 0 … 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.cli import contract_inside

if TYPE_CHECKING:
    from pitstop.analyze import Health, Overview, RouteRow, Runtime, Stats, Verdict
    from pitstop.model import StoreSize, Window

VERSION = 1

Json = dict[str, Any]


def document(window: Window | None, service: str | None = None, **content: object) -> Json:
    """What every document has, and its content."""
    head: Json = {"version": VERSION}
    if window is not None:
        head["window"] = {"start_s": window.start_s, "end_s": window.end_s}
        head["service"] = service
    return head | content


def stats(seen: Stats) -> Json:
    """The figures of one set of requests."""
    return {
        "requests": seen.requests,
        "errors": seen.errors,
        "error_ratio": seen.error_ratio,
        "rate_per_s": seen.rate_per_s,
        "mean_s": seen.mean_s,
        "min_s": seen.min_s,
        "p50_s": seen.p50_s,
        "p90_s": seen.p90_s,
        "p95_s": seen.p95_s,
        "p99_s": seen.p99_s,
        "max_s": seen.max_s,
        "bytes": seen.bytes,
        "total_s": seen.total_s,
    }


def route(row: RouteRow) -> Json:
    """One route."""
    return {
        "route": row.route,
        **stats(row.stats),
        "severity": row.severity,
        "time_ratio": row.time_ratio,
        "popularity": row.popularity,
        "breakdown": contract_inside.breakdown(row.breakdown),
    }


def overview(seen: Overview) -> Json:
    """The service as a whole."""
    return {
        "routes": seen.routes,
        **stats(seen.stats),
        "clients_left": seen.clients_left,
        "cache_hit_ratio": seen.cache_hit_ratio,
        "cache_lookups": seen.cache_lookups,
        "uptime_ratio": seen.uptime_ratio,
    }


def health(seen: Health) -> Json:
    """The score, its letter and its parts."""
    return {
        "score": seen.score,
        "letter": seen.letter if seen.score is not None else None,
        "note": seen.note,
        "parts": [
            {"name": part.name, "score": part.score, "weight": part.weight, "value": part.value, "note": part.note}
            for part in seen.parts
        ],
    }


def verdict(seen: Verdict) -> Json:
    """The sentence, its tone, and the routes it names."""
    return {"tone": seen.tone, "text": seen.text, "routes": list(seen.routes)}


def runtime(seen: Runtime) -> Json:
    """Every gauge of every worker."""
    return {
        "step_s": seen.step_s,
        "workers": list(seen.workers),
        "gauges": [
            {
                "name": gauge.name,
                "worker": gauge.worker,
                "last": gauge.last,
                "highest": gauge.highest,
                "ts": list(gauge.ts),
                "values": list(gauge.values),
            }
            for gauge in seen.gauges
        ],
    }


def storage(size: StoreSize) -> Json:
    """What the store takes and who keeps house."""
    return {
        "url": size.url,
        "state": size.state,
        "schema": size.schema,
        "data_bytes": size.data_bytes,
        "log_bytes": size.log_bytes,
        "free_bytes": size.free_bytes,
        "series": size.series,
        "lease_holder": size.lease_holder or None,
        "lease_until_s": size.lease_until_s if size.lease_holder else None,
        "tables": [
            {
                "name": table.name,
                "rows": table.rows,
                "step_s": table.step_s,
                "oldest_s": table.oldest_s,
                "newest_s": table.newest_s,
            }
            for table in size.tables
        ],
    }
