"""Indexes that one statement could use, before anybody has asked what they are worth."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, NamedTuple

from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.reading import common
from pitstop.tune.database.advice.shape import Index, Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pitstop.tune.database.advice.planner import Planner
    from pitstop.tune.database.advice.reading import Condition, Reading

MOST_KEYS = 6  # of one table in one statement: 30 pairs, 40 ms
MOST_BESIDE = 4  # columns beside the keys: more is a copy of the table
WIDEST_BESIDE_BYTES = 64
_LOOKED_UP = frozenset({kinds.EQUAL, kinds.NULL, kinds.FLAG})
_CHOSEN = frozenset({kinds.EQUAL, kinds.NULL, kinds.NOT_NULL, kinds.FLAG})
FEW_VALUES = 10  # of a column, so that one of them may choose an index's rows: a state, a kind; not a customer


class Keys(NamedTuple):
    """What one table could be looked up by in one statement: by value, by range, in order; and ORs, arm by arm."""

    table: str
    equal: tuple[Key, ...]
    ranges: tuple[Key, ...]
    orders: tuple[tuple[Key, ...], ...]
    either: tuple[tuple[Index, ...], ...]

    def singles(self) -> list[Index]:
        """One key each; an order where nothing is equal.

        Whoever follows an order until a filter lets enough through reads all of it in no order where too few match.
        """
        wanted = [(key,) for key in (*self.equal, *self.ranges)]
        return _indexes(self.table, wanted if self.equal else [*wanted, *self.orders])

    def ordered(self) -> list[Index]:
        """The orders alone, for an index of only the rows that match."""
        return _indexes(self.table, self.orders)

    def pairs(self) -> list[Index]:
        """What is equal first: behind a range or an order nothing more is looked up."""
        wanted: list[tuple[Key, ...]] = [*permutations(self.equal, 2)]
        for first in self.equal:
            wanted += [(first, key) for key in self.ranges]
            wanted += [(first, *order) for order in self.orders]
        return _indexes(self.table, wanted)

    def longer(self, index: Index) -> list[Index]:
        """`index` and one more key, where all that it has are equal."""
        if not set(index.keys) <= set(self.equal):
            return []
        more = [(key,) for key in (*self.equal, *self.ranges)] + list(self.orders)
        return _indexes(self.table, [(*index.keys, *keys) for keys in more])


def _indexes(table: str, wanted: Sequence[tuple[Key, ...]]) -> list[Index]:
    found = dict.fromkeys(Index(table, keys) for keys in wanted if len({key.text for key in keys}) == len(keys))
    return list(found)


def keys_of(reading: Reading, alias: str, planner: Planner) -> Keys:
    """What `alias` could be looked up by; what is unique by itself has its index, and nothing behind it is needed."""
    table = reading.sources[alias]
    unique = {
        each.index.keys[0].column
        for each in planner.catalog.of(table)
        if each.unique and len(each.index.keys) == 1 and not each.index.where
    }
    own = [
        each for each in reading.conditions if each.alias == alias and (not each.column or each.column not in unique)
    ]
    alone = [each for each in own if not each.group]
    equal = _keys(each for each in alone if each.kind in _LOOKED_UP)
    ranges = _keys(each for each in alone if each.kind == kinds.RANGE)
    ranges += tuple(_prefix(each, planner) for each in alone if each.kind == kinds.PREFIX)
    groups = {each.group for each in own if each.group}
    return Keys(
        table=table,
        equal=equal[:MOST_KEYS],
        ranges=tuple(key for key in ranges if key not in equal)[:MOST_KEYS],
        orders=tuple(keys for keys in _orders(reading, alias) if keys[0].column not in unique),
        either=tuple(found for group in sorted(groups) if (found := _either(reading, alias, group))),
    )


def _keys(conditions: Iterable[Condition]) -> tuple[Key, ...]:
    return tuple(dict.fromkeys(Key(each.text, each.column) for each in conditions))


def _prefix(condition: Condition, planner: Planner) -> Key:
    return planner.prefix_key(condition) or Key(condition.text, condition.column)


def _orders(reading: Reading, alias: str) -> tuple[tuple[Key, ...], ...]:
    """The whole order, and where it is longer its first key. Where all descend an index is read backwards."""
    own = []
    for order in reading.orders:
        if order.alias != alias:
            break
        own.append(order)
    if not own:
        return ()
    mixed = len({order.descending for order in own}) > 1
    keys = tuple(Key(each.text, each.column, "DESC" if each.descending and mixed else "") for each in own)
    return (keys,) if len(keys) == 1 else (keys[:1], keys)


def _either(reading: Reading, alias: str, group: int) -> tuple[Index, ...]:
    """An index for each arm; none when an arm cannot be looked up, for then the table is read anyway."""
    arms: dict[int, list[Condition]] = {}
    members = [each for each in reading.conditions if each.group == group]
    for each in members:
        arms.setdefault(each.arm, []).append(each)
    wanted = []
    for arm in range(1, max(arms) + 1):
        usable = [each for each in arms.get(arm, ()) if each.alias == alias and each.kind in _LOOKED_UP | {kinds.RANGE}]
        if not usable:
            return ()
        wanted.append((Key(usable[0].text, usable[0].column),))
    return tuple(_indexes(reading.sources[alias], wanted))


def partials(reading: Reading, alias: str, bases: Sequence[Index], planner: Planner) -> list[Index]:
    """`bases` of only the rows that a condition of the statement itself leaves."""
    found: dict[Index, None] = {}
    for each in reading.conditions:
        if each.alias != alias or each.group or each.joined or not each.sql or each.kind not in _CHOSEN:
            continue
        if each.kind == kinds.EQUAL and not (each.column and planner.distinct(each.table, each.column) <= FEW_VALUES):
            continue
        rests = dict.fromkeys(tuple(key for key in base.keys if key.text != each.text) for base in bases)
        for keys in [rest for rest in rests if rest] or [(Key(each.text, each.column),)]:
            found[Index(each.table, keys, where=each.sql)] = None
    return list(found)


def covering(reading: Reading, alias: str, base: Index, planner: Planner) -> Index | None:
    """`base` with all that the statement reads of the table, so that the table itself is left alone."""
    used = reading.uses.get(alias)
    table = planner.catalog.tables[base.table]
    if used is None:
        return None
    if reading.kind != kinds.SELECT or any(not key.column for key in base.keys):
        return None
    beside = sorted(used - {key.column for key in base.keys} - table.held, key=list(table.columns).index)
    if not beside or len(beside) > MOST_BESIDE or common(table, set(beside)) > WIDEST_BESIDE_BYTES:
        return None
    names = tuple(table.columns[name].sql for name in beside)
    if planner.includes:
        return Index(base.table, base.keys, names, base.where)
    keys = tuple(Key(sql, name) for sql, name in zip(names, beside, strict=True))
    return Index(base.table, (*base.keys, *keys), (), base.where)
