"""One statement on one connection that is asked for its plan, in a read-only transaction under a deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ClauseElement, Executable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection


class Question(NamedTuple):
    """`run` runs the statement with a prefix in front and gives its rows; `text` is what the driver gets."""

    connection: Connection
    run: Callable[[str], Sequence[Sequence[Any]]]
    text: str
    pattern: str
    timeout_s: float


class Prefixed(Executable, ClauseElement):
    """`statement` with `prefix` in front, its parameters bound as ever: SQLAlchemy's recipe for EXPLAIN."""

    inherit_cache = False

    def __init__(self, prefix: str, statement: Any) -> None:
        self.prefix = prefix
        self.statement = statement


@compiles(Prefixed)
def _compiled(element: Prefixed, compiler: Any, **more: Any) -> str:
    text = element.prefix + str(compiler.process(element.statement, **more))
    compiler._result_columns.clear()  # noqa: SLF001  rows are the plan's, not of the statement's types
    compiler.isinsert = compiler.isupdate = compiler.isdelete = False  # nor is there a new key to be read
    compiler.effective_returning = None
    return text


def of_clause(
    connection: Connection, statement: Any, params: Mapping[str, Any], text: str, pattern: str, timeout_s: float
) -> Question:
    """Of an SQLAlchemy statement, whose parameters are bound by SQLAlchemy."""

    def run(prefix: str) -> Sequence[Sequence[Any]]:
        return connection.execute(Prefixed(prefix, statement), params).fetchall()

    return Question(connection, run, text, pattern, timeout_s)


def of_driver(connection: Connection, text: str, params: Any, pattern: str, timeout_s: float) -> Question:
    """Of a text and parameters as a driver was given them."""

    def run(prefix: str) -> Sequence[Sequence[Any]]:
        return connection.exec_driver_sql(prefix + text, params).fetchall()

    return Question(connection, run, text, pattern, timeout_s)
