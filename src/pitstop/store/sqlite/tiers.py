"""Which intervals are kept how long, and which of them answer a window.

A tier is complete from its floor (what is older was deleted) to its mark (what is newer was not folded yet). Marks and
floors never rise from a finer tier to a coarser one, a floor is a multiple of the next coarser step, and a floor never
passes the next mark: so at every moment from the coarsest floor on, some tier is complete, and tiers meet on borders
that both have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.window import Window

HOUR_S = 3600
DAY_S = 86_400
DEFAULT_RETENTION_S = 90 * DAY_S
FOREVER_S = 1 << 62
LAG_S = 6  # a flush comes 1 … 2 s after its interval; what is later costs a row a tier, what waits makes tails long


class Tier(NamedTuple):
    """A table of intervals of `step_s`, kept for `kept_s` (0: as long as retention says).

    `packed`: a row holds many series of its interval (`pitstop.store.sqlite.packs`).
    """

    name: str
    step_s: int
    kept_s: int
    key: str = "ts, series, worker, seq"
    packed: bool = False

    @property
    def rows_sql(self) -> str:
        """How many series × intervals some rows of the table hold."""
        return "ifnull(sum(n), 0)" if self.packed else "count(*)"

    def kept_from_s(self, now_s: int, retention_s: int) -> int:
        """The oldest moment worth keeping here."""
        if self.step_s == DAY_S and self.kept_s:
            return now_s - max(self.kept_s, retention_s)
        return now_s - (min(self.kept_s, retention_s) or retention_s)


ROLLUP_TIERS = (
    Tier("rollup_1", 1, HOUR_S, key="ts, worker, seq, series"),
    Tier("rollup_10", 10, 48 * HOUR_S, packed=True),
    Tier("rollup_60", 60, 14 * DAY_S, packed=True),
    Tier("rollup_300", 300, 14 * DAY_S, packed=True),
    Tier("rollup_3600", HOUR_S, 0, packed=True),
    Tier("rollup_86400", DAY_S, 730 * DAY_S, packed=True),
)
"""Seconds are led by their writer within a second, so that a flush goes into a few pages of its own: with the series
first, eight workers wrote 1.6 times the log and p50 of a flush was 1.9 times as long (bench/store.py).
300 s is there for the edges: without it a day's answer drags up to an hour of minutes along at each end."""

SAMPLE_TIERS = (
    Tier("sample_1", 1, HOUR_S, key="ts, gauge"),
    Tier("sample_10", 10, 48 * HOUR_S, key="ts, gauge"),
    Tier("sample_60", 60, 0, key="ts, gauge"),
)
PROFILE_TIERS = (
    Tier("profile_1", 1, 600, key="ts, source, worker, seq", packed=True),
    Tier("profile_60", 60, 24 * HOUR_S, key="ts, source, worker, seq", packed=True),
    Tier("profile_3600", HOUR_S, 14 * DAY_S, key="ts, source, worker, seq", packed=True),
    Tier("profile_86400", DAY_S, 0, key="ts, source, worker, seq", packed=True),
)
TIERS = {tier.name: tier for tier in (*ROLLUP_TIERS, *SAMPLE_TIERS, *PROFILE_TIERS)}
LISTS = ("event", "trace", "error", "report")
"""Tables of single rows that are never folded."""
KEYS = {
    **{name: tier.key for name, tier in TIERS.items()},
    **dict.fromkeys(LISTS, "ts, worker, seq, n"),
    "report": "ts, worker, kind, name",  # not its primary key, but unique and led by time as well
}
"""By what every table that grows is pruned: a unique index led by time."""


def fold_target_s(finer_mark_s: int, coarser: Tier, now_s: int) -> int:
    """Up to where `coarser` may be made of the next finer tier, which is complete up to `finer_mark_s`."""
    return min(finer_mark_s, now_s - LAG_S) // coarser.step_s * coarser.step_s


class Reach(NamedTuple):
    """What a tier holds at this moment: everything of ``[floor_s, mark_s)``."""

    tier: Tier
    floor_s: int
    mark_s: int


class Segment(NamedTuple):
    """Rows of `tier` with ``start_s <= ts < end_s``; both are multiples of its step."""

    tier: Tier
    start_s: int
    end_s: int


def plan(window: Window, step_s: int | None, reaches: Sequence[Reach]) -> list[Segment]:
    """Segments that hold everything in `window` once, as coarse as `step_s` allows, in time's order.

    `reaches` go from fine to coarse. Where only tiers are left that are too coarse, the finest of them is taken and the
    window widened to its intervals.
    """
    taken: list[Segment] = []
    left = [(window.start_s, window.end_s)] if window.start_s < window.end_s else []
    for reach in reversed(reaches):
        unit = reach.tier.step_s
        if step_s is None or step_s % unit == 0:
            left = _take(taken, left, reach, widen=False)
    for reach in reaches:
        left = _take(taken, left, reach, widen=True)
    return sorted(taken, key=lambda segment: segment.start_s)


def _take(taken: list[Segment], left: list[tuple[int, int]], reach: Reach, *, widen: bool) -> list[tuple[int, int]]:
    """Move what `reach` covers of `left` to `taken`; what remains."""
    unit = reach.tier.step_s
    rest: list[tuple[int, int]] = []
    for start, end in left:
        low, high = max(start, reach.floor_s), min(end, reach.mark_s)
        if low >= high:
            rest.append((start, end))
            continue
        outer = Segment(reach.tier, low // unit * unit, -(-high // unit) * unit)
        inner = Segment(reach.tier, -(-low // unit) * unit, high // unit * unit)
        segment = outer if widen else inner
        if segment.start_s >= segment.end_s:
            rest.append((start, end))
            continue
        taken.append(segment)
        if start < segment.start_s:
            rest.append((start, segment.start_s))
        if segment.end_s < end:
            rest.append((segment.end_s, end))
    return rest
