"""Which cache regions pay off, what they hold, and why their values live as long as they do (R21, R37).

Counts and times are of the window, from the regions' series; what is held now is what the workers report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pitstop.analyze.leaves import leaves_of
from pitstop.analyze.overview import CACHE_HIT, CACHE_MISS, CACHE_STALE
from pitstop.analyze.reports import Said, by_name, current, like_of, reports
from pitstop.analyze.stats import ERROR_OUTCOME, numbered_by, sums
from pitstop.analyze.trend import automatic_step_s, steps
from pitstop.model import Match
from pitstop.model.series import REGION
from pitstop.model.tuned import CACHE_REPORT, CacheBody

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.analyze.leaves import RouteCalls
    from pitstop.model import Rollups, Store, Window

Effect = Literal["high", "low", "none", "no data"]

HIGH_RATIO = 0.70  # R21: effective from here on
TARGET_RATIO = 0.80  # R21: what a large service aims at
MOST_KEYS = 20
_WORST_FIRST = ("open", "half-open", "closed", "")


@dataclass(frozen=True, slots=True)
class HotKey:
    """One of the most asked keys of all workers, by its hash."""

    key: str
    hits: int
    ttl_s: float
    age_s: float
    cost_s: float


@dataclass(frozen=True, slots=True)
class Held:
    """What the workers that still report hold of one region, added up; counts are totals since each began.

    `ttl_s` is the newest worker's and `ttl_why` its reason; `breaker` the worst.
    """

    ts: int
    workers: int
    levels: tuple[str, ...]
    entries: int
    nbytes: int
    max_entries: int
    max_bytes: int | None
    level_hits: dict[str, int]
    negative: int
    sets: int
    evictions: int
    refreshes: int
    waits: int
    invalidations: dict[str, int]
    lookup_s: float
    recompute_s: float
    ttl_s: float
    ttl_why: str
    breaker: str
    hottest: tuple[HotKey, ...]
    tenants: tuple[tuple[str, int, int], ...]  # tenant, hits, misses


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region over one window. `hits` include `stale`, answers that were old and good enough.

    `saved_s` is what its hits would have cost without it, less what all lookups took: below 0 it costs more than it
    saves; None where nobody knows what making a value costs. `lookup_s` is the mean of a hit, `recompute_s` of making
    a value anew, `p95_s` of all lookups. `held` None: no worker reports it any more.
    """

    region: str
    hits: int
    stale: int
    misses: int
    errors: int
    hit_ratio: float | None
    effect: Effect
    saved_s: float | None
    lookup_s: float | None
    recompute_s: float | None
    total_s: float
    p95_s: float | None
    routes: tuple[RouteCalls, ...]
    held: Held | None

    @property
    def lookups(self) -> int:
        """Hits and misses."""
        return self.hits + self.misses


@dataclass(frozen=True, slots=True)
class RegionCourse:
    """One region, or all, step by step; None in a step without a lookup. Stale answers are among the hits."""

    step_s: int
    ts: tuple[int, ...]
    hits: tuple[int | None, ...]
    stale: tuple[int | None, ...]
    misses: tuple[int | None, ...]
    errors: tuple[int | None, ...]
    hit_ratio: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class CacheEffect:
    """R21: how effective caching is over all, and which regions are at 70 % or more, below, or never hit."""

    hit_ratio: float | None
    lookups: int
    saved_s: float | None
    high: tuple[str, ...]
    low: tuple[str, ...]
    none: tuple[str, ...]


def regions(
    store: Store, window: Window, service: str | None = None, route: str | None = None, region: str | None = None
) -> list[RegionRow]:
    """Every region that was asked, or that a worker reports, the one that saves most first."""
    found = store.rollups(window, Match(service=service, kind=REGION, name=region, parent=route))
    said = by_name(reports(store, window, CACHE_REPORT, service, like=like_of(CacheBody)))
    rows = rows_of(found, window, said)
    if route is None:
        seen = {row.region for row in rows}
        quiet = [name for name in said if name not in seen and region in {None, name}]
        rows += [_quiet(name, held_of(said[name], window.end_s)) for name in sorted(quiet)]
    return rows


