"""The shapes of what analysis answers. Read from its dataclasses by name; a test compares the fields of both."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pitstop.model import Window

SeverityName = Literal["good", "warning", "slow", "critical", "no data"]


class _Answer(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class StatsOut(_Answer):
    """One set of requests; durations in seconds, percentiles within 1.1 % of the exact value of their rank."""

    requests: int
    errors: int
    error_ratio: float | None
    rate_per_s: float | None
    mean_s: float | None
    min_s: float | None
    p50_s: float | None
    p90_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float | None
    bytes: int | None
    total_s: float | None


class OverviewOut(_Answer):
    """One service, or all. `uptime_ratio` is the share answered without a server error."""

    window: Window
    service: str | None
    routes: int
    stats: StatsOut
    clients_left: int = Field(description="requests that ended with status 499")
    cache_hit_ratio: float | None = Field(description="null when no cache was seen")
    cache_lookups: int
    uptime_ratio: float | None


class HealthPartOut(_Answer):
    """One part of the score; `weight` is the one applied after sharing, `value` s for latency, else a ratio."""

    name: Literal["latency", "cache", "errors"]
    score: float | None
    weight: float
    value: float | None
    note: str


class HealthOut(_Answer):
    """Score 0 … 100 and letter; null and "–" when nothing was recorded."""

    score: float | None
    letter: str
    parts: list[HealthPartOut]
    note: str


class VerdictOut(_Answer):
    """What stands out."""

    tone: Literal["fine", "warning", "bad", "no data"]
    text: str
    routes: list[str]


class StatusOut(_Answer):
    """The requests of a route that ended with one status."""

    status: str
    stats: StatsOut
    ratio: float
    is_error: bool


class RouteDetailOut(_Answer):
    """One route over one window; `first_byte` null: nothing was streamed."""

    route: str
    window: Window
    stats: StatsOut
    severity: SeverityName
    statuses: list[StatusOut]
    first_byte: StatsOut | None


class TrendOut(_Answer):
    """Equal steps; every list has one value a step, null where nothing was recorded."""

    window: Window
    route: str | None
    step_s: int
    ts: list[int]
    requests: list[int | None]
    errors: list[int | None]
    error_ratio: list[float | None]
    rate_per_s: list[float | None]
    mean_s: list[float | None]
    p50_s: list[float | None]
    p95_s: list[float | None]
    p99_s: list[float | None]
    max_s: list[float | None]


class HeatmapOut(_Answer):
    """`counts[column][row]`: requests in step `ts[column]` that took `lower_s[row]` < duration ≤ `upper_s[row]`."""

    window: Window
    route: str | None
    step_s: int
    ts: list[int]
    lower_s: list[float]
    upper_s: list[float]
    counts: list[list[int]]


class GaugeOut(_Answer):
    """One gauge of one worker."""

    name: str
    worker: str
    ts: list[int]
    values: list[float]


class RuntimeOut(_Answer):
    """All gauges of the window."""

    window: Window
    step_s: int
    gauges: list[GaugeOut]


class ServiceOut(_Answer):
    """A service that is kept; 0 requests when it was quiet in the window."""

    service: str
    requests: int
