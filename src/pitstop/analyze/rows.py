"""Every series at every step, for whoever takes the figures elsewhere. Read in pieces, so memory stays small."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop.analyze.stats import Stats, numbered, stats_by_group
from pitstop.model import Match, Series, Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model import Store

STEPS_AT_ONCE = 60  # with 100 routes of three statuses about 18,000 rows, 8 MB, in memory


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series in the step that starts at `ts`, Unix seconds."""

    ts: int
    series: Series
    stats: Stats


def rows(store: Store, window: Window, match: Match, step_s: int) -> Iterator[SeriesRow]:
    """Every series that `match` accepts, by step and then by series, from one read for each `STEPS_AT_ONCE` steps."""
    piece_s = step_s * STEPS_AT_ONCE
    start_s = window.start_s
    while start_s < window.end_s:
        end_s = min(window.end_s, (start_s // piece_s + 1) * piece_s)
        yield from _piece(store, Window(start_s, end_s), match, step_s)
        start_s = end_s


def _piece(store: Store, window: Window, match: Match, step_s: int) -> Iterator[SeriesRow]:
    rollups = store.rollups(window, match, step_s=step_s)
    if not len(rollups):
        return
    # an edge widened to a coarser tier belongs to the step at that edge
    first, last = window.start_s // step_s, (window.end_s - 1) // step_s
    steps = [min(max(ts // step_s, first), last) for ts in rollups.ts]
    keys, groups = numbered(list(zip(steps, rollups.series, strict=True)))
    found = stats_by_group(rollups, groups, len(keys), step_s)
    for (step, series), stats in sorted(zip(keys, found, strict=True), key=lambda row: row[0]):
        yield SeriesRow(step * step_s, series, stats)
