"""Parts of `pitstop.tune`: cache regions, connection pools, limiters, memory pressure, pools of objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop import analyze
from pitstop.analyze.memory import LEVELS
from pitstop.analyze.reports import FRESH_S, current, like_of, reports
from pitstop.dashboard.export.facts import PER_WORKER
from pitstop.dashboard.export.family import COUNTER, GAUGE, Family, shown
from pitstop.model import Window
from pitstop.model.series import REGION
from pitstop.model.tuned import POOL_REPORT, PoolBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.dashboard.export.facts import Facts
    from pitstop.dashboard.export.family import Kind
    from pitstop.model import Series

_OUTCOMES = (
    ("hits", "hit", "found their value"),
    ("stale", "stale", "were answered with an old value"),
    ("misses", "miss", "had their value made anew"),
    ("errors", "error", "failed"),
)
_POOLS: tuple[tuple[str, Kind, str, str], ...] = (
    ("connections_in_use", GAUGE, "Connections that are lent out.", "in_use"),
    ("connections_idle", GAUGE, "Connections that wait to be used.", "idle"),
    ("size", GAUGE, "Connections that stay open.", "size"),
    ("max_overflow", GAUGE, "Connections that may be opened beyond the size.", "max_overflow"),
    ("waits", COUNTER, "Times that somebody waited for a connection.", "waits"),
    ("timeouts", COUNTER, "Times that none came in time.", "timeouts"),
    ("longest_wait_seconds", GAUGE, "The longest wait in the last quarter of a minute.", "waited_s"),
)
_NAMED = (*PER_WORKER, "pool")


def families(facts: Facts) -> Iterator[Family]:
    """What each reports of itself, of workers that live; by worker, because totals begin anew with each."""
    yield from _regions(facts)
    now_s = int(facts.now_s) + 1
    window = Window(now_s - FRESH_S, now_s)
    pools = facts.seldom(
        "pools", lambda: current(reports(facts.store, window, POOL_REPORT, like=like_of(PoolBody)), now_s)
    )
    for name, kind, text, field in _POOLS:
        values = [((shown(one.service), shown(one.worker), shown(one.name)), one.body[field]) for one in pools]
        unit = "seconds" if name.endswith("_seconds") else ""
        yield Family(f"pitstop_pool_{name}", kind, text, unit, _NAMED, values)
    yield from _memory(facts.seldom("memory", lambda: analyze.memory(facts.store, window)))


def _regions(facts: Facts) -> Iterator[Family]:
    yield facts.durations(
        "pitstop_cache_region_duration_seconds", "Duration of lookups, of misses with making the value anew.", REGION,
        ("service_name", "tenant", "region", "outcome"), lambda s: (s.service, s.tenant, s.name, s.outcome),
    )  # fmt: skip
    for name, outcome, told in _OUTCOMES:
        yield from facts.counters(
            REGION, ("service_name", "tenant", "region", "route"), _with(outcome),
            (f"pitstop_cache_region_{name}", f"Lookups that {told}.", "", lambda sums: sums.events),
        )  # fmt: skip


def _with(outcome: str) -> Callable[[Series], tuple[str, ...] | None]:
    return lambda s: (s.service, s.tenant, s.name, s.parent) if s.outcome == outcome else None


def _memory(memory: analyze.Memory) -> Iterator[Family]:
    pressure = [
        ((shown(one.service), shown(one.worker), level), float(one.level == level))
        for one in memory.pressure
        for level in LEVELS
    ]
    text = "1 for the level of memory pressure that holds."
    yield Family("pitstop_memory_pressure", GAUGE, text, labels=(*PER_WORKER, "level"), values=pressure)
    limits = [
        ((shown(one.service), shown(one.worker)), float(one.limit_bytes))
        for one in memory.pressure
        if one.limit_bytes is not None
    ]
    yield Family("pitstop_memory_limit_bytes", GAUGE, "What memory is held against.", "bytes", PER_WORKER, limits)
    named = ("service_name", "service_instance_id", "limiter")
    of = [((shown(one.service), shown(one.worker), shown(one.name)), one) for one in memory.limiters]
    text = "Requests that may run at once."
    yield Family("pitstop_limiter_limit", GAUGE, text, labels=named, values=[(key, one.limit) for key, one in of])
    refused: Sequence[tuple[tuple[str, ...], float]] = [
        ((*key, shown(priority)), float(number)) for key, one in of for priority, number in one.refused.items()
    ]
    text = "Requests that were refused."
    yield Family("pitstop_limiter_refused", COUNTER, text, labels=(*named, "priority"), values=refused)
    saved = [((shown(one.service), shown(one.name)), one.saved_s) for one in memory.objects]
    text = "What taking objects from the pool saved; below 0 it costs."
    yield Family("pitstop_object_pool_saved_seconds", GAUGE, text, "seconds", ("service_name", "pool"), saved)
