"""Does what was advised, one thing after the other; what fails halfway is taken back."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from pitstop.tune.database.advice.answer import CREATE
from pitstop.tune.database.advice.hypothetical import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.engine import Engine

    from pitstop.tune.database.advice.answer import Suggestion

LOCK_TIMEOUT_MS = 5000  # whoever waits for a lock makes everybody behind it wait


class Done(NamedTuple):
    """What came of a suggestion: `error` is empty where it was done."""

    suggestion: Suggestion
    error: str


def carry_out(engine: Engine, suggestions: Sequence[Suggestion]) -> Iterator[Done]:
    """Runs the statements outside of any transaction, as CONCURRENTLY must be; goes on behind one that fails.

    An index whose creation failed is dropped: PostgreSQL would leave one behind that is written and never read.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if engine.dialect.name == "postgresql":
            run(connection, "SET statement_timeout = 0")  # a large table takes its time
        for each in suggestions:
            if engine.dialect.name == "postgresql":  # those who go CONCURRENTLY wait without holding anybody up
                run(connection, f"SET lock_timeout = {0 if 'CONCURRENTLY' in each.sql else LOCK_TIMEOUT_MS}")
            error = ""
            try:
                run(connection, each.sql)
            except DBAPIError as failure:
                error = (str(failure.orig).strip().splitlines() or [type(failure.orig).__name__])[0]
                if each.kind == CREATE:
                    with suppress(DBAPIError):
                        run(connection, each.undo)
            yield Done(each, error)
        if engine.dialect.name == "postgresql":
            connection.invalidate()  # its settings are not those of its pool
