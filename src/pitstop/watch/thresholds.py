"""How many took a threshold or less, read from the histogram: exactly where it is a bucket's border."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from pitstop.rollup.histogram import BORDERS_NS


class Border(NamedTuple):
    """The bucket border that a threshold is read at: all positions up to `position` are at or below `read_s`.

    `off_ratio` is how far `read_s` lies from the threshold, over the threshold: 0 when the reading is exact, at most
    1.1 % within the histogram's range of 1 µs … 10⁴ s.
    """

    position: int
    read_s: float
    off_ratio: float


def border_of(threshold_s: float) -> Border:
    """The border nearest to `threshold_s`."""
    threshold_ns = round(threshold_s * 1e9)
    above = min(bisect_left(BORDERS_NS, threshold_ns), len(BORDERS_NS) - 1)
    below = max(above - 1, 0)
    nearest = min((above, below), key=lambda position: abs(BORDERS_NS[position] - threshold_ns))
    read_ns = BORDERS_NS[nearest]
    return Border(nearest, read_ns / 1e9, (read_ns - threshold_ns) / threshold_ns)
