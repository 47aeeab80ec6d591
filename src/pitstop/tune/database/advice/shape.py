"""What an advisor knows of a database: tables, indexes, foreign keys; and indexes that might be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Key(NamedTuple):
    """What an index is ordered by. `column` is empty for an expression; `suffix`: DESC, operator class, collation."""

    text: str
    column: str = ""
    suffix: str = ""

    @property
    def sql(self) -> str:
        """As it stands in CREATE INDEX."""
        return f"{self.text} {self.suffix}" if self.suffix else self.text

    def serves(self, other: Key) -> bool:
        """Whether what can be looked up by `other` can be by this: a direction does not matter, a class does."""
        same = (self.column or self.text).lower() == (other.column or other.text).lower()
        return same and _class(self.suffix) == _class(other.suffix)


def _class(suffix: str) -> str:
    return " ".join(word for word in suffix.lower().split() if word not in {"asc", "desc", "nulls", "first", "last"})


@dataclass(frozen=True, slots=True)
class Index:
    """An index of `table` (a name in the catalog), with `include` beside its keys, of the rows `where` is true."""

    table: str
    keys: tuple[Key, ...]
    include: tuple[str, ...] = ()
    where: str = ""

    @property
    def definition(self) -> str:
        """``(keys) INCLUDE (columns) WHERE condition``."""
        text = f"({', '.join(key.sql for key in self.keys)})"
        if self.include:
            text += f" INCLUDE ({', '.join(self.include)})"
        return f"{text} WHERE {self.where}" if self.where else text

    @property
    def columns(self) -> frozenset[str]:
        """Columns whose change changes the index; of expressions their text, which says enough to be careful."""
        return frozenset(key.column or key.text for key in self.keys) | frozenset(self.include)

    def begins_with(self, other: Index) -> bool:
        """Whether this one serves whatever `other` does: same rows, its keys first, all of its columns."""
        if self.table != other.table or self.where != other.where or len(self.keys) < len(other.keys):
            return False
        if not all(mine.serves(its) for mine, its in zip(self.keys, other.keys, strict=False)):
            return False
        held = {key.column for key in self.keys} | set(self.include)
        return set(other.include) <= held


@dataclass(frozen=True, slots=True)
class Existing:
    """An index that is there. `bound`: a constraint or something else rests on it, so it cannot go.

    `method` is btree wherever nothing else is said; `scans` None where nobody counts them. `nulls_once`: where it is
    unique, NULL is a value like any other. `building`: an index of its table is being built, and may be this one.
    """

    name: str
    index: Index
    unique: bool
    bound: bool
    nbytes: int
    scans: int | None
    definition: str
    method: str = "btree"
    valid: bool = True
    nulls_once: bool = False
    building: bool = False


class ForeignKey(NamedTuple):
    """Rows of `table` point by `columns` to rows of `parent`."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str


class Column(NamedTuple):
    """A column: the bytes a value takes on average, and how many different ones there are (0: not known)."""

    name: str
    type: str
    width: int = 8
    distinct: float = 0.0
    collation: str = ""  # C, whatever it is called, is C
    sql: str = ""  # its name, quoted where it must be


@dataclass(slots=True)
class Table:
    """A table under the name that statements call it by. `stale` says what is wrong with its statistics, if it is."""

    name: str
    rows: float
    nbytes: int
    columns: dict[str, Column]
    sql: str = ""  # its name, quoted where it must be
    schema: str = ""
    stale: str = ""
    dead: float = 0.0
    scans: int | None = None  # of the table and all its indexes
    partitioned: bool = False
    held: frozenset[str] = frozenset()  # columns that every index holds anyway
    deleted: int = 0  # rows, as the server has counted since its statistics were reset
    updated: int = 0


@dataclass(slots=True)
class Catalog:
    """Everything of one database that matters for its indexes."""

    tables: dict[str, Table] = field(default_factory=dict)
    indexes: list[Existing] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)

    def table(self, name: str) -> Table | None:
        """The table that a statement calls `name`: as it stands, else without regard to case."""
        if name in self.tables:
            return self.tables[name]
        lower = name.lower()
        return next(
            (each for key, each in self.tables.items() if lower in {key.lower(), f"{each.schema}.{key}".lower()}), None
        )

    def of(self, table: str) -> list[Existing]:
        """Indexes of `table`."""
        return [each for each in self.indexes if each.index.table == table]
