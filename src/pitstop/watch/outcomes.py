"""What was good and what was not, for every budget at once: a few reads of the store answer all windows.

Time is cut at the borders of all the windows that are asked about; what lies between two of them is read once, from the
coarsest intervals the store has, and a window is the sum of its pieces. So a month, three days and five minutes of all
objectives together cost little more than the month of one, and a replay is the same with finer pieces.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.analyze.columns import merged_by_group
from pitstop.analyze.stats import distinct, is_error, numbered
from pitstop.analyze.trend import placed, steps
from pitstop.model import Match, Rollups, Window
from pitstop.rollup.histogram import BORDERS_NS
from pitstop.watch.bins import Bins, Course, Kept
from pitstop.watch.burn import LONGEST_S
from pitstop.watch.freshness import fresh_courses
from pitstop.watch.objectives import FRESHNESS, LATENCY, Objective
from pitstop.watch.scopes import GLOB, Scopes, kind_of
from pitstop.watch.thresholds import border_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from pitstop.analyze.columns import Ints
    from pitstop.model import Store

ROWS_AT_ONCE = 40_000  # of one read, as far as can be known before: some 20 MB, and as much to work in
HISTOGRAMS_AT_ONCE = 4000  # of 1,066 positions of 8 bytes: 34 MB
_USED = ("ts", "series", "count", "min_ns", "max_ns", "hist")
_MANY_ROWS, _FEWEST_ROWS = 4000, 100  # of one bin: until something was read, and to reckon with


class Piece(NamedTuple):
    """A window that is read at once, in bins of `step_s`; None: it is one bin."""

    window: Window
    step_s: int | None = None


def pieces_of(borders: Iterable[int], step_s: int | None = None) -> list[Piece]:
    """Pieces between all `borders`; those longer than `step_s` in bins of it."""
    return [
        Piece(Window(start, end), step_s if step_s and end - start > step_s else None)
        for start, end in pairwise(sorted(set(borders)))
    ]


def courses(
    store: Store, objectives: Sequence[Objective], pieces: Sequence[Piece], kept: Kept | None = None
) -> list[Course]:
    """What happened to every scope of `objectives` in `pieces`, which follow one another without a gap.

    `kept` has the pieces that are older than any burn-rate window, once they were read. Raises StoreError.
    """
    found: list[Course] = []
    kept = kept or Kept()
    counted = [objective for objective in objectives if objective.kind != FRESHNESS]
    for kind in dict.fromkeys(map(kind_of, counted)):
        of_kind = [objective for objective in counted if kind_of(objective) == kind]
        found += _counted(store, kind, of_kind, pieces, kept)
    span = Window(pieces[0].window.start_s, pieces[-1].window.end_s)
    for objective in objectives:
        if objective.kind == FRESHNESS:
            found += fresh_courses(store, objective, span, kept)
    return found


def _counted(
    store: Store, kind: str, objectives: Sequence[Objective], pieces: Sequence[Piece], kept: Kept
) -> list[Course]:
    """Courses of objectives that count operations of one kind."""
    end_s = pieces[-1].window.end_s
    over = [piece for piece in pieces if piece.window.end_s <= end_s - LONGEST_S]
    match = Match(service=_only_service(objectives), kind=kind)
    hist = any(objective.kind == LATENCY for objective in objectives)

    def read_over() -> tuple[Scopes, Bins]:
        scopes, bins = Scopes(objectives), Bins()
        _read(store, match, over, scopes, bins, hist=hist)
        return scopes, bins

    known = kept.once((store.url, kind, tuple(objectives), tuple(over)), read_over)
    scopes, bins = known[0].copy(), known[1].copy()
    _read(store, match, pieces[len(over) :], scopes, bins, hist=hist)
    return bins.courses(scopes.complete(), end_s)


def _read(store: Store, match: Match, pieces: Sequence[Piece], scopes: Scopes, bins: Bins, *, hist: bool) -> None:
    """Add what happened in `pieces`, which follow what `bins` have."""
    rows_a_bin = _MANY_ROWS
    for piece in pieces:
        start_s = piece.window.start_s
        while start_s < piece.window.end_s:
            window = _portion(piece, start_s, rows_a_bin, scopes)
            rollups = store.rollups(window, match, step_s=piece.step_s, hist=hist)
            if bins.edges:
                rollups = _begun_within(rollups, window)
            begins, at = [window.start_s], np.zeros(len(rollups), dtype=np.int64)
            if piece.step_s is not None:
                begins = [max(begin, window.start_s) for begin in steps(window, piece.step_s)]
                at = placed(rollups, window, piece.step_s)
                rows_a_bin = max(_FEWEST_ROWS, len(rollups) // len(begins))
            bins.add(begins, *_added(rollups, at, len(begins), scopes))
            start_s = window.end_s


def _begun_within(rollups: Rollups, window: Window) -> Rollups:
    """Without what began before `window`: a row across a border counts where it begins, and once."""
    if not len(rollups) or min(rollups.ts) >= window.start_s:
        return rollups
    kept = [row for row, ts in enumerate(rollups.ts) if ts >= window.start_s]
    columns = {name: [getattr(rollups, name)[row] for row in kept] for name in _USED}
    return Rollups(**columns)


def _only_service(objectives: Sequence[Objective]) -> str | None:
    services = {objective.service for objective in objectives}
    return services.pop() if len(services) == 1 and not GLOB & set(*services) else None


def _portion(piece: Piece, start_s: int, rows_a_bin: int, scopes: Scopes) -> Window:
    """As much of `piece` from `start_s` on as may be read at once, whole bins."""
    window, step_s = piece
    if step_s is None:
        return window
    histograms = sum(scope.objective.kind == LATENCY for scope in scopes.found)
    bins = max(1, min(ROWS_AT_ONCE // rows_a_bin, HISTOGRAMS_AT_ONCE // max(1, histograms)))
    return Window(start_s, min(window.end_s, (start_s // step_s + bins) * step_s))


def _added(rollups: Rollups, at: Ints, bins: int, scopes: Scopes) -> tuple[Ints, Ints]:
    """Good and total of every bin and scope; `at` is each row's bin."""
    series, of_row = distinct(rollups.series)
    members = [scopes.of(one) for one in series]
    scope_number = len(scopes.found)
    good, total = (np.zeros((scope_number, bins), dtype=np.int64) for _ in range(2))
    if not series:
        return good.T, total.T
    counted = np.bincount(
        of_row * bins + at, weights=np.array(rollups.count, dtype=np.float64), minlength=len(series) * bins
    )
    count = counted.astype(np.int64).reshape(len(series), bins)
    failed = np.array([is_error(one.outcome) for one in series], dtype=bool)
    of_series, of_scope = _pairs(members, lambda number: scopes.found[number].objective.kind != LATENCY)
    np.add.at(total, of_scope, count[of_series])
    np.add.at(good, of_scope, np.where(failed[of_series, None], 0, count[of_series]))
    _add_fast(rollups, of_row, at, bins, members, scopes, good, total)
    return good.T, total.T


