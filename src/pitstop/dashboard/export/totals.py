"""What was counted of every series since counting began: totals that only ever grow.

A store keeps intervals and forgets them; Prometheus wants one number that grows. So everything up to ten minutes ago is
added up once and kept (`totals_file`). What is newer is read from the store: the last seconds each time, the last
minutes once a minute for the sake of batches that come late, what is between when it is added to the file. That holds
through restarts of workers (their rows stay), of the dashboard (the file stays), folding (sums are exact), retention
and pruning (what was counted stays counted), and batches that come up to ten minutes late.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.analyze.stats import distinct, numbered_by, sums
from pitstop.dashboard.export.blocks import in_blocks
from pitstop.dashboard.export.totals_file import Mark, Total
from pitstop.dashboard.shared_read import encoded
from pitstop.model import Match, Rollups, Series, StoreError, Window
from pitstop.model.series import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pitstop.dashboard.export.totals_file import TotalsFile
    from pitstop.model import Store

LATE_S = 600  # a batch waits two minutes at most in a worker (rollup.flusher), and a collector's queue rarely longer
FRESH_S = 10  # what is newer is read each time: a flush comes a second or two after its interval
RECENT_S = 180  # what is newer is read again once a minute: a worker's batches wait for two minutes at most
AGAIN_S = 60
READ_S = 15  # of the store at once, so that little is in memory
STEP_S = 600  # how often what is settled is added to the file; a multiple of every fine tier's step
HOUR_S = 3600
DAY_S = 86_400
PIECE_S = 10 * DAY_S  # of a long history, read at once
FORGET_S = 14 * DAY_S  # a series that nothing came of for so long is no longer told
FINE_S = 14 * DAY_S  # how long stores keep minutes: any border of ten minutes can be read exactly for so long
RETENTION_S = 90 * DAY_S
MOST_PER_KIND = 5000  # series of one kind; more share the name ``__other__``
_log = logging.getLogger("pitstop")


class Counted(NamedTuple):
    """Totals at one moment, by kind. `rows` has one or two rows a series, which add up; `series` is how many."""

    rows: Mapping[str, Rollups]
    series: Mapping[str, int]


class _Span:
    """What was counted from somewhere on up to `until_s`."""

    def __init__(self, until_s: int = -1) -> None:
        self.until_s = until_s
        self.totals: dict[Series, Total] = {}


class Totals:
    """Totals of `store`; `file` None keeps them in this process. Any thread.

    `writable` false reads the file and leaves it as it is. `retention_s` is how long the store keeps hours.
    """

    def __init__(
        self, store: Store, file: TotalsFile | None, *, writable: bool = True, retention_s: int | None = None
    ) -> None:
        self._store = store
        self._file = file
        self._writable = writable
        self._retention_s = retention_s or RETENTION_S
        self._lock = threading.Lock()
        self._mark = Mark(0, -1)
        self._kept: dict[Series, Total] = {}
        self._rows: dict[str, Rollups] = {}
        self._used: dict[str, int] = {}
        self._admitted: set[Series] = set()
        self._older = _Span()  # from the mark to three minutes ago
        self._recent = _Span()  # from there to some seconds ago
        self._tail: dict[Series, Total] = {}  # from the mark on, as it was told last
        self._tail_until_s = 0

    def read(self, now_s: float) -> Counted:
        """Totals up to `now_s`. Raises StoreError when the store cannot be read."""
        with self._lock:
            self._refresh()
            settled_s = (int(now_s) - LATE_S) // STEP_S * STEP_S
            if settled_s > self._mark.until_s:
                self._settle(settled_s)
            end_s = int(now_s) + 1
            tail = self._read_tail(end_s)
            if self._lost(tail):
                _log.warning("pitstop: the store lost rows that were exported already; totals go on from what was told")
                self._add(rows_of(self._tail), self._tail_until_s)
                tail = self._read_tail(end_s)
            self._tail, self._tail_until_s = tail, end_s
            return Counted(self._joined(tail), dict(self._used))

    def _refresh(self) -> None:
        """Take over what another process has added to the file."""
        if self._file is None:
            return
        try:
            mark = self._file.mark()
            if mark.change > self._mark.change and mark.until_s >= self._mark.until_s:
                self._mark, self._kept = self._file.load()
                self._arrange()
        except StoreError as error:
            if self._mark.change < 0:  # damaged, newer, or somebody else's: the store has most of it
                self._leave_file(str(error))

    def _settle(self, until_s: int) -> None:
        """Add up what came between the mark and `until_s`, in pieces."""
        start_s = self._mark.until_s
        if not start_s:
            oldest = [table.oldest_s for table in self._store.size().tables if table.oldest_s is not None]
            start_s = min((*oldest, until_s)) // DAY_S * DAY_S
        else:
            start_s = self._exact(start_s, until_s - start_s)
        while start_s < until_s:
            end_s = min(until_s, (start_s // PIECE_S + 1) * PIECE_S)
            if not self._add(self._read(start_s, end_s), end_s):
                return
            start_s = end_s

    def _exact(self, start_s: int, ago_s: int) -> int:
        """Where to go on when nobody asked for long: a border in the middle of a coarse interval would count twice."""
        unit_s = 1
        if ago_s > min(FINE_S, self._retention_s) - 4 * HOUR_S:
            unit_s = DAY_S if ago_s > self._retention_s - 2 * DAY_S else HOUR_S
        return -(-start_s // unit_s) * unit_s

    def _add(self, rows: Rollups, until_s: int) -> bool:
        """Count `rows` for good; False when another process has done it."""
        changed = _added(self._kept, rows)
        forget_s = until_s - FORGET_S
        mark: Mark | None = Mark(until_s, self._mark.change)
        if self._file is not None and self._writable:
            try:
                mark = self._file.advance(self._mark, until_s, changed.items(), forget_s)
            except StoreError as error:
                self._leave_file(str(error))
            if mark is None:
                before = self._mark
                self._refresh()
                if self._mark != before:
                    self._tail = {}
                    return False
                self._leave_file("it was replaced by another one")
        self._mark = mark or Mark(until_s, self._mark.change)
        self._kept.update(changed)
        self._kept = {series: total for series, total in self._kept.items() if total.seen_s >= forget_s}
        self._arrange()
        return True

    def _leave_file(self, why: str) -> None:
        _log.warning("pitstop: totals for Prometheus are kept in memory from now on: %s", why)
        self._file = None

    def _arrange(self) -> None:
        """The kept totals as columns, by kind."""
        self._rows, self._used = {}, {}
        self._admitted = set(self._kept)
        self._tail = {}
        self._older = _Span()
        for series, total in self._kept.items():
            _append(self._rows.setdefault(series.kind, Rollups()), series, total)
            self._used[series.kind] = self._used.get(series.kind, 0) + 1

    def _read_tail(self, end_s: int) -> dict[Series, Total]:
        """What came from the mark on."""
        start_s = self._mark.until_s
        older_s = max(start_s, (end_s - RECENT_S) // AGAIN_S * AGAIN_S)
        fresh_s = max(start_s, (end_s - FRESH_S) // FRESH_S * FRESH_S)
        if not start_s <= self._older.until_s <= older_s:
            self._older = _Span(start_s)
        if self._older.until_s != older_s or not older_s <= self._recent.until_s <= fresh_s:
            self._recent = _Span(older_s)
        self._extend(self._older, older_s)
        self._extend(self._recent, fresh_s)
        tail = self._older.totals | _summed(self._older.totals, self._recent.totals)
        return tail | (_added(tail, self._read(fresh_s, end_s)) if fresh_s < end_s else {})

    def _extend(self, span: _Span, until_s: int) -> None:
        if span.until_s < until_s:
            span.totals = gathered(self._read, span.until_s, until_s, span.totals)
            span.until_s = until_s

    def _lost(self, tail: Mapping[Series, Total]) -> bool:
        """Whether less is counted since the mark than was told before: rows were pruned, or the file was damaged."""
        return any(series not in tail or tail[series].events < total.events for series, total in self._tail.items())

    def _read(self, start_s: int, end_s: int) -> Rollups:
        """Rows of the store, by the names that there is room for."""
        rows = self._store.rollups(Window(start_s, end_s), Match())
        different, at = distinct(rows.series)
        names = [self._admit(series) for series in different]
        if any(name is not series for name, series in zip(names, different, strict=True)):
            rows.series = [names[number] for number in at.tolist()]
        return rows

    def _admit(self, series: Series) -> Series:
        if series in self._admitted:
            return series
        if self._used.get(series.kind, 0) >= MOST_PER_KIND and series.name != OTHER:
            outcome = series.outcome if series.outcome.isdigit() else ""
            series = Series(series.service, "", series.kind, OTHER, "", outcome)
            if series in self._admitted:
                return series
        self._admitted.add(series)
        self._used[series.kind] = self._used.get(series.kind, 0) + 1
        return series

    def _joined(self, tail: Mapping[Series, Total]) -> dict[str, Rollups]:
        """Kept totals and what came since."""
        out = dict(self._rows)
        for kind in {series.kind for series in tail}:
            out[kind] = Rollups()
            out[kind].extend(self._rows.get(kind, Rollups()))  # the kept ones stay as they are
        for series, total in tail.items():
            _append(out[series.kind], series, total)
        return out


def gathered(
    read: Callable[[int, int], Rollups], start_s: int, end_s: int, kept: Mapping[Series, Total] | None = None
) -> dict[Series, Total]:
    """`kept` and what `read` finds from `start_s` to `end_s`, by series; few rows are in memory at a time."""
    totals = dict(kept or {})
    for piece_s in range(start_s, end_s, READ_S):
        totals |= _added(totals, read(piece_s, min(piece_s + READ_S, end_s)))
    return totals


def rows_of(totals: Mapping[Series, Total]) -> Rollups:
    """A row a series; `min_ns` and `max_ns` are not known and 0."""
    rows = Rollups()
    for series, total in totals.items():
        _append(rows, series, total)
    return rows


def _added(kept: Mapping[Series, Total], rows: Rollups) -> dict[Series, Total]:
    """The new totals of every series that `rows` has."""
    if not len(rows):
        return {}
    names, groups = numbered_by(rows.series, _itself)
    seen = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(seen, groups, np.array(rows.ts, dtype=np.int64))
    old = [at for at, series in enumerate(names) if series in kept]
    before = rows_of({names[at]: kept[names[at]] for at in old})
    both = Rollups()
    both.extend(rows)
    both.extend(before)
    groups = np.concatenate([groups, np.array(old, dtype=np.int64)])
    added = sums(both, groups, len(names), failed=False)
    hists: Iterator[bytes] = (
        hist for _, merged in in_blocks(both.hist, groups, len(names)) for hist in encoded(merged)
    )
    return {
        series: Total(seen_s, events, sum_ns, nbytes, hist if len(hist) > 1 else b"")
        for series, hist, seen_s, events, sum_ns, nbytes in zip(
            names, hists, seen.tolist(), added.count.tolist(), added.sum_ns.tolist(), added.nbytes.tolist(), strict=True
        )
    }


def _summed(kept: Mapping[Series, Total], more: Mapping[Series, Total]) -> dict[Series, Total]:
    """The new totals of every series that `more` has."""
    return _added(kept, rows_of(more)) if kept else dict(more)


def _itself(series: Series) -> Series:
    return series


def _append(rows: Rollups, series: Series, total: Total) -> None:
    rows.ts.append(total.seen_s)
    rows.series.append(series)
    rows.count.append(total.events)
    rows.sum_ns.append(total.sum_ns)
    rows.min_ns.append(0)
    rows.max_ns.append(0)
    rows.nbytes.append(total.nbytes)
    rows.hist.append(total.hist)
