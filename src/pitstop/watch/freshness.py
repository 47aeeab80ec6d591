"""For how long the newest event of a series was older than it may be. Good are the seconds in which it was not.

An event is known to the minute for two weeks (memory store: two days), to the hour afterwards, when gaps shorter than
that are forgotten. It is taken to be at the end of its minute, so a gap is at most one longer than it is counted.
Nothing is known before the first event.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import TYPE_CHECKING

from pitstop.analyze.stats import distinct
from pitstop.model import Match, Window
from pitstop.watch.burn import Outcomes
from pitstop.watch.scopes import GLOB, Scopes, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.model import Store
    from pitstop.watch.objectives import Objective
    from pitstop.watch.scopes import Scope

HOUR_S = 3600
MINUTE_S = 60
_MINUTES_S = 13 * 86_400  # up to this age minutes are kept (SQLite; store/sqlite/tiers.py says 14 d)
_SURELY_S = 47 * HOUR_S  # up to this age in every store
_COARSE_S = 12 * HOUR_S  # a threshold so long is read from hours


def fresh_courses(store: Store, objective: Objective, span: Window) -> list[tuple[Scope, Callable[[Window], Outcomes]]]:
    """A reader for every scope of `objective`, which must be of kind freshness. Raises StoreError."""
    allowed_s = round(objective.threshold_s or 0)
    scopes = Scopes([objective])
    seen: dict[int, set[tuple[int, int]]] = {}
    for piece, step_s in _pieces(Window(span.start_s - allowed_s, span.end_s), allowed_s):
        rollups = store.rollups(piece, _match(objective), step_s=step_s, hist=False)
        series, of_row = distinct(rollups.series)
        members = [scopes.of(one) for one in series]
        for at, ts, count in zip(of_row.tolist(), rollups.ts, rollups.count, strict=True):
            for number in members[at] if count else ():
                seen.setdefault(number, set()).add((ts, step_s))
    return [
        (scope, _reader(_whole_hours(sorted(seen.get(number, ())), span.end_s), allowed_s))
        for number, scope in enumerate(scopes.complete())
    ]


def _match(objective: Objective) -> Match:
    name = objective.routes[0] if len(objective.routes) == 1 and not GLOB & set(objective.routes[0]) else None
    service = None if GLOB & set(objective.service) else objective.service
    return Match(service=service, kind=kind_of(objective), name=name)


def _pieces(span: Window, allowed_s: int) -> Iterator[tuple[Window, int]]:
    """Windows that are kept equally fine, with their interval; no finer than the threshold asks for."""
    fine_s = max(span.start_s, (span.end_s - _MINUTES_S) // HOUR_S * HOUR_S)
    if fine_s > span.start_s:
        yield Window(span.start_s, fine_s), HOUR_S
    yield Window(fine_s, span.end_s), HOUR_S if allowed_s >= _COARSE_S else MINUTE_S


def _whole_hours(bins: Sequence[tuple[int, int]], end_s: int) -> list[tuple[int, int]]:
    """Start and end of each interval with events.

    A row that is alone in its hour and at its start, older than every store keeps minutes, stands for the whole hour.
    """
    sure_s = end_s - _SURELY_S
    hours: dict[int, int] = {}
    for ts, _ in bins:
        hours[ts // HOUR_S] = hours.get(ts // HOUR_S, 0) + 1
    out = []
    for ts, step_s in bins:
        alone = ts < sure_s and ts % HOUR_S == 0 and hours[ts // HOUR_S] == 1
        out.append((ts, ts + (HOUR_S if alone else step_s)))
    return out


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
