"""What PostgreSQL would do with indexes that it does not have, by HypoPG (https://hypopg.readthedocs.io).

Statements are planned, never run: EXPLAIN of a prepared statement with a generic plan, because a pattern has no values.
What stands after LIMIT is what a call returned on average, and a range is as wide as the rows that came back.
"""

from __future__ import annotations

import json
import math
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice import reading as kinds
from pitstop.tune.database.advice.planner import Planned
from pitstop.tune.database.advice.shape import Key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy.engine import Connection

    from pitstop.tune.database.advice.reading import Condition, Reading
    from pitstop.tune.database.advice.shape import Catalog, Index, Table

RANDOM_PAGE = 4.0  # random_page_cost as it is by default: runtime-config-query in PostgreSQL's manual
_CPU_TUPLE, _CPU_OPERATOR = 0.01, 0.0025  # the same page
_PAGE_BYTES = 8192
_TEXTS = ("text", "character varying", "character", "citext", "name")
_REASONS = {  # errcodes-appendix in the manual
    "42P01": "a table is not in this database",
    "42703": "a column is not in this database",
    "42P18": "it leaves open of which type a parameter is",
    "42883": "a function or operator is not in this database",
    "42601": "it is no statement of this server's",
    "42501": "this user may not read what it reads",
    "57014": "planning it took too long",
}
_NO_HYPOPG = (
    "indexes cannot be tried: HypoPG is not on this server. Debian: apt-get install postgresql-15-hypopg; "
    "managed servers: CREATE EXTENSION hypopg as an administrator"
)


