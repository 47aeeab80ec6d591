"""The shapes of errors, of the route table, of storage, and of what changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from pitstop.dashboard.api.answers import SeverityName
from pitstop.model import Window

if TYPE_CHECKING:
    from pitstop.analyze import RouteRow


class Fault(BaseModel):
    """What went wrong, the value and the limit it broke, and what to do next."""

    code: str
    message: str
    value: str | None = None
    limit: str | None = None
    next: str | None = None


class Problem(BaseModel):
    """The one shape of every error."""

    error: Fault


class RouteOut(BaseModel):
    """One route over the window, the same fields as ``pitstop routes --json``."""

    route: str
    requests: int
    errors: int
    error_ratio: float | None
    rate_per_s: float | None
    mean_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    bytes: int | None
    severity: SeverityName
    time_ratio: float = Field(description="share of the time all users waited")
    popularity: int = Field(description="rank by requests, 1 the most asked for")
    breakdown: dict[str, float | None] | None = Field(description="seconds a request: db_s, cache_s … own_s")

    @classmethod
    def of(cls, row: RouteRow) -> RouteOut:
        """The row as the API writes it."""
        stats = row.stats
        return cls(
            route=row.route,
            requests=stats.requests,
            errors=stats.errors,
            error_ratio=stats.error_ratio,
            rate_per_s=stats.rate_per_s,
            mean_s=stats.mean_s,
            p50_s=stats.p50_s,
            p90_s=stats.p90_s,
            p95_s=stats.p95_s,
            p99_s=stats.p99_s,
            max_s=stats.max_s,
            bytes=stats.bytes,
            severity=row.severity,
            time_ratio=row.time_ratio,
            popularity=row.popularity,
            breakdown=None if row.breakdown is None else row.breakdown.seconds(),
        )


class RoutesOut(BaseModel):
    """Routes of one window; `total` counts them before `limit`."""

    window: Window
    total: int
    routes: list[RouteOut]


class TableOut(BaseModel):
    """One table or tier."""

    name: str
    rows: int
    step_s: int
    oldest_s: int | None
    newest_s: int | None


class StorageOut(BaseModel):
    """What the store takes."""

    url: str
    schema_: int = Field(validation_alias="schema", serialization_alias="schema")
    data_bytes: int
    log_bytes: int
    free_bytes: int
    tables: list[TableOut]
    series: int
    lease_holder: str
    lease_until_s: float
    state: str


class PruneIn(BaseModel):
    """Everything older than `before_s` (Unix seconds) goes; with `dry_run` nothing does and the rows are counted."""

    before_s: int = Field(ge=0)
    dry_run: bool = True


class PruneOut(BaseModel):
    """Rows that were, or would be, deleted."""

    rows: int
    before_s: int
    dry_run: bool


class CheckpointOut(BaseModel):
    """Bytes the write-ahead log had."""

    log_bytes: int


class UpkeepOut(BaseModel):
    """What one round of housekeeping did."""

    folded_rows: int
    deleted_rows: int
    checkpointed_bytes: int
    freed_bytes: int
