"""Asking for advice changes nothing, leaves nothing behind, runs nothing of the host's and tells no values."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from pitstop.model.errors import SettingError
from pitstop.tune.database import create_engine as create_our_engine
from pitstop.tune.database import statement_timeout
from pitstop.tune.database.advice import Workload, advise
from pitstop.tune.database.advice.apply import carry_out

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POSTGRESQL = """
CREATE TABLE people (id serial PRIMARY KEY, name text NOT NULL, state text NOT NULL, note text NOT NULL);
INSERT INTO people (name, state, note)
  SELECT md5(i::text), CASE WHEN i % 100 = 0 THEN 'lost' ELSE 'here' END, repeat('x', 60)
  FROM generate_series(1, 20000) i;
"""
SQLITE = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL);
INSERT INTO people (name, state, note)
  SELECT 'n' || i, CASE WHEN i % 100 = 0 THEN 'lost' ELSE 'here' END, 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxx' FROM n;
"""
BY_NAME = Workload("SELECT * FROM people WHERE name = ?", 5000)
LOST = Workload("SELECT * FROM people WHERE state = 'lost' AND name > 's3cr3t' AND name < 's3cr3u'", 5000)


def test_postgresql_is_as_it_was(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(POSTGRESQL)
    everything = "SELECT (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_extension)"
    before = case.rows(everything)
    assert advise(case.engine, [BY_NAME]).suggestions
    assert case.rows(everything) == before
    plan = case.rows("EXPLAIN SELECT * FROM people WHERE name = 'x'")
    assert "Seq Scan" in plan[0][0], "a hypothetical index is left in a pooled connection"


def test_no_lock_is_held_on_a_table_while_others_are_looked_at(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(POSTGRESQL)
    held: list[int] = []

    def progress(_number: int, _of: int) -> None:
        held.append(case.rows("SELECT count(*) FROM pg_locks WHERE relation = 'people'::regclass")[0][0])

    assert advise(case.engine, [BY_NAME, LOST, BY_NAME], progress=progress).suggestions
    assert held == [0, 0, 0]


def test_the_extension_that_is_there_is_used_by_a_reader_who_may_create_nothing(
    fresh_postgres: Callable[..., Any],
) -> None:
    case = fresh_postgres(f"CREATE EXTENSION hypopg;\n{POSTGRESQL}")
    user = f"reader_{case.url.rsplit('/', 1)[1]}"
    case.run(f"CREATE ROLE {user} LOGIN", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
    engine = create_engine(case.engine.url.set(username=user), isolation_level="AUTOCOMMIT")
    try:
        found = advise(engine, [BY_NAME])
    finally:
        engine.dispose()
        case.run(f"DROP OWNED BY {user}", f"DROP ROLE {user}")
    assert [each.kind for each in found.suggestions] == ["create index"]


def test_without_hypopg_the_rest_is_advised_and_the_reason_said(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(f"{POSTGRESQL};\nCREATE INDEX people_state ON people (state);\n"
                          "CREATE INDEX people_state_again ON people (state);\n")  # fmt: skip
    user = f"poor_{case.url.rsplit('/', 1)[1]}"
    case.run(f"CREATE ROLE {user} LOGIN")
    engine = create_engine(case.engine.url.set(username=user))
    try:
        found = advise(engine, [BY_NAME])
    finally:
        engine.dispose()
        case.run(f"DROP OWNED BY {user}", f"DROP ROLE {user}")
    assert [each.kind for each in found.suggestions] == ["drop index"]
    assert any("HypoPG" in each for each in found.refused)


@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
def test_a_recorded_statement_is_never_run(dialect: str, request: pytest.FixtureRequest) -> None:
    make = request.getfixturevalue(f"fresh_{dialect}")
    case = make(POSTGRESQL if dialect == "postgres" else SQLITE)
    before = case.rows("SELECT count(*) FROM people")
    hostile = [
        "DELETE FROM people",
        "SELECT 1; DELETE FROM people",
        "SELECT 1; COMMIT; DROP TABLE people; --",
        "WITH gone AS (DELETE FROM people RETURNING *) SELECT * FROM gone WHERE name = ?",
        "DROP TABLE people",
        "SELECT $$; DROP TABLE people",
        "SELECT * FROM people WHERE name = 'x' OR pg_sleep(100) IS NULL",
        "EXPLAIN ANALYZE DELETE FROM people",
        "SELECT * FROM nowhere WHERE a = ?",
        "SELECT nothing FROM people WHERE name = ? AND nothing = ?",
        "…",
    ]
    found = advise(case.engine, [Workload(text) for text in [*hostile, BY_NAME.statement]])
    assert case.rows("SELECT count(*) FROM people") == before
    assert [each.kind for each in found.suggestions] == ["create index"]
    assert found.read == len(hostile) + 1


@pytest.mark.parametrize("dialect", ["postgres", "sqlite"])
def test_no_value_reaches_the_report(dialect: str, request: pytest.FixtureRequest) -> None:
    make = request.getfixturevalue(f"fresh_{dialect}")
    case = make(POSTGRESQL if dialect == "postgres" else SQLITE)
    broken = Workload("SELECT * FROM people WHERE name = 's3cr3t' AND state < 's3cr3t'::nonsense")
    found = advise(case.engine, [LOST, BY_NAME, broken])
    text = json.dumps(found.body())
    assert found.suggestions
    assert "s3cr" not in text
    assert "lost" not in text


def test_a_database_file_is_not_touched(fresh_sqlite: Callable[..., Any], tmp_path: Path) -> None:
    case = fresh_sqlite(SQLITE)
    before = (tmp_path / "case.db").read_bytes()
    assert advise(case.engine, [BY_NAME]).suggestions
    case.engine.dispose()
    assert (tmp_path / "case.db").read_bytes() == before


def test_what_sqlite_does_not_know_here_is_planned_without(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "odd.db")
    raw.create_function("mine", 1, lambda value: value, deterministic=True)
    raw.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b TEXT); CREATE INDEX t_mine ON t (mine(a));")
    raw.executemany("INSERT INTO t (a, b) VALUES (?, ?)", [(i % 1000, "x" * 30) for i in range(5000)])
    raw.commit()
    raw.close()
    engine = create_engine(f"sqlite:///{tmp_path}/odd.db")
    found = advise(
        engine, [Workload("SELECT * FROM t WHERE a = ?", 5000), Workload("SELECT * FROM t WHERE mine(a) = ?")]
    )
    assert [each.name for each in found.suggestions] == ["t_a_idx"]
    engine.dispose()


def test_a_database_that_takes_too_long_is_given_up(fresh_sqlite: Callable[..., Any]) -> None:
    with pytest.raises(SettingError, match="took more than"):
        advise(fresh_sqlite(SQLITE).engine, [BY_NAME], timeout_s=0.0)


def test_statements_have_their_deadline_after_advice_was_asked_for(fresh_sqlite: Callable[..., Any]) -> None:
    engine = create_our_engine(fresh_sqlite(SQLITE).url, pool_size=1, max_overflow=0)
    assert advise(engine, [BY_NAME]).suggestions
    with (
        engine.connect() as connection,
        statement_timeout(0.1),
        pytest.raises(OperationalError, match="interrupted"),
    ):
        connection.exec_driver_sql("SELECT count(*) FROM (SELECT 1 FROM people a, people b LIMIT 100000000)").all()
    engine.dispose()


def test_other_databases_and_no_engines_are_refused() -> None:
    with pytest.raises(SettingError, match="mysql"):
        advise(create_engine("mysql+pymysql://localhost/x"), [])
    with pytest.raises(SettingError, match="Engine"):
        advise("postgresql://localhost/x", [])  # type: ignore[arg-type]  # what must be refused


def test_progress_is_told(fresh_sqlite: Callable[..., Any]) -> None:
    seen: list[tuple[int, int]] = []
    advise(fresh_sqlite(SQLITE).engine, [BY_NAME, LOST], progress=lambda number, of: seen.append((number, of)))
    assert seen == [(0, 2), (1, 2)]


def test_dead_rows_and_swollen_and_invalid_indexes_are_found(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(
        "CREATE TABLE t (id serial PRIMARY KEY, a int NOT NULL, b int NOT NULL) WITH (autovacuum_enabled = false);\n"
        "INSERT INTO t (a, b) SELECT i, i % 10 FROM generate_series(1, 100000) i;\n"
        "CREATE INDEX t_a ON t (a);\n"
        "DELETE FROM t WHERE id % 10 <> 0"
    )
    case.run("INSERT INTO t (a, b) SELECT i, 1 FROM generate_series(1, 30000) i", "DELETE FROM t WHERE b = 1")
    with pytest.raises(Exception, match="unique"):
        case.run("CREATE UNIQUE INDEX CONCURRENTLY t_b ON t (b)")
    case.engine.dispose()
    case.run("ANALYZE t")
    found = {(each.kind, each.name or each.table) for each in advise(case.engine, []).suggestions}
    assert found >= {("vacuum", "t"), ("drop index", "t_b"), ("reindex", "t_a")}
    list(carry_out(case.engine, advise(case.engine, []).suggestions))
    case.engine.dispose()
    assert not advise(case.engine, []).suggestions


def test_indexes_of_another_collation_or_idea_of_null_are_no_twins(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(
        'CREATE TABLE t (id serial PRIMARY KEY, a text, b text COLLATE "C", c int);\n'
        "CREATE INDEX t_a1 ON t (a);\n"
        'CREATE INDEX t_a2 ON t (a COLLATE "C");\n'
        'CREATE INDEX t_a3 ON t (a COLLATE "C");\n'
        "CREATE INDEX t_b1 ON t (b);\n"
        'CREATE INDEX t_b2 ON t (b COLLATE "default", c);\n'
        'CREATE INDEX t_b3 ON t (b COLLATE "C", c);\n'
        "CREATE INDEX t_l1 ON t (lower(a));\n"
        'CREATE INDEX t_l2 ON t (lower(a) COLLATE "C");\n'
        "CREATE INDEX t_m1 ON t (lower(b));\n"
        "CREATE INDEX t_m2 ON t (lower(b), c);\n"
        "CREATE UNIQUE INDEX t_c1 ON t (c);\n"
        "CREATE UNIQUE INDEX t_c2 ON t (c) NULLS NOT DISTINCT"
    )
    found = advise(case.engine, []).suggestions
    assert {each.name for each in found} == {"t_a3", "t_b1", "t_m1"}


def test_a_swollen_index_of_another_schema_is_named_with_it(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(
        "CREATE SCHEMA apart;\n"
        "CREATE TABLE apart.t (id int NOT NULL, a int NOT NULL) WITH (autovacuum_enabled = false);\n"
        "INSERT INTO apart.t SELECT i, i FROM generate_series(1, 100000) i;\n"
        "CREATE INDEX t_a ON apart.t (a);\n"
        "DELETE FROM apart.t WHERE id % 10 <> 0"
    )
    found = [each for each in advise(case.engine, []).suggestions if each.kind == "reindex"]
    assert [each.sql for each in found] == ["REINDEX INDEX CONCURRENTLY apart.t_a"]
    assert not [each.error for each in carry_out(case.engine, found) if each.error]


def test_an_index_that_is_being_built_is_not_taken_for_a_failed_one(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres("CREATE TABLE t (id serial PRIMARY KEY, a int)")
    begun = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('t_a') AND NOT indisvalid"
    with case.engine.connect() as writer:
        writer.exec_driver_sql("INSERT INTO t (a) VALUES (1)")
        builder = threading.Thread(target=case.run, args=("CREATE INDEX CONCURRENTLY t_a ON t (a)",))
        builder.start()  # and waits for who writes
        deadline_s = time.monotonic() + 30
        while case.rows(begun) != [(1,)]:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        assert not advise(case.engine, []).suggestions
        writer.commit()
        builder.join()
    assert case.rows(begun) == [(0,)]


def test_what_fails_halfway_is_taken_back_and_the_rest_done(fresh_postgres: Callable[..., Any]) -> None:
    case = fresh_postgres(POSTGRESQL)
    found = advise(case.engine, [BY_NAME, Workload("SELECT * FROM people WHERE lower(note) = ?", 1)])
    good = found.suggestions[0]
    bad = type(good)("create index", "people", "", "", "", "CREATE UNIQUE INDEX CONCURRENTLY bad ON people (state)",
                     "DROP INDEX CONCURRENTLY IF EXISTS bad")  # fmt: skip
    done = list(carry_out(case.engine, [bad, good]))
    assert [bool(each.error) for each in done] == [True, False]
    assert case.rows("SELECT count(*) FROM pg_class WHERE relname = 'bad'") == [(0,)]
    assert case.rows("SELECT count(*) FROM pg_class WHERE relname = 'people_name_idx'") == [(1,)]
