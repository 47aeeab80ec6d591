"""Indexes that cost and give nothing: equal ones, ones that another begins with, ones that nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.tune.database.advice.answer import DROP, Suggestion, size_text, without_values

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from pitstop.tune.database.advice.planner import Planner
    from pitstop.tune.database.advice.shape import Existing, Table

MOST_LARGER = 4.0  # an index that is that much larger is read at more cost than the shorter one that it replaces
ENOUGH_SCANS = 100  # of a table, before an index of it that was never read is called unused
UNUSED_AFTER_S = 7 * 86_400.0  # of counting: what runs once a week has run by then
SMALL_INDEX_BYTES = 64 * 1024  # that costs nobody anything


def superfluous(planner: Planner) -> Iterator[Suggestion]:
    """Indexes whose work another one does."""
    gone: set[str] = set()
    for table in planner.catalog.tables.values():
        own = [each for each in planner.catalog.of(table.name) if each.valid]
        for each in own:
            better = next((other for other in own if other.name not in gone and _replaces(other, each)), None)
            if better is not None:
                gone.add(each.name)
                yield _drop(planner, table, each, _why(better, each))


def _replaces(other: Existing, each: Existing) -> bool:
    """Whether `each` may go because `other` stays."""
    if other.name == each.name or each.bound or other.method != each.method or other.index.where != each.index.where:
        return False
    if other.index.keys == each.index.keys and set(other.index.include) == set(each.index.include):
        ranks = [(one.bound, one.unique, one.scans or 0) for one in (other, each)]
        better = ranks[0] > ranks[1] if ranks[0] != ranks[1] else other.name < each.name
        return better and (not each.unique or (other.unique and other.nulls_once == each.nulls_once))
    return _begins(other, each) and (not each.nbytes or other.nbytes <= MOST_LARGER * each.nbytes)


def _begins(other: Existing, each: Existing) -> bool:
    """Whether `other` begins with `each`, which keeps nobody from writing a value twice."""
    if each.unique or each.method != "btree" or not other.index.begins_with(each.index):
        return False
    length = len(each.index.keys)
    return length == 1 or other.index.keys[:length] == each.index.keys  # directions matter as soon as there are two


def _why(better: Existing, each: Existing) -> str:
    if better.index.keys == each.index.keys:
        return f"{better.name} is the same index"
    return f"{better.name} {without_values(better.index.definition)} begins with it"


def unused(planner: Planner, used: Collection[str], counted_s: float, after_s: float) -> Iterator[Suggestion]:
    """Indexes that no statement has read in the `counted_s` seconds since counting began, while their table was read.

    `used` are names in plans of recorded statements. What a constraint or a foreign key needs is kept: deletes of
    parents look children up without a statement that says so.
    """
    if counted_s < after_s:
        return
    for table in planner.catalog.tables.values():
        if table.scans is None or table.scans < ENOUGH_SCANS:
            continue
        needed = [set(key.columns) for key in planner.catalog.foreign_keys if key.table == table.name]
        for each in planner.catalog.of(table.name):
            if each.scans or each.bound or each.unique or each.name in used or each.nbytes < SMALL_INDEX_BYTES:
                continue
            if any({key.column for key in each.index.keys[: len(columns)]} == columns for columns in needed):
                continue
            days = f"{counted_s / 86_400:.0f} days"
            why = f"nobody has read it in {days}, while {table.name} was read {table.scans:,} times"
            yield _drop(planner, table, each, why, "look at replicas first: each counts its own reads")


def _drop(planner: Planner, table: Table, each: Existing, why: str, cost: str = "") -> Suggestion:
    size = f"{size_text(each.nbytes)} less, and " if each.nbytes else ""
    return Suggestion(
        kind=DROP,
        table=table.name,
        reason=why,
        gain=f"{size}each write of {table.name} keeps one index less",
        cost=cost or ("a longer index has a little more to read" if "begins" in why else "nothing is slower to read"),
        sql=planner.drop_sql(each.name, table.name),
        undo=each.definition,
        index=each.index,
        name=each.name,
    )
