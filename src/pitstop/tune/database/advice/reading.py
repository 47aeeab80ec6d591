"""What a statement asks of its tables: which columns it compares, joins, sorts by and returns.

sqlglot reads both dialects into one tree; what it cannot read is not advised upon.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.errors import SettingError
from pitstop.record.statements import normalized
from pitstop.tune.database.advice.template import POSTGRESQL, Template, shortened

if TYPE_CHECKING:
    from pitstop.record.lexing import Dialect
    from pitstop.tune.database.advice.shape import Catalog, Table

ROWS_ASSUMED = 20.0  # after LIMIT where nobody counted: a page of a list
EQUAL, RANGE, PREFIX, NULL, NOT_NULL, FLAG, INVERTED = (
    "equal",
    "range",
    "prefix",
    "null",
    "not null",
    "flag",
    "inverted",
)
SELECT, INSERT, UPDATE, DELETE, OTHER = "select", "insert", "update", "delete", "other"


_OF_ROWS = re.compile(r"(?i)\W*(select|with|insert|update|delete|replace)\b")


class Condition(NamedTuple):
    """A condition on one table. `text` is what an index is ordered by; `column` is empty for an expression.

    `sql` is the condition where it has no parameter, so that a partial index may be of its rows. `arm` numbers the arms
    of an OR, of which each must be looked up; `group` the OR (0: none). `joined`: compared with another table's column.
    `parameters` are the numbers of those it has, `upper` says for a range that its border is above.
    """

    kind: str
    table: str
    alias: str
    text: str
    column: str
    sql: str = ""
    group: int = 0
    arm: int = 0
    joined: bool = False
    parameters: tuple[int, ...] = ()
    upper: bool = False


class Order(NamedTuple):
    """A column that rows are sorted or grouped by."""

    table: str
    alias: str
    text: str
    column: str
    descending: bool


@dataclass(slots=True)
class Reading:
    """A statement, read. `text` is its pattern, which may be shown anywhere.

    `uses` has the columns it touches of each alias, None for all of them; `writes` is the table it changes, and `sets`
    the columns an UPDATE sets. `limits` and `offsets` are numbers of parameters.
    """

    text: str
    template: Template
    kind: str = SELECT
    sources: dict[str, str] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    uses: dict[str, set[str] | None] = field(default_factory=dict)
    limits: tuple[int, ...] = ()
    offsets: tuple[int, ...] = ()
    limited: bool = False
    limit_rows: int | None = None  # where it stands in the statement
    folds: bool = False  # rows that come out say nothing of the rows that were read: aggregates, DISTINCT
    writes: str = ""
    sets: frozenset[str] = frozenset()
    rows_written: int = 1

    def limit(self, rows: float | None) -> float:
        """What stands after LIMIT, where a call returned `rows`: what is written there, else about as many.

        Without an order it is a page at least: the one row that came was all there was, and all was read.
        """
        if self.limit_rows is not None:
            return float(self.limit_rows)
        return max(rows or ROWS_ASSUMED, 1.0 if self.orders else ROWS_ASSUMED)

    def tables(self) -> set[str]:
        """Names in the catalog of everything it reads or writes."""
        return {*self.sources.values(), *([self.writes] if self.writes else [])}


def read(text: str, dialect: Dialect, catalog: Catalog) -> Reading:
    """Raises SettingError when it is no single statement that can be read."""
    template = Template.of(text, dialect)
    pattern = normalized(text, dialect)
    if not _OF_ROWS.match(pattern):
        return Reading(pattern, template, OTHER)
    tree = parsed(template, dialect)
    from pitstop.tune.database.advice.walk import Walk  # noqa: PLC0415  it needs sqlglot

    reading = Reading(pattern, template)
    Walk(reading, catalog, "postgres" if dialect is POSTGRESQL else "sqlite").run(tree)
    return reading


def parsed(template: Template, dialect: Dialect) -> object:
    """The tree of sqlglot, in which parameter 3 is a placeholder called ``p3``."""
    try:
        import sqlglot  # noqa: PLC0415  slow to import, and only advice needs it
        from sqlglot.errors import SqlglotError  # noqa: PLC0415
    except ImportError as error:
        raise SettingError(
            "advice reads statements with sqlglot, which is not installed: pip install sqlglot"
        ) from error
    text = template.render(lambda number: f":p{number}")
    shown = shortened(text, dialect)
    try:
        trees = sqlglot.parse(text, read="postgres" if dialect is POSTGRESQL else "sqlite")
    except (SqlglotError, RecursionError) as error:
        raise SettingError(f"'{shown}' cannot be read: sqlglot knows no such {dialect.name} statement") from error
    if len(trees) != 1 or trees[0] is None:
        raise SettingError(f"'{shown}' is not one statement; give one at a time")
    return trees[0]


def common(table: Table, columns: set[str]) -> int:
    """Bytes that `columns` of `table` take in a row."""
    return sum(table.columns[name].width for name in columns if name in table.columns)
