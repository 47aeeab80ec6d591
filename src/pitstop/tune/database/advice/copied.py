"""What SQLite would do with indexes that it does not have: they are made in a copy of its schema, without a row.

The copy holds the original's statistics where there are any; for what has none a sample is taken.
"""

from __future__ import annotations

import math
import sqlite3
from contextlib import contextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice.catalog_sqlite import copy_schema, quoted, read_catalog
from pitstop.tune.database.advice.planner import Planned
from pitstop.tune.database.advice.shape import Key
from pitstop.tune.database.advice.visits import Visits
from pitstop.tune.database.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection

    from pitstop.tune.database.advice.reading import Condition, Reading
    from pitstop.tune.database.advice.sample import Handler, Sample
    from pitstop.tune.database.advice.shape import Catalog, Index

_ENTRY_BYTES = 10  # head and rowid of an index's entry: fileformat2.html
_PREFIX = "pitstop_hypothetical_"


class Copied:
    """A `Planner`; its unit is a row read in order."""

    dialect = "sqlite"
    includes = False
    write_cost = 30.0  # rows: 7.4 µs to keep an index for a row written, 0.24 µs to read one in order: bench/advice.py
    row_scale = 1000.0
    worth_longer = 500.0  # 40 µs

    def __init__(self, raw: sqlite3.Connection, random: Random, timeout_s: float, back: Handler | None = None) -> None:
        self.catalog: Catalog
        self._samples: dict[str, Sample]
        self.catalog, self._samples = read_catalog(raw, random, timeout_s, back)
        self._copy = copy_schema(raw)
        self._statistics(raw)
        self._names = {each.name.strip('"'): each.index for each in self.catalog.indexes}

    @classmethod
    @contextmanager
    def of(cls, connection: Connection, timeout_s: float, random: Random | None = None) -> Iterator[Copied]:
        """Raises SettingError when sampling takes longer than `timeout_s`."""
        raw = connection.connection.driver_connection
        if not isinstance(raw, sqlite3.Connection):
            raise SettingError(f"advice on SQLite needs the driver of the standard library, not {type(raw).__name__}")
        clock = connection.info.get(CLOCK)
        random = random or Random(0)  # noqa: S311  a sample, no secret; the same each time
        try:
            planner = cls(raw, random, timeout_s, clock.look if clock is not None else None)
            try:
                yield planner
            finally:
                planner.close()
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise SettingError(f"the database cannot be read: {error}") from error
            raise SettingError(f"looking at the database took more than {timeout_s:g} s; give it longer") from error

    def close(self) -> None:
        """Forgets the copy."""
        self._copy.close()

    def _statistics(self, raw: sqlite3.Connection) -> None:
        """Those of the original; where it has none for an index, or of another time, ours."""
        self._copy.execute("DELETE FROM sqlite_stat1")
        rows: dict[tuple[str, str | None], str] = {}
        with suppress(sqlite3.OperationalError):  # it was never analyzed
            for table, index, stat in raw.execute("SELECT tbl, idx, stat FROM sqlite_stat1"):
                rows[table, index] = stat
        for table in self.catalog.tables.values():
            own = [each for each in self.catalog.of(table.name) if each.definition or each.unique]
            for each in own:
                if each.name != "INTEGER PRIMARY KEY" and (table.stale or (table.name, each.name) not in rows):
                    rows[table.name, each.name.strip('"')] = self._stat(each.index)
            if table.rows and not own:
                rows[table.name, None] = str(round(table.rows))
        self._copy.executemany(
            "INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", [(*key, stat) for key, stat in rows.items()]
        )

    def _stat(self, index: Index) -> str:
        """A row of sqlite_stat1: rows, then how many agree in the first key, the first two, and so on."""
        sample = self._samples[index.table]
        rows = sample.rows * (sample.ratio(index.where) if index.where else 1.0)
        numbers = [max(round(rows), 1)]
        for length in range(1, len(index.keys) + 1):
            texts = [key.text for key in index.keys[:length]]
            with suppress(sqlite3.OperationalError):  # a function of the host's
                numbers.append(max(1, math.ceil(rows * sample.alike(texts))))
        return " ".join(map(str, numbers))

    def plan(self, reading: Reading, rows: float | None, indexes: Iterable[Index]) -> Planned:
        """See `Planner.plan`. An index that SQLite refuses is one that is never used."""
        names = self._make(indexes)
        try:
            text = reading.template.render(lambda _: "?")
            values = (None,) * len(reading.template.types)
            steps = self._copy.execute(f"EXPLAIN QUERY PLAN {text}", values).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise SettingError(f"'{reading.text[:60]}' cannot be planned: {error}") from error
        finally:
            for name in names:
                self._copy.execute(f"DROP INDEX {name}")
        known = self._names | names
        visits = Visits(reading, self._samples, lambda _, name: known.get(name.strip('"')), rows)
        cost = visits.cost(steps)
        return Planned(cost, frozenset(names[name] for name in visits.used if name in names))

    def _make(self, indexes: Iterable[Index]) -> dict[str, Index]:
        names: dict[str, Index] = {}
        for number, index in enumerate(indexes):
            name = f"{_PREFIX}{number}"
            try:
                self._copy.execute(f"CREATE INDEX {name} ON {quoted(index.table)} {index.definition}")
                stat = self._stat(index)
            except sqlite3.OperationalError:  # a function that is not deterministic, a collation of the host's
                self._copy.execute(f"DROP INDEX IF EXISTS {name}")
                continue
            self._copy.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (index.table, name, stat))
            names[name] = index
        self._copy.execute("ANALYZE sqlite_schema")  # statistics are read again
        return names

    def nbytes(self, index: Index) -> int:
        """By the average widths of its columns, three quarters of each page filled."""
        table = self.catalog.tables[index.table]
        width = sum(table.columns[key.column].width if key.column else 16 for key in index.keys)
        sample = self._samples[index.table]
        rows = table.rows * (sample.ratio(index.where) if index.where else 1.0)
        return int(rows * (width + _ENTRY_BYTES) / 0.75)

    def build_cost(self, index: Index) -> float:
        """The table is read, its entries sorted and written."""
        rows = self.catalog.tables[index.table].rows
        return rows * (2.0 + 0.3 * math.log2(max(rows, 2.0)))

    def scan_cost(self, table: str) -> float:
        """See `Planner.scan_cost`."""
        return self.catalog.tables[table].rows

    def distinct(self, table: str, column: str) -> float:
        """In the sample: a value that is in none of 2,000 rows chooses few of all."""
        return float(len(set(self._samples[table].values(quoted(column)))))

    def prefix_key(self, condition: Condition) -> Key | None:
        """LIKE knows no case, so its index must not either: optoverview.html, "The LIKE Optimization"."""
        return Key(condition.text, condition.column, "COLLATE NOCASE")

    def create_sql(self, index: Index, name: str) -> str:
        """See `Planner.create_sql`."""
        return f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(index.table)} {index.definition}"

    def drop_sql(self, name: str, table: str) -> str:
        """See `Planner.drop_sql`."""
        del table  # names of indexes are the database's
        return f"DROP INDEX IF EXISTS {name}"
