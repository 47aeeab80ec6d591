"""`explain` a statement, or `analyze` it by running it: a plan with estimates, actuals and what they give away.

    plan = explain(engine, "SELECT * FROM orders WHERE status = :status", {"status": "open"})
    print(render(plan))

Values are parameters; none is ever put into a text, and none comes out: the plan has the statement's pattern and
conditions without literals. Whatever is asked happens in a read-only transaction that is rolled back, under a deadline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from pitstop.model.errors import SettingError
from pitstop.tune.database.explain_mariadb import explain_mariadb
from pitstop.tune.database.explain_postgresql import explain_postgresql
from pitstop.tune.database.explain_sqlite import explain_sqlite
from pitstop.tune.database.names import must_be_sync
from pitstop.tune.database.question import of_clause
from pitstop.tune.database.statement import dialect_of, must_read, read_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection, Engine
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.sql.expression import Executable

    from pitstop.model.tuned import PlanBody
    from pitstop.tune.database.question import Question

TIMEOUT_S = 15.0  # the least that a tenant's statement gets, so the most that looking at one may take
LONGEST_S = 3600.0

_ASKED: dict[str, Callable[..., PlanBody]] = {
    "postgresql": explain_postgresql,
    "mysql": explain_mariadb,
    "mariadb": explain_mariadb,
    "sqlite": explain_sqlite,
}


def explain(
    engine: Engine, sql: str | Executable, params: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> PlanBody:
    """The plan of one statement with ``:name`` parameters, or of an SQLAlchemy statement. It is not run.

    Raises SettingError where it is no single statement, wants other parameters, or the database refuses it.
    """
    return _asked(engine, sql, params, timeout_s, analyze=False)


def analyze(
    engine: Engine, sql: str | Executable, params: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> PlanBody:
    """The plan of a statement that reads, with what running it has shown. It is stopped after `timeout_s`, seconds.

    Raises SettingError like `explain`, and for whatever might do more than read: changes, locks, volatile functions.
    """
    return _asked(engine, sql, params, timeout_s, analyze=True)


async def aexplain(
    engine: AsyncEngine, sql: str | Executable, params: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> PlanBody:
    """`explain` on an async engine."""
    async with engine.connect() as connection:
        return await connection.run_sync(_on_connection, sql, params, timeout_s, analyze=False)


async def aanalyze(
    engine: AsyncEngine, sql: str | Executable, params: Mapping[str, Any] | None = None, *, timeout_s: float = TIMEOUT_S
) -> PlanBody:
    """`analyze` on an async engine."""
    async with engine.connect() as connection:
        return await connection.run_sync(_on_connection, sql, params, timeout_s, analyze=True)


def _asked(
    engine: Engine, sql: str | Executable, params: Mapping[str, Any] | None, timeout_s: float, *, analyze: bool
) -> PlanBody:
    must_be_sync(engine)
    with engine.connect() as connection:
        return _on_connection(connection, sql, params, timeout_s, analyze=analyze)


def _on_connection(
    connection: Connection, sql: str | Executable, params: Mapping[str, Any] | None, timeout_s: float, *, analyze: bool
) -> PlanBody:
    if not 0 < timeout_s <= LONGEST_S:
        raise SettingError(f"timeout_s = {timeout_s} is outside 0 … {LONGEST_S:.0f} s")
    statement: Any = sa.text(sql) if isinstance(sql, str) else sql
    if isinstance(sql, str):
        read_pattern(sql, dialect_of(connection.dialect.name))
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"render_postcompile": True})
    wanted, given = set(compiled.params), dict(params or {})
    unknown = sorted(set(given) - wanted)
    if unknown:
        names = ", ".join(f":{name}" for name in sorted(wanted)) or "none"
        raise SettingError(f"the statement has no parameter :{unknown[0]}; it has {names}")
    missing = sorted(name for name in wanted - set(given) if isinstance(sql, str))
    if missing:
        raise SettingError(f"the statement wants a value for :{missing[0]}; give it as a parameter of that name")
    text = str(compiled)
    pattern = read_pattern(text, dialect_of(connection.dialect.name))
    if analyze:
        must_read(pattern)
    return ask(of_clause(connection, statement, given, text, pattern, timeout_s), analyze=analyze)


def ask(question: Question, *, analyze: bool) -> PlanBody:
    """The plan that `question` is about. Its transaction is rolled back, whatever happens."""
    connection = question.connection
    name = connection.dialect.name
    if name not in _ASKED:
        raise SettingError(f"plans of {name} are not read; there are {', '.join(_ASKED)}")
    if name == "postgresql":  # an engine in autocommit would let SET LOCAL pass without effect
        connection = connection.execution_options(isolation_level="READ COMMITTED")
        question = question._replace(connection=connection)
    transaction = connection.begin()
    try:
        return _ASKED[name](question, analyze=analyze)
    except DBAPIError as error:
        raise SettingError(_refusal(error, question)) from error
    except SQLAlchemyError as error:
        raise SettingError(f"the statement could not be asked for its plan: {str(error).splitlines()[0]}") from error
    finally:
        transaction.rollback()


def _refusal(error: DBAPIError, question: Question) -> str:
    said = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else type(error.orig).__name__
    if any(word in said.lower() for word in ("timeout", "max_statement_time", "interrupted", "querycanceled")):
        return (
            f"the statement was stopped after {question.timeout_s:g} s; give it longer, or explain it without running"
        )
    hint = ""
    if "?" in question.text:
        hint = "; where a recorded statement has ?, write :name and give its value"
    return f"the database refuses the statement: {said}{hint}"
