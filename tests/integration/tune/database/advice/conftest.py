"""Databases of one case each, and what a statement really costs in them."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy.engine import Engine

    from pitstop.tune.database.advice import Suggestion

AS_WRITTEN = {"no_parameters": True}  # a per cent sign is one


class Case:
    """A database that `setup` has filled."""

    def __init__(self, url: str, engine: Engine) -> None:
        self.url = url
        self.engine = engine

    def run(self, *statements: str) -> None:
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT", **AS_WRITTEN) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def rows(self, statement: str) -> list[Any]:
        with self.engine.connect().execution_options(**AS_WRITTEN) as connection:
            return list(connection.exec_driver_sql(statement))

    def touched(self, statement: str) -> float:
        """Pages that `statement` looks at, all it sets off included (PostgreSQL), or steps of SQLite's machine."""
        if self.engine.dialect.name == "sqlite":
            return self._steps(statement)
        pages = (
            "SELECT sum(pg_stat_get_xact_blocks_fetched(oid)) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        with self.engine.connect().execution_options(**AS_WRITTEN) as connection:
            before = connection.exec_driver_sql(pages).scalar_one()
            connection.exec_driver_sql(statement)
            touched = connection.exec_driver_sql(pages).scalar_one() - before
            connection.rollback()
        return float(max(touched, 1))

    def _steps(self, statement: str) -> float:
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        with self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("PRAGMA foreign_keys = ON")
            raw.execute("BEGIN")
            raw.set_progress_handler(step, 1)
            raw.execute(statement).fetchall()
            raw.set_progress_handler(None, 0)
            raw.rollback()
        return float(max(steps, 1))


def said(suggestion: Suggestion) -> str:
    """A suggestion as the cases write it."""
    if suggestion.kind == "create index":
        assert suggestion.index is not None
        return f"create {suggestion.index.table} {suggestion.index.definition}".lower()
    return f"drop {suggestion.name}" if suggestion.kind == "drop index" else f"{suggestion.kind} {suggestion.table}"


@pytest.fixture
def fresh_postgres(postgres: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Case]]:
    """Makes databases on a real server, and drops them."""
    server = create_engine(postgres.url("postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    made: list[tuple[str, Engine]] = []

    def make(setup: str, *, analyze: bool = True, hypopg: bool = True) -> Case:
        with server.connect() as connection:
            there = connection.exec_driver_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'hypopg'").scalar()
            if hypopg and not there:
                if os.environ.get("CI") == "true":
                    pytest.fail("HypoPG is not installed, and CI=true allows no test to be skipped: scripts/debian")
                pytest.skip("HypoPG is not installed: scripts/debian")
            name = f"advice_{abs(hash(request.node.name)) % 10**9}_{len(made)}"
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        url = postgres._replace(name=name).url("postgresql+psycopg")
        engine = create_engine(url)
        made.append((name, engine))
        case = Case(url, engine)
        case.run(*(text for text in setup.split(";\n") if text.strip()))
        engine.dispose()  # what its connection has counted is known to the server now
        if analyze:
            tables = case.rows("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384")
            case.run(f"VACUUM ANALYZE {', '.join(row[0] for row in tables)}")  # not the server's own: they take longer
        return case

    yield make
    for name, engine in made:
        engine.dispose()
        with server.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    server.dispose()


@pytest.fixture
def fresh_sqlite(tmp_path: Path) -> Callable[..., Case]:
    """Makes database files."""

    def make(setup: str, *, analyze: bool = True) -> Case:
        path = tmp_path / "case.db"
        raw = sqlite3.connect(path, isolation_level=None)
        raw.execute("PRAGMA synchronous = OFF")
        raw.execute("CREATE TEMP TABLE n (i INTEGER PRIMARY KEY)")
        raw.execute(
            "INSERT INTO n WITH RECURSIVE x(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM x WHERE i < 40000) "
            "SELECT i FROM x"
        )
        raw.executescript(f"BEGIN; {setup}; COMMIT;")
        if analyze:
            raw.execute("ANALYZE")
        raw.close()
        url = f"sqlite:///{path}"
        return Case(url, create_engine(url))

    return make