class Hypothetical:
    """A `Planner`. Lives as long as the transaction that `opened` has begun."""

    dialect = "postgresql"
    includes = True
    write_cost = RANDOM_PAGE  # a leaf read and written, as PostgreSQL reckons a page; 0.7 in memory: bench/advice.py
    row_scale = 1000.0  # some 10 pages, read in 0.1 ms
    worth_longer = 10 * RANDOM_PAGE  # pages of 0.1 ms each where they have to be fetched from a disk

    def __init__(self, connection: Connection, catalog: Catalog, schema: str) -> None:
        self.connection = connection
        self.catalog = catalog
        self._create = f"{schema}.hypopg_create_index"
        self._reset = f"SELECT {schema}.hypopg_reset()"
        self._size = f"{schema}.hypopg_relation_size"
        self._sizes: dict[Index, int] = {}
        self._refused: set[Index] = set()
        self.in_use: set[str] = set()  # existing indexes in plans of statements as things are

    def plan(self, reading: Reading, rows: float | None, indexes: Iterable[Index]) -> Planned:
        """See `Planner.plan`. An index that PostgreSQL refuses is one that is never used."""
        known = self._known(reading, rows)
        free = [number for number in range(1, len(reading.template.types) + 1) if number not in known]
        text = reading.template.render(lambda number: known.get(number) or f"${free.index(number) + 1}")
        with self._let_go():
            run(self.connection, self._reset)
            names = {made[1]: index for index in indexes if (made := self._made(index)) is not None}
            root = self._explained(reading, text, len(free))
        seen = set(_index_names(root))
        if not names:
            self.in_use |= seen
        used = frozenset(names[name] for name in seen if name in names)
        return Planned(float(root["Total Cost"]), used)

    def _explained(self, reading: Reading, text: str, parameters: int) -> dict[str, Any]:
        arguments = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        try:
            with self.connection.begin_nested():
                run(self.connection, f"PREPARE pitstop_advice AS {text}")
                plan = run(self.connection, f"EXPLAIN (FORMAT JSON) EXECUTE pitstop_advice{arguments}").scalar()
                run(self.connection, "DEALLOCATE pitstop_advice")
        except DBAPIError as error:
            run(self.connection, "DEALLOCATE ALL")
            code = getattr(error.orig, "sqlstate", "") or getattr(error.orig, "pgcode", "")  # its text may quote
            reason = _REASONS.get(code, f"error {code}")
            raise SettingError(f"'{reading.text[:60]}' cannot be planned: {reason}") from error
        root: dict[str, Any] = (json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]
        return root

    @contextmanager
    def _let_go(self) -> Iterator[None]:
        """Rolls back what is done within, so that its locks on tables go at once: who alters one need not wait."""
        point = self.connection.begin_nested()
        try:
            yield
        finally:
            point.rollback()

    def _made(self, index: Index) -> tuple[int, str] | None:
        if index in self._refused:
            return None
        table = self.catalog.tables[index.table]
        try:
            with self.connection.begin_nested():
                text = f"CREATE INDEX ON {table.sql} {index.definition}".replace("'", "''")
                made = run(self.connection, f"SELECT indexrelid, indexname FROM {self._create}('{text}')").one()
                if index not in self._sizes:
                    self._sizes[index] = int(run(self.connection, f"SELECT {self._size}({made[0]}::oid)").scalar_one())
        except DBAPIError:  # an expression that is not immutable, an operator class that is not there
            self._refused.add(index)
            return None
        return int(made[0]), str(made[1])

    def _known(self, reading: Reading, rows: float | None) -> dict[int, str]:
        """What stands for parameters that a generic plan would guess worse."""
        known = dict.fromkeys(reading.offsets, "0")
        known |= {number: str(round(reading.limit(rows))) for number in reading.limits}
        return known | self._borders(reading, rows)

    def _borders(self, reading: Reading, rows: float | None) -> dict[int, str]:
        """Values for the borders of a range, so that about as many rows lie within as a call returned.

        Otherwise PostgreSQL assumes a third of the table.
        """
        ranges = [each for each in reading.conditions if each.kind == kinds.RANGE and each.parameters and each.column]
        if rows is None or reading.limited or reading.folds or len(reading.sources) != 1 or len(ranges) != 1:
            return {}
        condition = ranges[0]
        table = self.catalog.tables[condition.table]
        for each in reading.conditions:
            if each.kind == kinds.EQUAL and each.column and not each.group:
                rows *= max(table.columns[each.column].distinct, 1.0)
        ratio = min(1.0, rows / max(table.rows, 1.0))
        bounds = self._histogram(condition)
        if not bounds:
            return {}
        place = ratio if condition.upper else 1.0 - ratio
        border = bounds[min(len(bounds) - 1, max(0, round(place * (len(bounds) - 1))))]
        if len(condition.parameters) == 1:
            return {condition.parameters[0]: literal(border)}
        return {condition.parameters[0]: literal(border), condition.parameters[-1]: literal(bounds[-1])}

    def _histogram(self, condition: Condition) -> list[str]:
        table = self.catalog.tables[condition.table]
        text = (
            "SELECT histogram_bounds::text::text[] FROM pg_stats s JOIN pg_class c ON c.relname = s.tablename "
            "JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname "
            f"WHERE c.oid = {literal(table.sql)}::regclass AND s.attname = {literal(condition.column)}"
        )
        return list(run(self.connection, text).scalar() or ())

    def nbytes(self, index: Index) -> int:
        """See `Planner.nbytes`."""
        if index not in self._sizes:
            with self._let_go():
                run(self.connection, self._reset)
                self._made(index)
        return self._sizes.get(index, 0)

    def build_cost(self, index: Index) -> float:
        """The table is read, its rows sorted, the index written: cost_sort in PostgreSQL's costsize.c."""
        rows = max(self.catalog.tables[index.table].rows, 2.0)
        sorting = 2 * _CPU_OPERATOR * rows * math.log2(rows)
        return self.scan_cost(index.table) + sorting + self.nbytes(index) / _PAGE_BYTES

    def scan_cost(self, table: str) -> float:
        """See `Planner.scan_cost`."""
        known = self.catalog.tables[table]
        return known.nbytes / _PAGE_BYTES + known.rows * (_CPU_TUPLE + _CPU_OPERATOR)

    def distinct(self, table: str, column: str) -> float:
        """See `Planner.distinct`."""
        return self.catalog.tables[table].columns[column].distinct or math.inf

    def prefix_key(self, condition: Condition) -> Key | None:
        """The operator class that LIKE needs wherever the collation is not C: indexes-opclass in the manual."""
        column = self.catalog.tables[condition.table].columns.get(condition.column)
        if column is not None and column.type.split("(")[0] in _TEXTS:
            name = "varchar_pattern_ops" if column.type.startswith("character varying") else "text_pattern_ops"
            return Key(condition.text, condition.column, "" if column.collation == "C" else name)
        return Key(condition.text, condition.column, "text_pattern_ops")

    def create_sql(self, index: Index, name: str) -> str:
        """CONCURRENTLY: writers are not held up; it cannot be done of a partitioned table."""
        table = self.catalog.tables[index.table]
        how = "" if table.partitioned else "CONCURRENTLY "
        return f"CREATE INDEX {how}IF NOT EXISTS {name} ON {table.sql} {index.definition}"

    def drop_sql(self, name: str, table: str) -> str:
        """See `Planner.drop_sql`."""
        known = self.catalog.tables[table]
        how = "" if known.partitioned else "CONCURRENTLY "
        return f"DROP INDEX {how}IF EXISTS {qualified(known, name)}"


