"""Base-2 exponential histogram of durations, fixed scale 5: counts that merge exactly, in any order.

Buckets are OpenTelemetry's exponential histogram at scale 5 (base γ = 2^(1/32)), upper-inclusive: bucket *i* holds
γ^i < seconds ≤ γ^(i+1), i = ceil(log2(seconds)·32) − 1. Prometheus' native-histogram schema 5 numbers the same buckets
one higher. Here a bucket is a *position*: i + 639, so that position 0 is the zero bucket (≤ 0.995 µs) and 1 … 1065 are
OpenTelemetry's −638 … 426 (about 1 µs … 10⁴ s); what is longer lands in the last.

Guarantee: a quantile is within (γ−1)/(γ+1) = 1.083 % of the exact value of that rank (Masson, Rim & Lee,
"DDSketch", VLDB 2019, lemma 2), for durations of 1 µs … 10⁴ s. Borders are integers computed without floating point,
so a duration on a border is never in the wrong bucket.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SCALE = 5
BUCKETS_PER_OCTAVE = 1 << SCALE
OTEL_OFFSET = 639  # position = OpenTelemetry's index + this
_FIRST_BORDER = -638  # exponent, in 1/32 octaves of a second, of the zero bucket's upper border: 0.995 µs
_LAST_BORDER = 426  # 2^(426/32) s = 10,173 s
_GUARD_BITS = 64


def _borders_ns() -> list[int]:
    """floor(10⁹·2^(k/32)) for every border, exact: five integer square roots make a 32nd root, shifts make octaves."""
    octave = []
    for step in range(BUCKETS_PER_OCTAVE):
        border: int = (10**9) ** BUCKETS_PER_OCTAVE * 2**step << (_GUARD_BITS * BUCKETS_PER_OCTAVE)
        for _ in range(SCALE):
            border = math.isqrt(border)
        octave.append(border)
    return [
        octave[k % BUCKETS_PER_OCTAVE] >> (_GUARD_BITS - k // BUCKETS_PER_OCTAVE)
        for k in range(_FIRST_BORDER, _LAST_BORDER + 1)
    ]


BORDERS_NS = _borders_ns()
"""Upper border of every position, whole ns; bisect_left(BORDERS_NS, duration_ns) is a duration's position."""

POSITIONS = len(BORDERS_NS)
_MIDDLE: float = 2 / (
    1 + 2 ** (1 / BUCKETS_PER_OCTAVE)
)  # of a bucket, over its upper border: equally wrong at both ends


def position_of(duration_ns: int) -> int:
    """Position of the bucket that holds `duration_ns`, 0 … POSITIONS − 1."""
    return min(bisect_left(BORDERS_NS, duration_ns), POSITIONS - 1)


def value_ns(position: int) -> float:
    """What a duration in `position` is taken to be, ns: within 1.083 % of any in it; 0 for the zero bucket."""
    if position == 0:
        return 0.0
    return _MIDDLE * 1e9 * math.pow(2, (position + _FIRST_BORDER) / BUCKETS_PER_OCTAVE)


def quantile_ns(counts: dict[int, int], q: float) -> float | None:
    """The duration of rank ceil(q·n), ns, from counts by position; None when there are none.

    Rank as in numpy's ``percentile(method="inverted_cdf")``.
    """
    total: int = sum(counts.values())
    if not total:
        return None
    rank = max(1, math.ceil(q * total - 1e-9))
    seen = 0
    for position in sorted(counts):
        seen += counts[position]
        if seen >= rank:
            return value_ns(position)
    raise AssertionError("counts changed while they were read")


def merged(histograms: Iterable[dict[int, int]]) -> dict[int, int]:
    """Counts of all of them added up."""
    total: dict[int, int] = {}
    for counts in histograms:
        for position, count in counts.items():
            total[position] = total.get(position, 0) + count
    return total
