"""What indexes gain all statements together, against what they cost all writes; and which of them are worth it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.search import HALF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.database.advice.planner import Planner
    from pitstop.tune.database.advice.reading import Reading
    from pitstop.tune.database.advice.search import Asked
    from pitstop.tune.database.advice.shape import Index
    from pitstop.tune.database.advice.workload import Workload

WORTH = 2.0  # times what writes pay: a gain must stand out of the error of both estimates


class Statement(NamedTuple):
    """A statement of the workload, read, with what the planner says of it."""

    work: Workload
    reading: Reading
    asked: Asked


@dataclass(frozen=True, slots=True)
class Weighed:
    """An index with its costs over the workload, in the planner's unit."""

    index: Index
    saved: float
    paid: float
    build: float
    statements: tuple[Statement, ...]

    @property
    def worth(self) -> bool:
        """Whether it gains more than it costs, its creation included."""
        return self.saved >= WORTH * self.paid and self.saved - self.paid >= self.build


def proposed(wants: Sequence[tuple[Statement, Sequence[Index]]]) -> dict[Index, list[Statement]]:
    """The indexes that single statements want, without those that another of them makes superfluous."""
    found: dict[Index, list[Statement]] = {}
    for statement, indexes in wants:
        for index in indexes:
            found.setdefault(index, []).append(statement)
    for index in sorted(found, key=lambda each: (len(each.keys), len(each.include))):
        for other in found:
            if other != index and _replaces(other, index, found[index]):
                found[other] += found.pop(index)
                break
    return found


def _replaces(other: Index, index: Index, statements: Sequence[Statement]) -> bool:
    if not other.begins_with(index):
        return False
    return all(each.asked.cost(other) <= each.asked.plan(()).cost * HALF for each in statements)


def weighed(
    planner: Planner, statements: Sequence[Statement], indexes: Sequence[Index]
) -> tuple[list[Weighed], list[Weighed]]:
    """Those worth having, and those not: each is judged by what is lost without it while the others are there."""
    kept = list(indexes)
    refused: list[Weighed] = []
    while True:
        looks = [_weigh(planner, statements, kept, index) for index in kept]
        poor = [look for look in looks if not look.worth]
        if not poor:
            return sorted(looks, key=lambda look: look.paid - look.saved), refused
        worst = min(poor, key=lambda look: look.saved - look.paid - look.build)
        refused.append(worst)
        kept.remove(worst.index)


def _weigh(planner: Planner, statements: Sequence[Statement], kept: Sequence[Index], index: Index) -> Weighed:
    others = [each for each in kept if each != index]
    saved, helped = 0.0, []
    for each in statements:
        if index.table in each.reading.tables():
            gain = each.asked.plan(others).cost - each.asked.plan(kept).cost
            if gain > 0:
                saved += gain * each.work.calls
                helped.append(each)
    paid = write_cost(planner, statements, index)
    return Weighed(index, saved, paid, planner.build_cost(index), tuple(helped))


def write_cost(planner: Planner, statements: Sequence[Statement], index: Index) -> float:
    """What all writes of the workload pay for `index`."""
    return planner.write_cost * sum(rows_written(planner, each, index) for each in statements)


def rows_written(planner: Planner, statement: Statement, index: Index) -> float:
    """Entries of indexes that `statement` has to write in all its calls because `index` is there."""
    reading, work = statement.reading, statement.work
    if reading.writes != index.table:
        return 0.0
    rows = max(work.calls * reading.rows_written, work.rows or 0.0)
    if reading.kind != kinds.UPDATE:
        return rows
    touched = {name.lower() for name in reading.sets}
    if not any(column in text.lower() for text in (*index.columns, index.where) for column in touched):
        return 0.0
    if planner.dialect != "postgresql":
        return rows * 2  # an entry goes, another comes
    return rows * (1 + len(planner.catalog.of(index.table)))  # no longer heap-only: every index gets a new entry
