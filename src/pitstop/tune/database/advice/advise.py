"""The way in: `advise`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError
from pitstop.tune.database.advice.advisor import Advisor
from pitstop.tune.database.advice.answer import Advice
from pitstop.tune.database.advice.health import UNUSED_AFTER_S, superfluous
from pitstop.tune.database.advice.template import POSTGRESQL, SQLITE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine import Connection, Engine

    from pitstop.tune.database.advice.workload import Workload

TIMEOUT_S = 10.0  # for one question to the database


def advise(
    engine: Engine,
    statements: Sequence[Workload],
    *,
    timeout_s: float = TIMEOUT_S,
    unused_after_s: float = UNUSED_AFTER_S,
    progress: Callable[[int, int], None] | None = None,
) -> Advice:
    """What to change about the indexes of the database behind `engine`, for the reads and writes in `statements`.

    Costs are the database's own estimates. Nothing is changed. `progress` is told how many statements of how many have
    been tried. Raises SettingError for a database that is neither PostgreSQL nor SQLite, and for an async engine.
    """
    if not hasattr(engine, "connect") or not hasattr(engine, "dialect") or hasattr(engine, "sync_engine"):
        raise SettingError(
            f"advise() takes a SQLAlchemy Engine, not {type(engine).__name__}; make one with create_engine"
        )
    name = engine.dialect.name
    if name not in {"postgresql", "sqlite"}:
        raise SettingError(f"'{name}' is not advised upon; PostgreSQL and SQLite are")
    port = f":{engine.url.port}" if engine.url.port else ""
    database = f"{name}://{engine.url.host or ''}{port}/{(engine.url.database or '').removeprefix('file:')}"
    with engine.connect() as connection:
        if name == "postgresql":
            advisor = _postgresql(connection, statements, timeout_s, unused_after_s, progress)
        else:
            advisor = _sqlite(connection, statements, timeout_s, progress)
    return Advice(name, database, tuple(advisor.suggestions), tuple(dict.fromkeys(advisor.refused)), len(statements))


def _postgresql(
    connection: Connection,
    statements: Sequence[Workload],
    timeout_s: float,
    unused_after_s: float,
    progress: Callable[[int, int], None] | None,
) -> Advisor:
    from pitstop.tune.database.advice import hypothetical, server  # noqa: PLC0415  they need SQLAlchemy
    from pitstop.tune.database.advice.catalog_postgresql import read_catalog  # noqa: PLC0415

    connection.execution_options(isolation_level="READ COMMITTED")  # a transaction even where the engine has AUTOCOMMIT
    with hypothetical.opened(connection, round(timeout_s * 1000)) as schema:
        planner = hypothetical.Hypothetical(connection, read_catalog(connection), schema)
        advisor = Advisor(planner, POSTGRESQL)
        advisor.read(statements)
        stale = advisor.stale()
        if schema:
            advisor.indexes(stale, progress)
        else:
            advisor.refused.append(hypothetical.no_hypopg())
        server.look_after(advisor, connection, planner.in_use, unused_after_s)
    return advisor


def _sqlite(
    connection: Connection,
    statements: Sequence[Workload],
    timeout_s: float,
    progress: Callable[[int, int], None] | None,
) -> Advisor:
    from pitstop.tune.database.advice.copied import Copied  # noqa: PLC0415  it needs sqlite3

    with Copied.of(connection, timeout_s) as planner:
        advisor = Advisor(planner, SQLITE)
        advisor.read(statements)
        advisor.stale()
        advisor.indexes(set(), progress)  # it samples by itself, whatever ANALYZE has seen
        advisor.suggestions += superfluous(planner)
    return advisor
