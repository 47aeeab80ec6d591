# ruff: noqa: ANN001, ANN201, ANN202, PT018  fixtures are known by name; one state of a plan is one assertion
"""Plans of real servers: figures, findings, and that nothing is changed, kept or run that should not be."""

from __future__ import annotations

import asyncio
import datetime as dt
import json

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from pitstop.model.errors import SettingError
from pitstop.tune.database.explain import aanalyze, aexplain, analyze, explain
from pitstop.tune.database.plan import walk

OPEN = "SELECT c.name, o.total FROM orders o JOIN customers c ON c.id = o.customer_id WHERE o.status = :status"
SECRET = "s3cr3tvalue"


def rows_of(engine, table="orders"):
    with engine.connect() as connection:
        return connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar()


def test_a_plan_is_explained_without_values_and_its_steps_are_known(engine):
    plan = explain(engine, OPEN, {"status": SECRET})
    assert plan["statement"].endswith("WHERE o.status = ?")
    assert not plan["analyzed"] and plan["duration_s"] is None
    assert SECRET not in json.dumps(plan)
    assert {"orders o", "customers c"} <= {here["on"].partition(" by ")[0] for here in walk(plan["root"])} or (
        plan["dialect"] == "mariadb"  # it knows tables by their other names only
    )
    assert any("index" in finding for finding in plan["findings"]) or plan["dialect"] == "mariadb"
    assert any(here["costly"] for here in walk(plan["root"]))


def test_a_plan_is_analyzed_with_what_running_it_has_shown(engine):
    plan = analyze(engine, OPEN, {"status": "open"})
    assert plan["analyzed"] and plan["duration_s"] > 0
    assert plan["root"]["time_s"] > 0
    assert any("index" in finding for finding in plan["findings"]), plan["findings"]
    assert any(here["rows_actual"] == 20 for here in walk(plan["root"])) or plan["dialect"] == "mariadb"
    assert SECRET not in json.dumps(plan)


def test_a_statement_of_sqlalchemys_is_explained_with_its_lists_and_dates(engine):
    orders = sa.table("orders", sa.column("id"), sa.column("status"), sa.column("total"))
    plan = explain(engine, sa.select(orders.c.id).where(orders.c.id.in_([1, 2, 3]), orders.c.total > 5).limit(3))
    assert "IN (?)" in plan["statement"].replace("::INTEGER", "")
    date = sa.select(sa.literal(dt.date(2026, 1, 1)) > sa.literal(dt.date(2025, 1, 1)))
    assert analyze(engine, date)["analyzed"] or engine.dialect.name == "mysql"  # which runs no statement without tables
    change = sa.insert(orders).values(id=77_777, status="open", total=5)
    assert explain(engine, change)["statement"].startswith("INSERT INTO orders")
    assert explain(engine, sa.update(orders).where(orders.c.id == 5).values(total=6))["statement"].startswith("UPDATE")
    assert rows_of(engine) == 10_000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("", "there is no statement"),
        ("SELECT 1; DROP TABLE orders", "more than one statement"),
        ("SELECT ';'; DELETE FROM orders", "more than one statement"),
        ("DROP TABLE orders", "begins with DROP"),
        ("EXPLAIN SELECT 1", "begins with EXPLAIN"),
        ("SELECT 'open", "cannot be read to its end"),
        ("SELECT 1 -- " + "x" * 100_000, "100,012 characters"),
        ("SELECT 1\0", "NUL"),
        ("SELECT * FROM orders WHERE id = :id", "wants a value for :id"),
        ("SELECT nothing FROM orders", "the database refuses"),
    ],
)
def test_what_is_no_single_statement_is_refused_before_it_reaches_the_server(engine, sql, words):
    for ask in (explain, analyze):
        with pytest.raises(SettingError, match=words):
            ask(engine, sql)
    assert rows_of(engine) == 10_000


