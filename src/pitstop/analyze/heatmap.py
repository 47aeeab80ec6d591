"""Where do the durations lie, and how did that move? Time × latency, a count in each cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.columns import merged_by_group
from pitstop.analyze.trend import automatic_step_s
from pitstop.model import Match
from pitstop.model.series import HTTP
from pitstop.rollup.histogram import BORDERS_NS

if TYPE_CHECKING:
    from pitstop.model import Store, Window

MERGED_BUCKETS = 5  # 32 an octave are finer than a cell can be drawn: 6.4 an octave
MOST_COLUMNS = 120


@dataclass(frozen=True, slots=True)
class Heatmap:
    """`counts[column][row]`: requests in step `ts[column]` that took `lower_s[row]` < duration ≤ `upper_s[row]`.

    Only the rows between the lowest and the highest duration seen; no rows at all when nothing was recorded.
    """

    window: Window
    route: str | None
    step_s: int
    ts: tuple[int, ...]
    lower_s: tuple[float, ...]
    upper_s: tuple[float, ...]
    counts: tuple[tuple[int, ...], ...]


def heatmap(
    store: Store, window: Window, service: str | None = None, route: str | None = None, step_s: int | None = None
) -> Heatmap:
    """The distribution of one route's durations, or of all routes', over `window`."""
    step = step_s or automatic_step_s(window, MOST_COLUMNS)
    rollups = store.rollups(window, Match(service=service, kind=HTTP, name=route), step_s=step)
    covered = window.aligned(step)
    ts = range(covered.start_s, covered.end_s, step)
    if not len(rollups) or not ts:
        return Heatmap(window, route, step, tuple(ts), (), (), ((),) * len(ts))
    at = np.clip((np.array(rollups.ts, dtype=np.int64) - covered.start_s) // step, 0, len(ts) - 1)
    merged = merged_by_group(rollups.hist, at, len(ts))
    first = merged.first // MERGED_BUCKETS
    last = (merged.first + merged.counts.shape[1] - 1) // MERGED_BUCKETS
    padded = np.zeros((len(ts), (last - first + 1) * MERGED_BUCKETS), dtype=np.int64)
    from_column = merged.first - first * MERGED_BUCKETS
    padded[:, from_column : from_column + merged.counts.shape[1]] = merged.counts
    cells = padded.reshape(len(ts), last - first + 1, MERGED_BUCKETS).sum(axis=2)
    uppers = [_border_s((row + 1) * MERGED_BUCKETS - 1) for row in range(first - 1, last + 1)]
    return Heatmap(
        window=window,
        route=route,
        step_s=step,
        ts=tuple(ts),
        lower_s=tuple(uppers[:-1]),
        upper_s=tuple(uppers[1:]),
        counts=tuple(tuple(column) for column in cells.tolist()),
    )


def _border_s(position: int) -> float:
    """Upper border of a position, s; 0 below the first."""
    return BORDERS_NS[min(position, len(BORDERS_NS) - 1)] / 1e9 if position >= 0 else 0.0