def rows_of(found: Rollups, window: Window, said: dict[str, list[Said]]) -> list[RegionRow]:
    """The regions of rows of kind `region`."""
    keys, groups = numbered_by(found.series, lambda series: (series.name, series.outcome))
    added = sums(found, groups, len(keys))
    counts = dict(zip(keys, added.count.tolist(), strict=True))
    took_s = {key: ns / 1e9 for key, ns in zip(keys, added.sum_ns.tolist(), strict=True)}
    rows = []
    for leaf in leaves_of(found, window.duration_s):
        fresh, stale, misses, errors = (
            counts.get((leaf.name, outcome), 0) for outcome in (CACHE_HIT, CACHE_STALE, CACHE_MISS, ERROR_OUTCOME)
        )
        held = held_of(said.get(leaf.name, []), window.end_s)
        hits = fresh + stale
        hits_s = took_s.get((leaf.name, CACHE_HIT), 0.0) + took_s.get((leaf.name, CACHE_STALE), 0.0)
        lookup_s = hits_s / hits if hits else held.lookup_s if held else None
        missed_s = took_s[leaf.name, CACHE_MISS] / misses if misses else None
        recompute_s = _recompute_s(missed_s, lookup_s, held)
        rows.append(
            RegionRow(
                region=leaf.name,
                hits=hits,
                stale=stale,
                misses=misses,
                errors=errors,
                hit_ratio=hits / (hits + misses) if hits + misses else None,
                effect=effect_of(hits, misses),
                saved_s=None if recompute_s is None else hits * recompute_s - hits_s - misses * (lookup_s or 0.0),
                lookup_s=lookup_s,
                recompute_s=recompute_s,
                total_s=leaf.total_s,
                p95_s=leaf.p95_s,
                routes=leaf.routes,
                held=held,
            )
        )
    return sorted(rows, key=lambda row: (-(row.saved_s or 0.0), -row.lookups, row.region))


def effect_of(hits: int, misses: int) -> Effect:
    """R21's word for a region."""
    if not hits + misses:
        return "no data"
    if not hits:
        return "none"
    return "high" if hits / (hits + misses) >= HIGH_RATIO else "low"


def cache_effect(rows: Iterable[RegionRow]) -> CacheEffect:
    """All regions together; regions without lookups say nothing."""
    asked = [row for row in rows if row.lookups]
    hits, lookups = sum(row.hits for row in asked), sum(row.lookups for row in asked)
    saved = [row.saved_s for row in asked if row.saved_s is not None]
    high, low, none = (tuple(row.region for row in asked if row.effect == one) for one in ("high", "low", "none"))
    return CacheEffect(hits / lookups if lookups else None, lookups, sum(saved) if saved else None, high, low, none)


def region_course(
    store: Store, window: Window, service: str | None = None, region: str | None = None, step_s: int | None = None
) -> RegionCourse:
    """A region's lookups over time, or those of all."""
    step = step_s or automatic_step_s(window)
    found = store.rollups(window, Match(service=service, kind=REGION, name=region), step_s=step, hist=False)
    return course_of(found, window, step)


def region_courses(
    store: Store, window: Window, service: str | None, names: Iterable[str]
) -> tuple[RegionCourse, list[tuple[str, RegionCourse]]]:
    """The course of all regions together, and those of `names`, from one read."""
    step = automatic_step_s(window)
    found = store.rollups(window, Match(service=service, kind=REGION), step_s=step, hist=False)
    rows: dict[str, list[int]] = {name: [] for name in names}
    for row, series in enumerate(found.series):
        if series.name in rows:
            rows[series.name].append(row)
    own = [(name, course_of(found.chosen(chosen), window, step)) for name, chosen in rows.items()]
    return course_of(found, window, step), own


def course_of(found: Rollups, window: Window, step: int) -> RegionCourse:
    """The course of rows of kind `region`, read in steps of `step` seconds."""
    ts = steps(window, step)
    counts: dict[str, list[int | None]] = {
        outcome: [None] * len(ts) for outcome in (CACHE_HIT, CACHE_STALE, CACHE_MISS, ERROR_OUTCOME)
    }
    for at, series, count in zip(found.ts, found.series, found.count, strict=True):
        place = (at - ts[0]) // step
        if 0 <= place < len(ts) and series.outcome in counts:
            column = counts[series.outcome]
            column[place] = (column[place] or 0) + count
    seen = [any(column[i] is not None for column in counts.values()) for i in range(len(ts))]
    fresh, stale, misses, errors = (
        [_zero(v, there) for v, there in zip(c, seen, strict=True)] for c in counts.values()
    )
    hits = [_zero((a or 0) + (b or 0), there) for a, b, there in zip(fresh, stale, seen, strict=True)]
    ratio = [
        h / (h + m) if h is not None and m is not None and h + m else None for h, m in zip(hits, misses, strict=True)
    ]
    return RegionCourse(step, tuple(ts), tuple(hits), tuple(stale), tuple(misses), tuple(errors), tuple(ratio))