def test_unknown_parameters_are_named(engine):
    with pytest.raises(SettingError, match=r"no parameter :other; it has :id"):
        explain(engine, "SELECT * FROM orders WHERE id = :id", {"id": 1, "other": 2})
    with pytest.raises(SettingError, match=r"timeout_s = 0 is outside"):
        explain(engine, "SELECT 1", timeout_s=0)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM orders WHERE id = :id",
        "UPDATE orders SET total = 0 WHERE id = :id",
        "INSERT INTO orders (id) SELECT id + 100000 FROM orders WHERE id = :id",
    ],
)
def test_statements_that_change_are_explained_but_not_run(engine, sql):
    assert explain(engine, sql, {"id": 5})["root"]["inputs"] or engine.dialect.name != "postgresql"
    with pytest.raises(SettingError, match="only statements that read"):
        analyze(engine, sql, {"id": 5})
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT total FROM orders WHERE id = 5")).scalar() == 5
    assert rows_of(engine) == 10_000


POSTGRES_REFUSED = [
    "WITH gone AS (DELETE FROM orders RETURNING id) SELECT * FROM gone",
    "SELECT * FROM orders WHERE id = 1 FOR UPDATE",
    "SELECT * FROM orders WHERE id = 1 FOR NO KEY UPDATE",
    "SELECT * FROM orders WHERE id = 1 FOR KEY SHARE",
    "SELECT * INTO copied FROM orders",
    "SELECT nextval('numbers')",
    "SELECT pg_advisory_lock(4711)",
    'SELECT "pg_advisory_lock"(4711)',
    "SELECT pg_sleep(0)",
    "SELECT set_config('transaction_read_only', 'off', true)",
    "SELECT * FROM sneaky",
    "SELECT inlined()",
    "SELECT * FROM orders WHERE id = 1 OR id = writes()",
    'SELECT "Odd $name"()',
    "SELECT odd$name()",
    "SELECT mine.random()",
]


@pytest.fixture
def traps(postgres_engine):
    with postgres_engine.begin() as connection:
        connection.exec_driver_sql("CREATE SEQUENCE IF NOT EXISTS numbers")
        connection.exec_driver_sql("CREATE OR REPLACE VIEW sneaky AS SELECT pg_try_advisory_lock(4711) AS held")
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION inlined() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('numbers') $$"
        )
        connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS mine")
        for odd in ('"Odd $name"', "odd$name", "mine.random"):
            connection.exec_driver_sql(
                f"CREATE OR REPLACE FUNCTION {odd}() RETURNS bool LANGUAGE plpgsql AS"
                " $$ BEGIN PERFORM pg_advisory_lock(4711); RETURN true; END $$"
            )
        connection.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS"
            " $$ BEGIN DELETE FROM orders; RETURN 1; END $$"
        )
    yield
    with postgres_engine.begin() as connection:
        connection.exec_driver_sql(
            'DROP FUNCTION "Odd $name"; DROP FUNCTION odd$name; DROP SCHEMA mine CASCADE'
            "; DROP FUNCTION inlined; DROP FUNCTION writes; DROP VIEW sneaky; DROP SEQUENCE numbers"
        )


@pytest.mark.parametrize("sql", POSTGRES_REFUSED)
@pytest.mark.usefixtures("traps")
def test_postgresql_runs_nothing_that_may_do_more_than_read(postgres_engine, sql):
    with pytest.raises(SettingError, match=r"only statements that read|may do more than read"):
        analyze(postgres_engine, sql)
    with postgres_engine.connect() as connection:
        locks = connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar()
        moved = connection.exec_driver_sql("SELECT is_called FROM numbers").scalar()
    assert (locks, moved, rows_of(postgres_engine)) == (0, False, 10_000)


def test_functions_that_only_answer_something_else_each_time_are_run(postgres_engine):
    assert analyze(postgres_engine, "SELECT random(), now(), count(*), lower(max(name)) FROM customers")["analyzed"]


def test_an_engine_in_autocommit_is_no_way_around_the_transaction(postgres_url):
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    assert analyze(engine, "SELECT current_setting('transaction_read_only')")["analyzed"]
    with pytest.raises(SettingError, match=r"was stopped after 0\.05 s"):
        analyze(engine, "SELECT count(*) FROM orders a, orders b, orders c", timeout_s=0.05)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "0"
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"
    engine.dispose()


