"""What a rule would have done: the same looks at recorded history, through the same steps.

A look at a moment sees what a live one saw, as long as the store keeps that time as finely as the look cuts it: two
days exactly, then in minutes, after two weeks in hours (docs/store.md). Windows of more than `MOST_LOOKS` looks are
looked at less often.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pitstop.model import Rollups, Samples, SettingError, Window
from pitstop.model.watching import FIRING, Replay
from pitstop.watch.budgets import Burning, history
from pitstop.watch.burn import burns
from pitstop.watch.conditions import KINDS
from pitstop.watch.evaluator import closest
from pitstop.watch.gauges import Recalled
from pitstop.watch.incidents import Looked, Open, follow
from pitstop.watch.sight import COARSE_GRID_S, GRID_S, Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from pitstop.model import Store
    from pitstop.model.watching import Incident
    from pitstop.watch.objectives import Objective
    from pitstop.watch.rules import Rule

MOST_LOOKS = 3000  # a day of one each half minute
MOST_POINTS = 720  # of the chart
CHUNK_S = 1800  # what is read at once: one read serves the windows of many looks
OF_THE_MACHINE = ("disk", "log", "heartbeat")  # kinds that look at gauges of the machine that watches
_NO_HISTORY = ("component",)


def replay(
    rule: Rule,
    window: Window,
    store: Store,
    *,
    objectives: Sequence[Objective] = (),
    most_looks: int = MOST_LOOKS,
) -> Replay:
    """The incidents that `rule` would have had in `window`; what is open at its end is still firing.

    Raises SettingError for a kind whose past is not kept or a window without a look, StoreError.
    """
    if rule.kind in _NO_HISTORY:
        raise SettingError(f"what rules of kind {rule.kind} look at is not recorded; there is nothing to test them on")
    step_s = rule.every_s * max(1, -(-window.duration_s // (rule.every_s * most_looks)))
    moments = range(-(-window.start_s // step_s) * step_s, window.end_s, step_s)
    if not moments:
        raise SettingError(f"the window is shorter than {step_s} s, the time between two looks")
    warm_up = range(max(0, moments[0] - _steps(rule.for_s + rule.keep_s, step_s)), moments[0], step_s)
    seen = Window(warm_up[0] if warm_up else moments[0], moments[-1] + 1)
    recalled = Recalled(store, seen).at if rule.kind in OF_THE_MACHINE else lambda _: {}
    sights = _Sights(store, recalled, _burning(rule, store, objectives, seen))
    opened: dict[str, Open] = {}
    ended: list[Incident] = []
    values: list[tuple[int, float | None]] = []
    limit, unit = rule.limit, ""
    for at_s in (*warm_up, *moments):
        look = Looked(rule, at_s, KINDS[rule.kind].read(rule, sights.at(at_s)))
        followed = follow(opened, [look])
        opened = followed.open
        ended += followed.ended
        if at_s >= moments[0]:
            value, at_limit, at_unit = closest(rule, look)
            values.append((at_s, value))
            limit, unit = limit if at_limit is None else at_limit, at_unit or unit
    firing = [one.incident for one in opened.values() if one.incident.state == FIRING]
    found = [one for one in (*ended, *firing) if one.ended_s is None or one.ended_s >= window.start_s]
    found.sort(key=lambda one: (one.began_s, one.key))
    return Replay(
        rule.name, window, step_s, len(moments),
        [one._replace(id=number) for number, one in enumerate(found, 1)],
        thinned(values, low=rule.below is not None), limit, unit,
    )  # fmt: skip


def _burning(
    rule: Rule, store: Store, objectives: Sequence[Objective], window: Window
) -> Callable[[int], list[Burning]]:
    """Burn rates at any moment of `window`, from one read of three days and what follows."""
    if rule.kind != "burn_rate":
        return lambda _: []
    step_s = COARSE_GRID_S if rule.every_s % COARSE_GRID_S == 0 else GRID_S
    courses = history(store, objectives, window, step_s)

    def at(at_s: int) -> list[Burning]:
        return [
            Burning(one.scope.objective, dict(one.scope.labels), burns(one.read, one.scope.objective, at_s))
            for one in courses
        ]

    return at


def thinned(values: list[tuple[int, float | None]], *, low: bool = False) -> list[tuple[int, float | None]]:
    """At most `MOST_POINTS` of `values`, the largest (or lowest) of those that stand for one another."""
    number = -(-len(values) // MOST_POINTS)
    if number <= 1:
        return values
    out = []
    for first in range(0, len(values), number):
        some = values[first : first + number]
        known = [value for _, value in some if value is not None]
        out.append((some[0][0], (min(known) if low else max(known)) if known else None))
    return out


def _steps(length_s: int, step_s: int) -> int:
    return -(-length_s // step_s) * step_s


class _Sights:
    """Sights of many moments over one store, which is read in pieces."""

    def __init__(
        self, store: Store, recalled: Callable[[int], Mapping[str, float]], burning: Callable[[int], list[Burning]]
    ) -> None:
        self._store = store
        self._burning = burning
        self._recalled = recalled
        self._kept: dict[Hashable, object] = {}
        self._chunks: dict[Hashable, dict[int, Rollups]] = {}
        self._samples: dict[Hashable, dict[int, Samples]] = {}

    def at(self, at_s: int) -> Sight:
        return _Past(self, self._store, at_s, self._burning, self._recalled, self._kept)

    def rows(self, window: Window, kind: str | None, service: str | None, read: Callable[[Window], Rollups]) -> Rollups:
        """Rows of `window` out of pieces that were read in steps of the grid."""
        chunks = self._chunks.setdefault((kind, service), {})
        out = Rollups()
        first = window.start_s // CHUNK_S
        for old in [number for number in chunks if number < first]:  # looks go forward
            del chunks[old]
        for number in range(first, -(-window.end_s // CHUNK_S)):
            if number not in chunks:
                rows = read(Window(number * CHUNK_S, (number + 1) * CHUNK_S))
                chunks[number] = rows.chosen(sorted(range(len(rows)), key=rows.ts.__getitem__))
            rows = chunks[number]
            first_row, last_row = bisect_left(rows.ts, window.start_s), bisect_left(rows.ts, window.end_s)
            out.extend(rows.chosen(range(first_row, last_row)))
        return out

    def samples(self, window: Window, names: tuple[str, ...], step_s: int) -> Samples:
        """Gauges of `window`, whose ends are whole steps, out of pieces that were read."""
        chunks = self._samples.setdefault((names, step_s), {})
        out = Samples()
        first = window.start_s // CHUNK_S
        for old in [number for number in chunks if number < first]:
            del chunks[old]
        for number in range(first, -(-window.end_s // CHUNK_S)):
            if number not in chunks:
                piece = Window(number * CHUNK_S, (number + 1) * CHUNK_S)
                chunks[number] = self._store.samples(piece, names=names, step_s=step_s)
            seen = chunks[number]
            first_row, last_row = bisect_left(seen.ts, window.start_s), bisect_left(seen.ts, window.end_s)
            out.extend(seen.chosen(range(first_row, last_row)))
        return out


class _Past(Sight):
    """A moment that has passed."""

    def __init__(
        self,
        sights: _Sights,
        store: Store,
        at_s: int,
        burning: Callable[[int], list[Burning]],
        recalled: Callable[[int], Mapping[str, float]],
        kept: dict[Hashable, object],
    ) -> None:
        super().__init__(store, at_s, gauges=recalled, burning=burning, kept=kept)
        self._sights = sights

    def rollups(
        self,
        window: Window,
        *,
        kind: str | None,
        service: str | None = None,
        step_s: int | None = None,
        hist: bool = True,
    ) -> Rollups:
        """Rows of one kind; short windows of the last look and this one are cut out of one read."""
        if step_s is not None or window.duration_s > CHUNK_S or window.start_s % GRID_S:
            return super().rollups(window, kind=kind, service=service, step_s=step_s, hist=hist)
        ask = super().rollups
        return self.once(
            ("rollups", window, kind, service, step_s, hist),
            lambda: self._sights.rows(
                window, kind, service, lambda piece: ask(piece, kind=kind, service=service, step_s=GRID_S)
            ),
        )

    def samples(self, window: Window, names: tuple[str, ...], step_s: int) -> Samples:
        """Gauges of every worker, likewise."""
        if CHUNK_S % step_s or window.start_s % step_s or window.end_s % step_s:
            return super().samples(window, names, step_s)
        return self.once(("samples", window, names, step_s), lambda: self._sights.samples(window, names, step_s))
