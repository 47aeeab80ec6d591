"""How latency, rate and errors moved over the window."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.stats import NO_DATA, Stats, stats_by_group
from pitstop.model import Match
from pitstop.model.series import HTTP

if TYPE_CHECKING:
    from pitstop.analyze.columns import Ints
    from pitstop.model import Rollups, Store, Window

STEPS_S = (1, 5, 10, 30, 60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800)
MOST_POINTS = 180  # more are narrower than a pixel or two on a narrow chart, and cost the browser
KEPT = ((3_600, 10), (48 * 3_600, 60), (14 * 86_400, 3_600), (90 * 86_400, 86_400))
"""What is older than the first, seconds, is kept in steps of the second only: the tiers of every store."""


@dataclass(frozen=True, slots=True)
class Trend:
    """Equal steps of `step_s` from `ts[0]`; every list has one value a step, None where nothing was recorded.

    `route` None: all routes. The first and the last step may be cut by the window; rates are taken over the part
    that lies in it.
    """

    window: Window
    route: str | None
    step_s: int
    ts: tuple[int, ...]
    requests: tuple[int | None, ...]
    errors: tuple[int | None, ...]
    error_ratio: tuple[float | None, ...]
    rate_per_s: tuple[float | None, ...]
    mean_s: tuple[float | None, ...]
    p50_s: tuple[float | None, ...]
    p95_s: tuple[float | None, ...]
    p99_s: tuple[float | None, ...]
    max_s: tuple[float | None, ...]


def automatic_step_s(window: Window, most_points: int = MOST_POINTS, now_s: float | None = None) -> int:
    """The shortest usual step that cuts `window` into at most `most_points` and is still kept at its start.

    `now_s` None: the machine's clock.
    """
    age_s = (time.time() if now_s is None else now_s) - window.start_s
    kept_s = max((step_s for older_s, step_s in KEPT if age_s > older_s), default=1)
    for step_s in STEPS_S:
        if step_s >= kept_s and window.duration_s <= step_s * most_points:
            return step_s
    return STEPS_S[-1]


def steps(window: Window, step_s: int) -> range:
    """Where the steps of `step_s` that hold `window` begin, Unix seconds."""
    covered = window.aligned(step_s)
    return range(covered.start_s, covered.end_s, step_s)


def placed(rollups: Rollups, window: Window, step_s: int) -> Ints:
    """The number of the step that each row is in; an edge widened to a coarser tier is in the step at that edge."""
    covered = window.aligned(step_s)
    at = (np.array(rollups.ts, dtype=np.int64) - covered.start_s) // step_s
    return np.clip(at, 0, max(0, covered.duration_s // step_s - 1))


def trend(
    store: Store, window: Window, service: str | None = None, route: str | None = None, step_s: int | None = None
) -> Trend:
    """The course of one route, or of all, over `window`; `step_s` None: chosen to fit a chart."""
    step = step_s or automatic_step_s(window)
    rollups = store.rollups(window, Match(service=service, kind=HTTP, name=route), step_s=step)
    return trend_of(rollups, window, step, route)


def trend_of(requests: Rollups, window: Window, step_s: int, route: str | None = None) -> Trend:
    """Rows of one kind, by step."""
    ts = steps(window, step_s)
    seconds = [max(1, min(t + step_s, window.end_s) - max(t, window.start_s)) for t in ts]
    points: list[Stats] = [NO_DATA] * len(ts)
    if len(requests) and ts:
        points = stats_by_group(requests, placed(requests, window, step_s), len(ts), seconds)
    return Trend(
        window=window,
        route=route,
        step_s=step_s,
        ts=tuple(ts),
        requests=tuple(p.requests or None for p in points),
        errors=tuple(p.errors if p.requests else None for p in points),
        error_ratio=tuple(p.error_ratio for p in points),
        rate_per_s=tuple(p.rate_per_s for p in points),
        mean_s=tuple(p.mean_s for p in points),
        p50_s=tuple(p.p50_s for p in points),
        p95_s=tuple(p.p95_s for p in points),
        p99_s=tuple(p.p99_s for p in points),
        max_s=tuple(p.max_s for p in points),
    )