def qualified(table: Table, index: str) -> str:
    """The name of an index with its schema where that must be said: an index is in the schema of its table."""
    schema = table.sql.rpartition(".")[0]
    return f"{schema}.{index}" if schema else index


@contextmanager
def opened(connection: Connection, timeout_ms: int) -> Iterator[str]:
    """A transaction in which nothing can be written; the schema of HypoPG, or an empty text where it cannot be had.

    Where the extension is on the server but not in the database it is created here, and gone with the rollback.
    What it holds outlives a rollback, so the connection is not given back to its pool.
    """
    schema = ""
    try:
        run(connection, "SET LOCAL standard_conforming_strings = on")
        run(connection, f"SET LOCAL statement_timeout = {timeout_ms}")
        run(connection, f"SET LOCAL lock_timeout = {min(timeout_ms, 2000)}")
        schema = _schema(connection)
        if not schema:
            try:
                with connection.begin_nested():
                    run(connection, "CREATE EXTENSION hypopg")
                    schema = _schema(connection)
            except DBAPIError:  # not on the server, or not ours to create: indexes are not tried then
                schema = ""
        run(connection, "SET TRANSACTION READ ONLY")
        run(connection, "SET LOCAL plan_cache_mode = force_generic_plan")
        run(connection, "SET LOCAL max_parallel_workers_per_gather = 0")  # costs of one worker compare
        run(connection, "SET LOCAL jit = off")
        yield schema
    finally:
        with suppress(DBAPIError):  # behind a pooler the server's side lives on
            run(connection, f"SELECT {schema}.hypopg_reset()" if schema else "SELECT 1")
        connection.rollback()
        connection.invalidate()


def no_hypopg() -> str:
    """What to do where there is none."""
    return _NO_HYPOPG


def _schema(connection: Connection) -> str:
    found = run(
        connection,
        "SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'hypopg'",
    ).scalar()
    return str(found or "")


def run(connection: Connection, text: str) -> Any:
    """`text` as it is: a per cent sign is one."""
    return connection.execution_options(no_parameters=True).exec_driver_sql(text)


def literal(text: str) -> str:
    """As a string of SQL, where standard_conforming_strings is on."""
    return "'" + text.replace("'", "''") + "'"


def _index_names(node: dict[str, Any]) -> Iterator[str]:
    if "Index Name" in node:
        yield node["Index Name"]
    for each in node.get("Plans", ()):
        yield from _index_names(each)
