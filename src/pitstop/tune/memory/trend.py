"""Whether a row of readings rises throughout: Mann and Kendall's test, Theil and Sen's slope.

Sources: H. B. Mann, "Nonparametric Tests Against Trend", 1945; M. G. Kendall, "Rank Correlation Methods", 1975 (the
variance of S, with ties); P. K. Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau", 1968. Neither
assumes how readings are distributed, and up to 29 % of them may be anything without moving the slope.
"""

from __future__ import annotations

from collections import Counter
from math import sqrt
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class Trend(NamedTuple):
    """`slope` a step, `tau` −1 … 1 (the share of pairs that rise less that of those that fall), `z` its score."""

    slope: float
    tau: float
    z: float


def trend(values: Sequence[float]) -> Trend:
    """The trend of equally spaced `values`; all zero for fewer than three. Takes n²/2 steps: for tens of values."""
    n = len(values)
    if n < 3:  # noqa: PLR2004  two points are no trend
        return Trend(0.0, 0.0, 0.0)
    slopes: list[float] = []
    s = 0
    for i in range(n - 1):
        here = values[i]
        for j in range(i + 1, n):
            rise = values[j] - here
            s += (rise > 0) - (rise < 0)
            slopes.append(rise / (j - i))
    ties = sum(t * (t - 1) * (2 * t + 5) for t in Counter(values).values() if t > 1)
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    z = 0.0 if variance <= 0 or s == 0 else (s - 1 if s > 0 else s + 1) / sqrt(variance)
    return Trend(median(slopes), s / len(slopes), z)


def largest_fall(values: Sequence[float]) -> float:
    """The most by which a later value was below an earlier one; 0 where they never fall."""
    peak, fall = float("-inf"), 0.0
    for value in values:
        peak = max(peak, value)
        fall = max(fall, peak - value)
    return fall
