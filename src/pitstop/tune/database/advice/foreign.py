"""Foreign keys without an index: whoever deletes a parent reads all of its children's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.shape import Index, Key
from pitstop.tune.database.advice.weigh import WORTH, Weighed, write_cost

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pitstop.tune.database.advice.planner import Planner
    from pitstop.tune.database.advice.shape import ForeignKey
    from pitstop.tune.database.advice.weigh import Statement


def uncovered(planner: Planner, suggested: Collection[Index]) -> Iterator[tuple[ForeignKey, Index]]:
    """Foreign keys whose columns no index begins with, with the index that they lack."""
    catalog = planner.catalog
    for foreign in catalog.foreign_keys:
        table = catalog.tables[foreign.table]
        if table.rows < planner.row_scale:
            continue
        existing = [each.index for each in catalog.of(foreign.table) if each.valid and each.method == "btree"]
        wanted = set(foreign.columns)
        if any({key.column for key in index.keys[: len(wanted)]} == wanted and not index.where
               for index in (*existing, *suggested)):  # fmt: skip
            continue
        keys = tuple(Key(table.columns[name].sql, name) for name in foreign.columns)
        yield foreign, Index(foreign.table, keys)


def weigh_foreign(
    planner: Planner, statements: Sequence[Statement], foreign: ForeignKey, index: Index
) -> tuple[Weighed, float]:
    """What the index is worth, and how many deletes of parents that is reckoned with: recorded ones, else counted."""
    deleting = tuple(
        each for each in statements if each.reading.kind == kinds.DELETE and each.reading.writes == foreign.parent
    )
    deletes = sum(max(each.work.calls, each.work.rows or 0.0) for each in deleting)
    if not deletes:
        deletes = float(planner.catalog.tables[foreign.parent].deleted)
    saved = deletes * planner.scan_cost(foreign.table)
    paid = write_cost(planner, statements, index)
    return Weighed(index, saved, paid, planner.build_cost(index), deleting), deletes


def refusal(weighed: Weighed, foreign: ForeignKey, deletes: float) -> str:
    """Why the index is not advised."""
    what = f"{foreign.table} {weighed.index.definition}, a foreign key to {foreign.parent}"
    if not deletes:
        return f"{what}: no row of {foreign.parent} is deleted, so an index would only cost"
    return f"{what}: what {deletes:,.0f} deletes would gain is not {WORTH:.0f} times what its writes would pay"
