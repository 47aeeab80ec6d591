"""The rows behind one page, read once and added up once, however many questions are asked of them.

Totals need a histogram for each series, courses one for each step and outcome; both are far fewer than the rows of
90 days. Adding histograms up is exact, so every answer is the one that the rows themselves would give.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, cast

import numpy as np

from pitstop.analyze.columns import merged_by_groups
from pitstop.analyze.routes import routes_of
from pitstop.analyze.stats import numbered, sums
from pitstop.model import Match, Rollups, Series
from pitstop.model.series import HTTP, PART
from pitstop.rollup.codec import VERSION

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pitstop.analyze.columns import GroupCounts, Ints
    from pitstop.analyze.routes import RouteRow
    from pitstop.model import Store, Window

    Key = tuple[int, Series]

WORTH_FOLDING = 1000  # rows: below, adding up costs more than it saves


class SharedRead:
    """The requests of one window, read at the finest step that its page wants; None for the whole at once."""

    def __init__(
        self, store: Store, window: Window, service: str | None, step_s: int | None, route: str | None = None
    ) -> None:
        self._store = store
        self._window = window
        self._service = service
        self._totals: Store | None = None
        self._rows = store.rollups(window, Match(service=service, kind=HTTP, name=route), step_s=step_s)

    def totals(self) -> Store:
        """For questions about the whole window: one row a series."""
        if self._totals is None:
            [rows] = folded(self._rows, [self._by_series()])
            self._totals = self._answering(rows)
        return self._totals

    def course(self) -> Store:
        """For questions about all of it over time: one row a step and outcome. `totals` comes with it."""
        by_series, by_step = folded(self._rows, [self._by_series(), self._by_step()])
        self._totals = self._answering(by_series)
        return self._answering(by_step)

    def _by_series(self) -> list[Key]:
        return [(0, series) for series in self._rows.series]

    def _by_step(self) -> list[Key]:
        rows = self._rows
        by_outcome = {s.outcome: Series("", "", HTTP, "", "", s.outcome) for s in set(rows.series)}
        return [(ts, by_outcome[s.outcome]) for ts, s in zip(rows.ts, rows.series, strict=True)]

    def routes(self, names: Collection[str] | None = None) -> Store:
        """For questions about routes over time: the rows of `names`, or all."""
        rows = self._rows
        if names is None:
            return self._answering(rows)
        wanted = set(names)
        return self._answering(rows.chosen(i for i, series in enumerate(rows.series) if series.name in wanted))

    def route_rows(self, *, parts: bool) -> list[RouteRow]:
        """Every route; with `parts`, where its time went."""
        spent = None
        if parts:
            spent = self._store.rollups(self._window, Match(service=self._service, kind=PART), hist=False)
        return routes_of(self.totals().rollups(self._window, Match(kind=HTTP)), self._window.duration_s, spent)

    def _answering(self, rows: Rollups) -> Store:
        return cast("Store", _Answering(self._store, rows))


class _Answering:
    """What analysis takes for the store: the rows at hand for requests, the store itself for anything else."""

    def __init__(self, store: Store, rows: Rollups) -> None:
        self._store = store
        self._rows = rows

    def rollups(self, window: Window, match: Match, *, step_s: int | None = None, hist: bool = True) -> Rollups:
        if match.kind == HTTP:
            return self._rows
        return self._store.rollups(window, match, step_s=step_s, hist=hist)


def folded(rows: Rollups, ways: Sequence[Sequence[Key]]) -> list[Rollups]:
    """`rows` added up by key, the time and series that each row becomes, in each of `ways`; decoded once for all.

    Few rows are left as they are.
    """
    if len(rows) < WORTH_FOLDING:
        return [rows for _ in ways]
    found = [numbered(keys) for keys in ways]
    merged = merged_by_groups(rows.hist, [(groups, len(names)) for names, groups in found])
    return [_added_up(rows, names, groups, counts) for (names, groups), counts in zip(found, merged, strict=True)]


def _added_up(rows: Rollups, names: list[Key], groups: Ints, merged: GroupCounts) -> Rollups:
    added = sums(rows, groups, len(names))
    out = Rollups()
    out.ts = [ts for ts, _ in names]
    out.series = [series for _, series in names]
    out.count = added.count.tolist()
    out.sum_ns = added.sum_ns.tolist()
    out.min_ns = added.min_ns.tolist()
    out.max_ns = added.max_ns.tolist()
    out.nbytes = added.nbytes.tolist()
    out.hist = encoded(merged)
    return out


def encoded(merged: GroupCounts) -> list[bytes]:
    """The bytes that `pitstop.rollup.codec.encode` writes for each group, all of them at once."""
    groups, columns = np.nonzero(merged.counts)
    steps = np.diff(columns, prepend=0)
    first = np.flatnonzero(np.diff(groups, prepend=-1))
    steps[first] = columns[first] + merged.first
    values = np.stack([steps, merged.counts[groups, columns]], axis=1).ravel()
    lengths = np.ones(len(values), dtype=np.int64)
    for bits in range(7, 63, 7):
        lengths += values >= 1 << bits
    ends = np.cumsum(lengths)
    data = np.empty(int(ends[-1]) if len(ends) else 0, dtype=np.uint8)
    starts = ends - lengths
    for byte in range(int(lengths.max(initial=1))):
        more = lengths > byte
        continued = np.where(lengths[more] > byte + 1, 0x80, 0)
        data[starts[more] + byte] = (values[more] >> (7 * byte) & 0x7F) | continued
    pairs = np.bincount(groups, minlength=len(merged.counts))
    cuts = np.append(0, ends)[2 * np.append(0, np.cumsum(pairs))].tolist()
    written, head = data.tobytes(), bytes((VERSION,))
    return [head + written[start:end] for start, end in pairwise(cuts)]
