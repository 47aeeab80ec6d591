"""The indexes that make one statement cost half, or less.

A second key must halve the cost again, and so must columns beside the keys: each index is paid for by every write.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.tune.database.advice.candidates import covering, keys_of, partials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pitstop.tune.database.advice.candidates import Keys
    from pitstop.tune.database.advice.planner import Planned, Planner
    from pitstop.tune.database.advice.reading import Reading
    from pitstop.tune.database.advice.shape import Index

HALF = (
    0.5  # an index is worth it only if the plan costs half: estimates err by less than that where statistics are fresh
)
MOST_ROUNDS = 3  # indexes that one statement may ask for, one after the other: joins of more tables gain little
SMALLER = 0.5  # a partial index must be at most this large beside the whole one
AS_GOOD = 1.1  # … and cost at most this much more


class Asked:
    """A planner's answers for one statement, remembered."""

    def __init__(self, planner: Planner, reading: Reading, rows: float | None) -> None:
        self.planner = planner
        self.reading = reading
        self.rows = rows
        self._known: dict[frozenset[Index], Planned] = {}

    def plan(self, indexes: Iterable[Index]) -> Planned:
        """What it costs with `indexes`."""
        own = frozenset(each for each in indexes if each.table in self.reading.tables())
        known = self._known.get(own)
        if known is None:
            known = self._known[own] = self.planner.plan(self.reading, self.rows, sorted(own, key=str))
        return known

    def cost(self, *indexes: Index) -> float:
        """What it costs with `indexes`; infinite when one of them would not be used."""
        planned = self.plan(indexes)
        return planned.cost if planned.used >= set(indexes) else float("inf")


class _Option(NamedTuple):
    cost: float
    indexes: tuple[Index, ...]


def wanted(asked: Asked) -> tuple[Index, ...]:
    """The indexes that the statement gains by: none, one, or a few of several tables."""
    chosen: tuple[Index, ...] = ()
    base = asked.plan(()).cost
    for _ in range(MOST_ROUNDS):
        options = [
            option
            for alias, table in asked.reading.sources.items()
            if asked.planner.catalog.tables[table].rows >= asked.planner.row_scale
            if (option := _best(asked, alias, chosen, base)) is not None
        ]
        if not options:
            break
        best = min(options)
        chosen, base = (*chosen, *best.indexes), best.cost
    return chosen


def _best(asked: Asked, alias: str, chosen: tuple[Index, ...], base: float) -> _Option | None:
    """The best for one table beside what is chosen; None if nothing halves `base`."""
    keys = keys_of(asked.reading, alias, asked.planner)

    def least(candidates: Sequence[tuple[Index, ...]]) -> _Option:
        options = [_Option(asked.cost(*chosen, *each), each) for each in candidates if not set(each) & set(chosen)]
        return min(options, key=lambda option: option.cost, default=_Option(float("inf"), ()))

    singles = keys.singles()
    single = least([*((each,) for each in singles), *keys.either])
    best = single if single.cost <= base * HALF else None
    best = _longer(least, asked.planner, keys, single, best, base)
    bases = dict.fromkeys([*(best.indexes if best and len(best.indexes) == 1 else ()), *singles, *keys.ordered()])
    bases |= dict.fromkeys(keys.pairs())
    partial = least([(each,) for each in partials(asked.reading, alias, list(bases), asked.planner)])
    if partial.indexes and _worth(asked.planner, partial, best, base):
        best = partial
    start = best.indexes if best else single.indexes
    if len(start) == 1:
        whole = covering(asked.reading, alias, start[0], asked.planner)
        option = least([(whole,)] if whole else [])
        if _halves(asked.planner, option, best, base):
            best = option
    return best


def _longer(
    least: Callable[[Sequence[tuple[Index, ...]]], _Option],
    planner: Planner,
    keys: Keys,
    single: _Option,
    best: _Option | None,
    base: float,
) -> _Option | None:
    """`best`, or two keys, or three, as long as each halves again what the best shorter one costs."""
    pair = least([(each,) for each in keys.pairs()])
    if len(single.indexes) > 1:
        return best
    if not _halves(planner, pair, best or _Option(min(base, single.cost), ()), base):
        return best
    triple = least([(each,) for each in keys.longer(pair.indexes[0])])
    return triple if _halves(planner, triple, pair, base) else pair


def _halves(planner: Planner, longer: _Option, best: _Option | None, base: float) -> bool:
    """Whether a key or column more is worth it: it halves the cost again, and saves pages and not only a few rows."""
    before = base if best is None else min(base, best.cost)
    return longer.cost <= before * HALF and longer.cost <= before - planner.worth_longer


def _worth(planner: Planner, partial: _Option, best: _Option | None, base: float) -> bool:
    if best is None:
        return partial.cost <= base * HALF
    size = sum(planner.nbytes(each) for each in best.indexes)
    good = max(best.cost * AS_GOOD, best.cost + planner.worth_longer)  # as good, or a few pages more
    return partial.cost <= min(good, base * HALF) and planner.nbytes(partial.indexes[0]) <= size * SMALLER
