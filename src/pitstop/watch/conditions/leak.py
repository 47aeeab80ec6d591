"""Memory of a worker that grows and grows.

The slope is Theil and Sen's (the median of the slopes between all pairs of minutes: Sen, "Estimates of the regression
coefficient based on Kendall's tau", 1968), which a collection, a cache that fills or a single large answer does not
move. It has to hold in both halves of the window, so that a worker that warms up is none, and Kendall's tau of memory
and time has to be `LEAST_TAU` or more ("A New Measure of Rank Correlation", 1938): of ten pairs of minutes eight rise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.runtime import RSS_BYTES
from pitstop.analyze.units import bytes_text
from pitstop.watch.conditions.reading import Kind, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.watch.rules import Rule
    from pitstop.watch.sight import Sight

STEP_S = 60
LEAST_SHARE = 0.8  # of the window's minutes that have to be there
LEAST_TAU = 0.6
MB_PER_MINUTE = 1e6  # R43


def read(rule: Rule, sight: Sight) -> Sequence[Reading]:
    """One reading a worker that was there for the whole window."""
    window = sight.window(rule.over_s)
    samples = sight.samples(window, (RSS_BYTES,), STEP_S)
    found: dict[tuple[str, str], dict[int, float]] = {}
    for ts, service, worker, value in zip(samples.ts, samples.service, samples.worker, samples.value, strict=True):
        if rule.watches(service):
            found.setdefault((service, worker), {})[ts // STEP_S] = value
    out = []
    for (service, worker), points in sorted(found.items()):
        if len(points) < LEAST_SHARE * rule.over_s / STEP_S:
            continue
        per_minute = growth(points)
        hot, calm = rule.verdict(per_minute)
        text = f"memory of {service} ({worker}) grows by {bytes_text(per_minute)} a minute"
        out.append(
            Reading({"service": service, "worker": worker}, hot, calm, per_minute, rule.limit, "bytes/min", text)
        )
    return out


def growth(points: dict[int, float]) -> float:
    """Bytes a minute by which memory grows throughout; 0 where it does not do so throughout."""
    minutes = sorted(points)
    at, value = np.array(minutes, dtype=float), np.array([points[m] for m in minutes])
    half = len(at) // 2
    whole, tau = _slope(at, value)
    if tau < LEAST_TAU:
        return 0.0
    return max(0.0, min(whole, _slope(at[:half], value[:half])[0], _slope(at[half:], value[half:])[0]))


def _slope(at: np.ndarray, value: np.ndarray) -> tuple[float, float]:
    """The median slope of all pairs, and Kendall's tau."""
    i, j = np.triu_indices(len(at), 1)
    if not len(i):
        return 0.0, 0.0
    rises = value[j] - value[i]
    return float(np.median(rises / (at[j] - at[i]))), float(np.sign(rises).mean())


KIND = Kind(
    "leak",
    read,
    "memory of a worker that grows and grows",
    keys=frozenset({"service", "above", "over"}),
    defaults={"above": MB_PER_MINUTE, "over": "1h", "every": "1m", "keep": "15m"},
)
