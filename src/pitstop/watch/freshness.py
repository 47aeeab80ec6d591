"""For how long the newest event of a series was older than it may be. Good are the seconds in which it was not.

An event is known to the interval it is read in, and taken to be at its end. So a gap may be one interval longer than it
is counted, and gaps shorter than an interval are forgotten when they grow old (see `_pieces`). Nothing is known before
the first event.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.stats import distinct
from pitstop.model import Match, Window
from pitstop.watch.bins import Course
from pitstop.watch.burn import LONGEST_S, Outcomes
from pitstop.watch.scopes import GLOB, Scopes, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.analyze.columns import Ints
    from pitstop.model import Store
    from pitstop.watch.bins import Kept
    from pitstop.watch.objectives import Objective

MINUTE_S, FIVE_MINUTES_S, HOUR_S, DAY_S = 60, 300, 3600, 86_400
_MINUTES_S = 13 * DAY_S  # up to this age minutes are kept (SQLite; store/sqlite/tiers.py says 14 d)
_SURELY_S = 47 * HOUR_S  # up to this age in every store
_COARSE_S = 12 * HOUR_S  # a threshold so long is read from hours
_MANY_MINUTES_S = 6 * HOUR_S  # up to this age minutes of many series are read, and five of them to a day's age
_PORTION_S = {MINUTE_S: 2 * HOUR_S, FIVE_MINUTES_S: 12 * HOUR_S, HOUR_S: 4 * DAY_S}  # of 300 series some 36,000 rows
_FEW_PORTION_S = 5 * DAY_S
_BEYOND_S = 1 << 40  # more than any moment


class _Seen:
    """Intervals with events of each scope, as (begin, end)."""

    def __init__(self, scopes: Scopes) -> None:
        self.scopes = scopes
        self.intervals: dict[int, list[tuple[int, int]]] = {}

    def copy(self) -> _Seen:
        """One that has the same and grows apart."""
        other = _Seen(self.scopes.copy())
        other.intervals = {number: list(intervals) for number, intervals in self.intervals.items()}
        return other


def fresh_courses(store: Store, objective: Objective, span: Window, kept: Kept) -> list[Course]:
    """A reader for every scope of `objective`, which must be of kind freshness. Raises StoreError."""
    allowed_s = round(objective.threshold_s or 0)
    over_s = (span.end_s - LONGEST_S) // HOUR_S * HOUR_S
    pieces = list(_pieces(objective, Window((span.start_s - allowed_s) // HOUR_S * HOUR_S, span.end_s), over_s))
    over = tuple(piece for piece in pieces if piece[0].end_s <= over_s)

    def read_over() -> _Seen:
        seen = _Seen(Scopes([objective]))
        for piece, step_s in over:
            _read(store, objective, piece, step_s, seen)
        return seen

    seen = kept.once((store.url, objective, over), read_over).copy()
    for piece, step_s in pieces[len(over) :]:
        _read(store, objective, piece, step_s, seen)
    return [
        Course(scope, _reader(_whole_hours(seen.intervals.get(number, []), span.end_s), allowed_s))
        for number, scope in enumerate(seen.scopes.complete())
    ]


def _read(store: Store, objective: Objective, piece: Window, step_s: int, seen: _Seen) -> None:
    rollups = store.rollups(piece, _match(objective), step_s=step_s, hist=False)
    series, of_row = distinct(rollups.series)
    members = [seen.scopes.of(one) for one in series]  # of one objective a series has one scope or none
    number_of = np.array([member[0] if member else -1 for member in members], dtype=np.int64)[of_row]
    begins = np.array(rollups.ts, dtype=np.int64) // step_s * step_s
    rows = (number_of >= 0) & (np.array(rollups.count, dtype=np.int64) > 0)
    _note(seen, number_of[rows], begins[rows], step_s)


def _note(seen: _Seen, numbers: Ints, begins: Ints, step_s: int) -> None:
    for key in np.unique(numbers * _BEYOND_S + begins).tolist():
        number, begin = divmod(key, _BEYOND_S)
        intervals = seen.intervals.setdefault(number, [])
        if not intervals or begin > intervals[-1][0]:
            intervals.append((begin, begin + step_s))


def _match(objective: Objective) -> Match:
    """What the store is asked for: as little as it can tell apart itself."""
    name = objective.routes[0] if _is_narrow(objective) else None
    service = None if GLOB & set(objective.service) else objective.service
    return Match(service=service, kind=kind_of(objective), name=name)


def _is_narrow(objective: Objective) -> bool:
    """Whether it is about one name, so that few rows say all."""
    return len(objective.routes) == 1 and not GLOB & set(objective.routes[0])


def _pieces(objective: Objective, span: Window, over_s: int) -> Iterator[tuple[Window, int]]:
    """Windows with the interval that they are read in, oldest first, none across `over_s`.

    One name: minutes, for as long as they are kept. Many: minutes for six hours, five of them for a day, hours
    beyond. A threshold of half a day or more: hours.
    """
    end_s = span.end_s
    if (objective.threshold_s or 0) >= _COARSE_S:
        ages = [(HOUR_S, end_s - span.start_s)]
    elif _is_narrow(objective):
        ages = [(MINUTE_S, _MINUTES_S), (HOUR_S, end_s - span.start_s)]
    else:
        ages = [(MINUTE_S, _MANY_MINUTES_S), (FIVE_MINUTES_S, DAY_S), (HOUR_S, end_s - span.start_s)]
    cuts = {(end_s - age_s) // HOUR_S * HOUR_S: step_s for step_s, age_s in ages}
    borders = sorted({border for border in (span.start_s, over_s, *cuts, end_s) if span.start_s <= border <= end_s})
    for start, end in pairwise(borders):
        step_s = next(step_s for step_s, age_s in ages if start >= (end_s - age_s) // HOUR_S * HOUR_S)
        portion_s = _FEW_PORTION_S if _is_narrow(objective) else _PORTION_S[step_s]
        for first in range(start, end, portion_s):
            yield Window(first, min(first + portion_s, end)), step_s


def _whole_hours(intervals: Sequence[tuple[int, int]], end_s: int) -> list[tuple[int, int]]:
    """An interval alone in its hour and at its start, older than every store keeps minutes, stands for the hour."""
    sure_s = end_s - _SURELY_S
    hours: dict[int, int] = {}
    for begin, _ in intervals:
        hours[begin // HOUR_S] = hours.get(begin // HOUR_S, 0) + 1
    return [
        (begin, begin + HOUR_S if begin < sure_s and not begin % HOUR_S and hours[begin // HOUR_S] == 1 else end)
        for begin, end in intervals
    ]


def _reader(events: Sequence[tuple[int, int]], allowed_s: int) -> Callable[[Window], Outcomes]:
    """Reads any window: seconds since the first event, and those of them that were not stale."""
    stale: list[tuple[int, int]] = []  # from, to; the last one may be open
    for (_, end), (begin, _) in pairwise(events):
        if begin > end + allowed_s:
            stale.append((end + allowed_s, begin))
    if events:
        stale.append((events[-1][1] + allowed_s, 1 << 62))
    starts = [start for start, _ in stale]
    before = [0]
    for start, end in stale[:-1]:
        before.append(before[-1] + end - start)

    def stale_before(moment_s: int) -> int:
        place = bisect_right(starts, moment_s)
        if not place:
            return 0
        start, end = stale[place - 1]
        return before[place - 1] + min(moment_s, end) - start

    def read(window: Window) -> Outcomes:
        first = max(window.start_s, events[0][0]) if events else window.end_s
        if first >= window.end_s:
            return Outcomes(0, 0)
        total = window.end_s - first
        return Outcomes(total - (stale_before(window.end_s) - stale_before(first)), total)

    return read