def _add_fast(
    rollups: Rollups,
    of_row: Ints,
    at: Ints,
    bins: int,
    members: Sequence[tuple[int, ...]],
    scopes: Scopes,
    good: Ints,
    total: Ints,
) -> None:
    """Add what latency objectives count: series that count for the same of them are one histogram."""
    sets = [tuple(n for n in member if scopes.found[n].objective.kind == LATENCY) for member in members]
    groups, group_of = numbered(sets)
    if not any(groups):
        return
    of_group, of_scope = _pairs(groups, lambda _: True)
    positions = np.array([border_of(scopes.found[n].objective.threshold_s or 0).position for n in of_scope])
    rows = np.flatnonzero(np.array([bool(one) for one in sets])[of_row])
    every, below = _fast_counts(rollups, rows, group_of[of_row[rows]] * bins + at[rows], len(groups) * bins, positions)
    np.add.at(total, of_scope, every.reshape(len(groups), bins)[of_group])
    for position, fast in below.items():
        here = positions == position
        np.add.at(good, of_scope[here], fast.reshape(len(groups), bins)[of_group[here]])


def _fast_counts(
    rollups: Rollups, rows: Ints, cells: Ints, number: int, positions: Ints
) -> tuple[Ints, dict[int, Ints]]:
    """Durations of `rows` in each of `number` cells: all of them, and those up to each position's border.

    The shortest and the longest of a row decide most of them: only what lies across a border is decoded.
    """
    columns = (rollups.count, rollups.min_ns, rollups.max_ns)
    count, min_ns, max_ns = (np.array(column, dtype=np.int64)[rows] for column in columns)
    borders = {position: BORDERS_NS[position] for position in np.unique(positions).tolist()}
    across = np.zeros(len(rows), dtype=bool)
    for border_ns in borders.values():
        across |= (min_ns <= border_ns) & (max_ns > border_ns)
    merged = merged_by_group([rollups.hist[row] for row in rows[across].tolist()], cells[across], number)
    plain_cells, plain_count, plain_max_ns = cells[~across], count[~across], max_ns[~across]

    def counted(wanted: NDArray[np.bool_]) -> Ints:
        return np.bincount(plain_cells[wanted], weights=plain_count[wanted], minlength=number).astype(np.int64)

    every = merged.totals() + counted(np.ones(len(plain_cells), dtype=bool))
    below = {
        position: merged.counts[:, : max(0, position + 1 - merged.first)].sum(axis=1)
        + counted(plain_max_ns <= border_ns)
        for position, border_ns in borders.items()
    }
    return every, below


def _pairs(members: Sequence[tuple[int, ...]], wanted: Callable[[int], bool]) -> tuple[Ints, Ints]:
    """Every (place in `members`, scope number) as two columns."""
    pairs = [(place, number) for place, numbers in enumerate(members) for number in numbers if wanted(number)]
    columns = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]
