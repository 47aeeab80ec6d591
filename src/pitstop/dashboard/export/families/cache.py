"""Caches: lookups, hits, misses, and how long their calls take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.analyze.overview import CACHE_HIT, CACHE_MISS
from pitstop.model.series import CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Family
    from pitstop.model import Series

_REGION = ("service_name", "tenant", "cache")


def families(facts: Facts) -> Iterator[Family]:
    """By region or command; the route only where it is counted, not in the histogram."""
    yield facts.durations(
        "pitstop_cache_operation_duration_seconds", "Duration of cache calls.", CACHE, (*_REGION, "outcome"),
        lambda s: (s.service, s.tenant, s.name, s.outcome),
    )  # fmt: skip
    told = {CACHE_HIT: "found what they looked for", CACHE_MISS: "did not find it", "error": "failed"}
    for outcome, name in ((CACHE_HIT, "hits"), (CACHE_MISS, "misses"), ("error", "errors")):
        yield from facts.counters(
            CACHE, (*_REGION, "route"),
            _with(outcome),
            (f"pitstop_cache_{name}", f"Cache calls that {told[outcome]}.", "", lambda sums: sums.events),
        )  # fmt: skip


def _with(outcome: str) -> Callable[[Series], tuple[str, ...] | None]:
    """The labels of series of that outcome."""
    return lambda s: (s.service, s.tenant, s.name, s.parent) if s.outcome == outcome else None
