"""The shapes of caches, databases and memory; the same names as the commands' ``--json`` (docs/json.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from pitstop.dashboard.api.inside_shapes import QueryOut, RouteCallsOut
from pitstop.model import Window

if TYPE_CHECKING:
    from pitstop.analyze import CacheEffect, RegionRow


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class HotKeyOut(_Answer):
    """One of the most asked keys, as a hash."""

    key: str
    hits: int
    ttl_s: float
    age_s: float
    cost_s: float


class TenantOut(BaseModel):
    """One tenant's lookups in a region."""

    tenant: str
    hits: int
    misses: int


class HeldOut(_Answer):
    """What the workers that still report hold of a region; counts are totals since each began."""

    ts: int
    workers: int
    levels: list[str]
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
    ttl_s: float
    ttl_why: str
    breaker: str
    hottest: list[HotKeyOut]


class RegionOut(_Answer):
    """One cache region in the window; `held` null: no worker reports it any more."""

    region: str
    hits: int = Field(description="stale answers included")
    stale: int
    misses: int
    errors: int
    lookups: int
    hit_ratio: float | None
    effect: Literal["high", "low", "none", "no data"]
    saved_s: float | None = Field(description="what its hits would have cost, less all lookups; may be negative")
    lookup_s: float | None
    recompute_s: float | None
    p95_s: float | None
    held: HeldOut | None
    routes: list[RouteCallsOut]

    @classmethod
    def of(cls, row: RegionRow) -> RegionOut:
        """The row as the API writes it."""
        names = [name for name in cls.model_fields if name not in {"held", "routes"}]
        held = None if row.held is None else HeldOut.model_validate(row.held)
        routes = [RouteCallsOut(**one._asdict()) for one in row.routes]
        return cls(**{name: getattr(row, name) for name in names}, held=held, routes=routes)


class EffectOut(_Answer):
    """R21: regions by how often they hit; high from 70 %."""

    hit_ratio: float | None
    lookups: int
    saved_s: float | None
    high: list[str]
    low: list[str]
    none: list[str]

    @classmethod
    def of(cls, effect: CacheEffect) -> EffectOut:
        """The answer as the API writes it."""
        return cls.model_validate(effect)


class CommandOut(_Answer):
    """One command of a cache over a wire."""

    name: str
    calls: int
    hits: int
    misses: int
    hit_ratio: float | None
    errors: int
    total_s: float
    mean_s: float
    p95_s: float | None


class CachesOut(BaseModel):
    """Every region, and what goes over a wire."""

    window: Window
    effect: EffectOut
    regions: list[RegionOut]
    commands: list[CommandOut]


class CacheCourseOut(BaseModel):
    """One region with its course; null in a step without a lookup."""

    window: Window
    region: RegionOut
    tenants: list[TenantOut]
    step_s: int
    ts: list[int]
    hits: list[int | None]
    stale: list[int | None]
    misses: list[int | None]
    errors: list[int | None]
    hit_ratio: list[float | None]


class PoolOut(_Answer):
    """One engine's connections, all workers together."""

    name: str
    service: str
    dialect: str
    workers: int
    size: int
    max_overflow: int
    most: int
    in_use: int
    idle: int
    opened: int
    recycled: int
    waits: int
    waited_s: float
    timeouts: int
    recycle_s: int
    statement_timeout_s: float | None
    server_limit: int | None
    advice: str
    ts: int


class StepOut(_Answer):
    """One step of a plan, `depth` below the one before."""

    depth: int
    what: str
    on: str
    detail: str
    cost: float | None
    rows_estimated: float | None
    rows_actual: float | None
    loops: int | None
    time_s: float | None
    own_s: float | None
    own_ratio: float | None
    buffers_hit: int | None
    buffers_read: int | None
    spilled_bytes: int | None
    findings: list[str]
    costly: bool
    wrong_by: float | None


class PlanOut(_Answer):
    """The newest plan of one statement."""

    fingerprint: str
    statement: str
    dialect: str
    service: str
    taken_at: int
    analyzed: bool
    duration_s: float | None
    route: str
    findings: list[str]
    steps: list[StepOut]
    left_out: int


class AdviceItemOut(_Answer):
    """One thing to do."""

    kind: str
    table: str
    reason: str
    gain: str
    cost: str
    sql: str
    undo: str
    statements: list[str]


class AdviceOut(_Answer):
    """What was advised of one database."""

    database: str
    service: str
    dialect: str
    given_at: int
    items: list[AdviceItemOut]
    refused: list[str]


class DatabaseOut(BaseModel):
    """Pools, the heaviest statements, advice."""

    window: Window
    pools: list[PoolOut]
    queries: list[QueryOut]
    advice: list[AdviceOut]


class CollectorOut(_Answer):
    """The garbage collector of one worker."""

    service: str
    worker: str
    ts: int
    thresholds: list[int]
    why: str
    frozen: int
    collections: list[int]
    pause_s: float
    longest_s: float
    allocations_per_s: float


class PressureOut(_Answer):
    """One worker's memory against its limit."""

    service: str
    worker: str
    ts: int
    level: str
    used_bytes: int
    limit_bytes: int | None
    source: str
    shed: list[str]


class LeakOut(_Answer):
    """Something that only grows."""

    service: str
    worker: str
    ts: int
    what: str
    why: str
    bytes_per_min: float
    count_per_min: float
    since_s: float
    line: str
    sure: bool


class ObjectsOut(_Answer):
    """A pool of objects, all workers together."""

    name: str
    service: str
    workers: int
    size: int
    idle: int
    taken: int
    made: int
    make_s: float
    reset_s: float
    saved_s: float
    verdict: str


class LimiterOut(_Answer):
    """How many requests one worker runs at once."""

    name: str
    service: str
    worker: str
    ts: int
    limit: float
    in_flight: int
    most: int
    refused: dict[str, int]
    least_s: float
    recent_s: float
    why: str


class MemoryOut(_Answer):
    """What is reported about memory, what is worst first."""

    pressure: list[PressureOut]
    leaks: list[LeakOut]
    collectors: list[CollectorOut]
    objects: list[ObjectsOut]
    limiters: list[LimiterOut]
