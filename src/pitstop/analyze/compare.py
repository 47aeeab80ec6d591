"""What changed against a base, and whether that is more than noise.

Noise, at 99 % (docs/analysis.md): a percentile moved when the two confidence intervals of its rank do not overlap; a
mean by Welch's test; an error ratio by the test of two proportions; a rate by the test of two Poisson counts. A
change must also be large enough to matter, because with many requests everything is significant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pitstop.analyze.stats import NOISE_Z

if TYPE_CHECKING:
    from pitstop.analyze.stats import Range, Stats

LEAST_LATENCY_CHANGE = 0.05  # relative; the buckets alone may differ by 2 × 1.1 %
LEAST_RATE_CHANGE = 0.10  # relative; traffic is never exactly Poisson
LEAST_ERROR_CHANGE = 0.001  # absolute; a tenth of a percent is the whole objective of R34
FEWEST_REQUESTS = 20  # on each side; a P95 of fewer is one request's luck

Measure = Literal["rate_per_s", "error_ratio", "mean_s", "p50_s", "p95_s", "p99_s"]


@dataclass(frozen=True, slots=True)
class Delta:
    """One measure now and in the base, in its own unit; `beyond_noise` None: too little data to say.

    `change_ratio` is (now − base) / base; None without a base, or with a base of zero.
    """

    measure: Measure
    now: float | None
    base: float | None
    change_ratio: float | None
    beyond_noise: bool | None

    @property
    def difference(self) -> float | None:
        """Now − base."""
        return None if self.now is None or self.base is None else self.now - self.base


@dataclass(frozen=True, slots=True)
class Comparison:
    """Every measure of `now` against `before`."""

    now: Stats
    before: Stats
    rate: Delta
    errors: Delta
    mean: Delta
    p50: Delta
    p95: Delta
    p99: Delta

    @property
    def deltas(self) -> tuple[Delta, ...]:
        """All of them."""
        return (self.rate, self.errors, self.mean, self.p50, self.p95, self.p99)


def compare(now: Stats, before: Stats) -> Comparison:
    """What changed from `before` to `now`."""
    enough = min(now.requests, before.requests) >= FEWEST_REQUESTS
    return Comparison(
        now=now,
        before=before,
        rate=_delta("rate_per_s", now.rate_per_s, before.rate_per_s, _rate_moved(now, before)),
        errors=_delta(
            "error_ratio", now.error_ratio, before.error_ratio, _errors_moved(now, before) if enough else None
        ),
        mean=_delta("mean_s", now.mean_s, before.mean_s, _mean_moved(now, before) if enough else None),
        p50=_delta("p50_s", now.p50_s, before.p50_s, _apart(now.p50_range_s, before.p50_range_s) if enough else None),
        p95=_delta("p95_s", now.p95_s, before.p95_s, _apart(now.p95_range_s, before.p95_range_s) if enough else None),
        p99=_delta("p99_s", now.p99_s, before.p99_s, _apart(now.p99_range_s, before.p99_range_s) if enough else None),
    )


def _delta(measure: Measure, now: float | None, base: float | None, moved: bool | None) -> Delta:
    ratio = (now - base) / base if now is not None and base else None
    if moved and measure.endswith("_s") and ratio is not None:
        moved = abs(ratio) >= (LEAST_RATE_CHANGE if measure == "rate_per_s" else LEAST_LATENCY_CHANGE)
    return Delta(measure, now, base, ratio, None if now is None or base is None else moved)


def _apart(now: Range | None, before: Range | None) -> bool | None:
    if now is None or before is None:
        return None
    return now[0] > before[1] or now[1] < before[0]


def _mean_moved(now: Stats, before: Stats) -> bool | None:
    if now.mean_s is None or before.mean_s is None or now.mean_error_s is None or before.mean_error_s is None:
        return None
    return abs(now.mean_s - before.mean_s) > NOISE_Z * math.hypot(now.mean_error_s, before.mean_error_s)


def _errors_moved(now: Stats, before: Stats) -> bool:
    requests = now.requests + before.requests
    pooled = (now.errors + before.errors) / requests
    spread = math.sqrt(pooled * (1 - pooled) * (1 / now.requests + 1 / before.requests))
    difference = abs(now.errors / now.requests - before.errors / before.requests)
    return difference >= LEAST_ERROR_CHANGE and difference > NOISE_Z * spread


def _rate_moved(now: Stats, before: Stats) -> bool | None:
    if not now.rate_per_s or not before.rate_per_s:
        return None
    # the counts' own variance, each scaled by the time it was counted over
    spread = math.sqrt(now.rate_per_s**2 / now.requests + before.rate_per_s**2 / before.requests)
    return abs(now.rate_per_s - before.rate_per_s) > NOISE_Z * spread
