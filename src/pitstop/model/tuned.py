"""Bodies of the reports that parts of `pitstop.tune` make of themselves, by kind; see `pitstop.record.reports`.

Counts are totals of the worker since it started. Keys stand only as hashes, statements only as patterns.
"""

from __future__ import annotations

from typing import Final, NotRequired, TypedDict

CACHE_REPORT: Final = "cache"  # name: the region
POOL_REPORT: Final = "pool"  # name: the engine's, as `postgresql://host/database`, without user and password
PLAN_REPORT: Final = "plan"  # name: `fingerprint` of the statement's pattern
ADVICE_REPORT: Final = "advice"  # name: the database, as for pools
CLIENT_REPORT: Final = "http_client"  # name: host[:port]
GC_REPORT: Final = "gc"  # name: ""
PRESSURE_REPORT: Final = "pressure"  # name: ""
LEAK_REPORT: Final = "leak"  # name: what grows: a type, or a code line
OBJECTS_REPORT: Final = "object_pool"  # name: the pool's
LIMITER_REPORT: Final = "limiter"  # name: the limiter's


class HotKey(TypedDict):
    """One of the most asked keys: its hash, how often it hit, how long it lives and why."""

    key: str
    hits: int
    ttl_s: float
    age_s: float
    cost_s: float


class CacheBody(TypedDict):
    """One region. `saved_s` below 0: lookups cost more than they saved. `breaker`: closed, open or half-open."""

    levels: list[str]
    entries: int
    nbytes: int
    max_entries: int
    max_bytes: int | None
    hits: dict[str, int]  # by level: memory, redis, file
    misses: int
    stale: int
    negative: int
    errors: int
    sets: int
    evictions: int
    refreshes: int  # early or in the background
    waits: int  # callers that waited for another's recomputation
    invalidations: dict[str, int]  # by how: key, tag, tenant, event, everything
    lookup_s: float  # mean
    recompute_s: float  # mean
    saved_s: float
    ttl_s: float
    ttl_why: str
    breaker: str
    hottest: list[HotKey]
    tenants: dict[str, list[int]]  # hits and misses of each tenant


class PoolBody(TypedDict):
    """One engine's connections. `waited_s` is the longest wait since the last report; limits None where not known."""

    dialect: str
    size: int
    max_overflow: int
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
    workers: int | None
    advice: str  # why it is sized so, or what to change


class PlanNode(TypedDict):
    """A step of a plan. Estimates against actuals; times are its own and its inputs', seconds, over all loops.

    Rows are those of one loop, as databases estimate them; costs and pages include the inputs'. What a database does
    not tell is None.
    """

    what: str  # Index Scan, Sort …
    on: str  # table or index, alias
    detail: str  # conditions and keys, without values
    cost: float | None
    rows_estimated: float | None
    rows_actual: float | None
    loops: int | None
    time_s: float | None
    own_s: float | None
    buffers_hit: int | None
    buffers_read: int | None
    spilled_bytes: int | None
    findings: list[str]
    costly: bool  # on the costly path
    inputs: list[PlanNode]


class PlanBody(TypedDict):
    """A plan of one statement's pattern. `analyzed`: it was run."""

    statement: str
    dialect: str
    analyzed: bool
    duration_s: float | None
    root: PlanNode
    findings: list[str]
    route: NotRequired[str]


class AdviceItem(TypedDict):
    """One thing to do. `gain` in words with figures, `sql` to run, `undo` to take it back."""

    kind: str  # create index, drop index, analyze, vacuum, foreign key …
    table: str
    reason: str
    gain: str
    cost: str
    sql: str
    undo: str
    statements: list[str]  # patterns that it is for


class AdviceBody(TypedDict):
    """What was advised of one database at a moment."""

    dialect: str
    items: list[AdviceItem]
    refused: list[str]  # what was tried and is not worth it, with the reason


class ClientBody(TypedDict):
    """Calls to one host through a pooled client."""

    requests: int
    reused: int
    opened: int
    in_use: int
    waits: int
    retries: int
    retries_refused: int
    errors: int
    timeouts: int


class GcBody(TypedDict):
    """The collector: its thresholds and why, what was frozen, pauses in seconds."""

    thresholds: list[int]
    why: str
    frozen: int
    collections: list[int]
    pause_s: float
    longest_s: float
    allocations_per_s: float


class PressureBody(TypedDict):
    """Memory against its limit. `level`: none, elevated, high, critical."""

    level: str
    used_bytes: int
    limit_bytes: int | None
    source: str  # cgroup, system
    shed: list[str]  # what gave way


class LeakBody(TypedDict):
    """Something that only grows. `line` where a burst has found who allocates it."""

    what: str
    why: str
    bytes_per_min: float
    count_per_min: float
    since_s: float
    line: str
    sure: bool


class ObjectsBody(TypedDict):
    """A pool of objects. `saved_s` may be negative: making them anew would have been quicker."""

    size: int
    idle: int
    taken: int
    made: int
    make_s: float
    reset_s: float
    saved_s: float
    verdict: str


class LimiterBody(TypedDict):
    """How many requests may run at once, and who was refused."""

    limit: float
    in_flight: int
    most: int
    refused: dict[str, int]  # by priority
    least_s: float  # the latency without load that it goes by
    recent_s: float
    why: str


# -- what parts are asked, and what they answer (`pitstop.record.asks`) ------------------------------------------------

CACHE_INVALIDATE: Final = "cache.invalidate"  # InvalidateAsk → InvalidateAnswer
CACHE_WARM: Final = "cache.warm"  # WarmAsk → WarmAnswer
MEMORY_OPTIMIZE: Final = "memory.optimize"  # {} → OptimizeAnswer
MEMORY_LOOK: Final = "memory.look"  # LookAsk → LookAnswer


class InvalidateAsk(TypedDict, total=False):
    """What goes: whatever has one of the tags, or is of that tenant or region, or `everything`.

    `dry_run`: only count.
    """

    tags: list[str]
    tenant: str
    region: str
    everything: bool
    dry_run: bool


class InvalidateAnswer(TypedDict):
    """Values in this process' memory that went, or would go, by region; levels below lose theirs, too."""

    entries: int
    regions: dict[str, int]
    dry_run: bool


class WarmAsk(TypedDict, total=False):
    """Which region; all of them when left out. `dry_run`: only count."""

    region: str
    dry_run: bool


class WarmAnswer(TypedDict):
    """Calls whose values were made, or would be, by region."""

    calls: int
    regions: dict[str, int]
    dry_run: bool


class OptimizeStep(TypedDict):
    """One thing that was tried; `freed_bytes` below 0: others allocated meanwhile."""

    name: str
    freed_bytes: int
    took_s: float
    note: str


class OptimizeAnswer(TypedDict):
    """What the process held before and after, bytes; None where the system does not tell."""

    before_bytes: int | None
    after_bytes: int | None
    took_s: float
    steps: list[OptimizeStep]


class LookAsk(TypedDict, total=False):
    """For how long to note allocations, seconds."""

    seconds: float


class GrownLine(TypedDict):
    """A code line whose memory grew in the first half of the look, and in the second; `stays`: in both."""

    line: str
    bytes_per_min: float
    first_bytes: int
    second_bytes: int
    blocks: int
    stays: bool


class Outside(TypedDict):
    """Who seems to allocate what no Python object shows, and why it seems so."""

    line: str
    why: str


class LookAnswer(TypedDict):
    """Lines that grew most first."""

    seconds: float
    lines: list[GrownLine]
    outside: Outside | None