def held_of(said: Sequence[Said], end_s: int) -> Held | None:
    """What the workers of `said`, reports of one region, hold together; None when none of them still reports."""
    now = current(said, end_s)
    if not now:
        return None
    bodies = [one.body for one in now]
    newest = bodies[0]
    misses = sum(body["misses"] for body in bodies)
    limits = [body["max_bytes"] for body in bodies]
    return Held(
        ts=now[0].ts,
        workers=len(now),
        levels=tuple(dict.fromkeys(level for body in bodies for level in body["levels"])),
        entries=sum(body["entries"] for body in bodies),
        nbytes=sum(body["nbytes"] for body in bodies),
        max_entries=sum(body["max_entries"] for body in bodies),
        max_bytes=None if None in limits else sum(limits),
        level_hits=_together(body["hits"] for body in bodies),
        negative=sum(body["negative"] for body in bodies),
        sets=sum(body["sets"] for body in bodies),
        evictions=sum(body["evictions"] for body in bodies),
        refreshes=sum(body["refreshes"] for body in bodies),
        waits=sum(body["waits"] for body in bodies),
        invalidations=_together(body["invalidations"] for body in bodies),
        lookup_s=newest["lookup_s"],
        recompute_s=max(body["recompute_s"] for body in bodies) if not misses else _recompute_mean_s(bodies, misses),
        ttl_s=newest["ttl_s"],
        ttl_why=newest["ttl_why"],
        breaker=min((body["breaker"] for body in bodies), key=_badness),
        hottest=_hottest(bodies),
        tenants=_tenants(bodies),
    )


def _recompute_s(missed_s: float | None, lookup_s: float | None, held: Held | None) -> float | None:
    """What making a value took: of the window's misses, else what the workers say."""
    if missed_s is not None:
        return max(0.0, missed_s - (lookup_s or 0.0))
    return held.recompute_s if held is not None and held.recompute_s else None


def _quiet(name: str, held: Held | None) -> RegionRow:
    return RegionRow(name, 0, 0, 0, 0, None, "no data", None, None, None, 0.0, None, (), held)


def _recompute_mean_s(bodies: Sequence[dict[str, Any]], misses: int) -> float:
    """The mean of all workers: each miss makes a value."""
    return float(sum(body["recompute_s"] * body["misses"] for body in bodies) / misses)


def _together(maps: Iterable[dict[str, int]]) -> dict[str, int]:
    out: dict[str, int] = {}
    for one in maps:
        for name, number in one.items():
            out[name] = out.get(name, 0) + number
    return out


def _hottest(bodies: Iterable[dict[str, Any]]) -> tuple[HotKey, ...]:
    found: dict[str, HotKey] = {}
    for body in bodies:
        for one in body["hottest"]:
            before = found.get(one["key"])
            found[one["key"]] = HotKey(**(one | {"hits": one["hits"] + (before.hits if before else 0)}))
    return tuple(sorted(found.values(), key=lambda one: (-one.hits, one.key))[:MOST_KEYS])


def _tenants(bodies: Iterable[dict[str, Any]]) -> tuple[tuple[str, int, int], ...]:
    found: dict[str, tuple[int, int]] = {}
    for body in bodies:
        for tenant, pair in body["tenants"].items():
            hits, misses = (*pair, 0, 0)[:2]
            before = found.get(tenant, (0, 0))
            found[tenant] = (before[0] + hits, before[1] + misses)
    return tuple(sorted(((name, *pair) for name, pair in found.items()), key=lambda one: (-one[1] - one[2], one[0])))


def _badness(breaker: str) -> int:
    return _WORST_FIRST.index(breaker) if breaker in _WORST_FIRST else 0


def _zero(value: int | None, there: bool) -> int | None:
    """A step in which something was looked up has no hits rather than no data."""
    return (value or 0) if there else None