def test_what_takes_too_long_is_stopped_and_the_connection_is_as_it_was(engine):
    endless = "SELECT count(*) FROM orders a, orders b, orders c WHERE a.total + b.total + c.total < 0"
    with pytest.raises(SettingError, match=r"was stopped after 0.1 s"):
        analyze(engine, endless, timeout_s=0.1)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE orders SET total = total WHERE id = 1"))
        assert connection.execute(sa.text("SELECT count(*) FROM orders")).scalar() == 10_000


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM orders WHERE id = 1 FOR UPDATE",
        "SELECT * FROM orders WHERE id = 1 LOCK IN SHARE MODE",
        "SELECT id INTO @x FROM orders LIMIT 1",
        "SELECT id FROM orders INTO OUTFILE '/tmp/x'",
        r"SELECT @x \:= 5",
        "SELECT sleep(0)",
        "SELECT get_lock('x', 0)",
        "SELECT changes_something()",
    ],
)
def test_mariadb_runs_nothing_that_may_do_more_than_read(mariadb_engine, sql):
    with mariadb_engine.begin() as connection:
        connection.exec_driver_sql("CREATE OR REPLACE FUNCTION changes_something() RETURNS int RETURN 1")
    with pytest.raises(SettingError, match=r"only statements that read|may do more than read"):
        analyze(mariadb_engine, sql)


def test_comments_that_mariadb_would_run_and_quotes_that_its_mode_reads_otherwise_are_refused(mariadb):
    engine = sa.create_engine(f"{mariadb.url('mysql+pymysql')}?client_flag=65536")  # several statements at once
    with pytest.raises(SettingError, match="a comment that the server would run"):
        explain(engine, "SELECT 1 /*!50000 ; DROP TABLE orders */")
    sa.event.listen(engine, "connect", lambda dbapi, _: dbapi.cursor().execute("SET sql_mode = 'ANSI_QUOTES'"))
    with pytest.raises(SettingError, match=r"more than one|to its end"):
        explain(engine, 'SELECT 1 AS "a\\"; DROP TABLE orders; -- "')
    engine.dispose()
    assert rows_of(sa.create_engine(mariadb.url("mysql+pymysql"))) == 10_000


def test_sqlalchemys_own_dialect_of_mariadb_is_known(mariadb_url):
    engine = sa.create_engine(mariadb_url.replace("mysql", "mariadb", 1))
    assert analyze(engine, OPEN, {"status": "open"})["dialect"] == "mariadb"
    engine.dispose()


def test_sqlite_runs_no_function_that_it_does_not_know(sqlite_engine):
    called = []
    with sqlite_engine.connect() as connection:
        connection.connection.dbapi_connection.create_function("effect", 0, lambda: called.append(1))
        connection.close()
    with pytest.raises(SettingError, match=r"effect\(\) may do more than read"):
        analyze(sqlite_engine, "SELECT effect()")
    with pytest.raises(SettingError, match=r"load_extension\(\) may do more"):
        analyze(sqlite_engine, "SELECT load_extension('x')")
    assert not called


def test_spills_of_a_sort_are_found_with_their_size(postgres_engine):
    with postgres_engine.connect() as connection:
        engine = postgres_engine.execution_options()
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("SET LOCAL work_mem = '64kB'"))
        plan = analyze(engine, "SELECT * FROM orders ORDER BY total, status, id")
        del connection
    spilled = [here for here in walk(plan["root"]) if here["spilled_bytes"]]
    assert spilled and spilled[0]["spilled_bytes"] > 100_000
    assert any("on disk" in finding for finding in plan["findings"])
    assert plan["root"]["buffers_hit"] > 0


def test_async_engines_are_asked_alike(postgres, sqlite_url):
    async def asked(url):
        engine = create_async_engine(url)
        try:
            first = await aexplain(engine, OPEN, {"status": SECRET})
            second = await aanalyze(engine, OPEN, {"status": "open"})
            with pytest.raises(SettingError, match="was stopped"):
                await aanalyze(engine, "SELECT count(*) FROM orders a, orders b, orders c", timeout_s=0.1)
        finally:
            await engine.dispose()
        return first, second

    for url in (postgres.url("postgresql+asyncpg"), sqlite_url.replace("sqlite:", "sqlite+aiosqlite:")):
        first, second = asyncio.run(asked(url))
        assert SECRET not in json.dumps(first)
        assert second["analyzed"] and second["duration_s"] > 0


def test_a_recorded_statement_with_marks_for_values_says_how_to_give_them(postgres_engine):
    with pytest.raises(SettingError, match=r"where a recorded statement has"):
        explain(postgres_engine, "SELECT * FROM orders WHERE id = ?")
