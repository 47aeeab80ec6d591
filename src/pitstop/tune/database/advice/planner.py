"""What an advisor asks of a database, whichever it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.tune.database.advice.reading import Condition, Reading
    from pitstop.tune.database.advice.shape import Catalog, Index, Key


class Planned(NamedTuple):
    """What a statement costs, in the planner's unit, and which of the indexes that might be it would use."""

    cost: float
    used: frozenset[Index]


class Planner(Protocol):
    """A database that says what a statement would cost if it had other indexes. Costs of one planner compare."""

    dialect: str
    catalog: Catalog
    includes: bool  # an index may hold columns beside its keys
    write_cost: float  # of keeping one index right when one row is written
    row_scale: float  # rows below which a table is read whole in no time
    worth_longer: float  # what a second key or a column beside the keys must save of one call, besides halving it

    def plan(self, reading: Reading, rows: float | None, indexes: Iterable[Index]) -> Planned:
        """`reading` with `indexes`; `rows` that a call returned, where known. Raises SettingError if it cannot."""
        ...

    def nbytes(self, index: Index) -> int:
        """How large it would be."""
        ...

    def build_cost(self, index: Index) -> float:
        """Of creating it."""
        ...

    def scan_cost(self, table: str) -> float:
        """Of reading all of `table`."""
        ...

    def distinct(self, table: str, column: str) -> float:
        """How many different values `column` has; infinite where nobody knows."""
        ...

    def prefix_key(self, condition: Condition) -> Key | None:
        """The key that LIKE with a beginning is looked up by; None where an ordinary one does."""
        ...

    def create_sql(self, index: Index, name: str) -> str:
        """The statement that creates it."""
        ...

    def drop_sql(self, name: str, table: str) -> str:
        """The statement that drops it."""
        ...
