# ruff: noqa: ANN001, ANN201, ANN202  fixtures are known by name
"""What must hold for every plan of real servers: times add up, one costly path, and no value comes out."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.tune.database import analyze, explain, render
from pitstop.tune.database.plan import walk

TEXT, NUMBER = "s3cr3tvalue", 471_104_711

EVERYWHERE = [
    "SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.region = 3 ORDER BY o.total LIMIT 5",
    "SELECT customer_id, count(*), sum(total) FROM orders GROUP BY customer_id HAVING sum(total) > 5 ORDER BY 3 DESC",
    "SELECT * FROM orders WHERE total > (SELECT avg(total) FROM orders) AND customer_id IN (SELECT 3 FROM customers)",
    "SELECT c.id, (SELECT count(*) FROM orders o WHERE o.customer_id = c.id) AS n FROM customers c WHERE c.region = 1",
    "WITH big AS (SELECT * FROM orders WHERE total > 900) SELECT a.id, b.id FROM big a JOIN big b ON a.total = b.total",
    "SELECT id FROM customers UNION SELECT customer_id FROM orders WHERE total = 5",
    "SELECT * FROM orders o WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = o.customer_id AND c.region = 9)",
    "SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY total) FROM orders WHERE id < 3000",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 200) SELECT count(*) FROM r, customers",
    "SELECT count(*) FROM orders a LEFT JOIN orders b ON b.id = a.id + 1 AND b.total > 500",
    "SELECT 1",
    "SELECT * FROM orders WHERE 1 = 0",
]
PARALLEL = [
    "SELECT count(*), max(total) FROM orders WHERE status = 'open'",
    "SELECT c.region, sum(o.total) FROM orders o JOIN customers c ON c.id = o.customer_id GROUP BY 1 ORDER BY 1",
]


def holds(plan):
    """Own times are shares of the whole, and there is one path to where most of it went."""
    steps = list(walk(plan["root"]))
    own_s = [here["own_s"] for here in steps if here["own_s"] is not None]
    assert min(own_s, default=0.0) >= 0
    if own_s and plan["root"]["time_s"]:
        whole_s = plan["root"]["time_s"]
        assert sum(own_s) == pytest.approx(whole_s, rel=0.1, abs=0.0005)
        assert whole_s <= plan["duration_s"] * 1.05 + 0.0005
    for here in steps:
        assert sum(child["costly"] for child in here["inputs"]) <= here["costly"]
    assert len(render(plan, 80).split("\n")) > len(steps)


@pytest.mark.parametrize("sql", EVERYWHERE)
def test_own_times_add_up_to_the_whole(engine, sql):
    plan = analyze(engine, sql)
    assert plan["analyzed"] or plan["dialect"] == "mariadb"  # which runs nothing where there is no table to read
    holds(plan)
    holds(explain(engine, sql))


@pytest.mark.parametrize("sql", [*PARALLEL, *EVERYWHERE])
def test_own_times_add_up_where_processes_run_side_by_side(postgres_url, sql):
    engine = sa.create_engine(postgres_url)

    @sa.event.listens_for(engine, "begin")
    def willing(connection):
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            connection.exec_driver_sql(f"SET LOCAL {setting} = 0")

    plan = analyze(engine, sql)
    engine.dispose()
    if sql in PARALLEL:
        assert any("Gather" in here["what"] for here in walk(plan["root"]))
        for here in walk(plan["root"]):
            assert (here["time_s"] or 0.0) <= plan["duration_s"] * 1.05 + 0.0005
    else:
        holds(plan)


CANARIES = [
    f"SELECT '{TEXT}' AS x, {NUMBER} AS y FROM orders WHERE status = '{TEXT}' OR total = {NUMBER}",
    f"SELECT * FROM orders WHERE status IN ('{TEXT}', 'b', '{TEXT}2') AND total BETWEEN -{NUMBER} AND {NUMBER}",
    f"SELECT * FROM customers WHERE name LIKE '%{TEXT}%' ORDER BY CASE WHEN name = '{TEXT}' THEN {NUMBER} ELSE 0 END",
    f"SELECT status, count(*) FROM orders GROUP BY status HAVING max(total) < {NUMBER} LIMIT {NUMBER}",
    f"SELECT * FROM orders o JOIN customers c ON c.id = o.customer_id AND c.name <> '{TEXT}''{TEXT}'",
    f"SELECT * FROM customers WHERE name = 'a\"{TEXT}\\\\' OR name = '\t{TEXT}'",
    f"SELECT * FROM orders WHERE (total, status) = ({NUMBER}, '{TEXT}') -- {TEXT}",
    f"SELECT * FROM (SELECT id, total + {NUMBER} AS t FROM orders /* {TEXT} */) d WHERE t < {NUMBER}.{NUMBER}",
]
POSTGRES_CANARIES = [
    rf"SELECT * FROM orders WHERE status = E'{TEXT}\\''{TEXT}' OR status = $a${TEXT}$a$",
    f"SELECT * FROM orders WHERE status = ANY (ARRAY['{TEXT}', 'b']) AND total <> ALL ('{{{NUMBER}}}'::int[])",
    f"SELECT * FROM customers WHERE to_jsonb(name) @> '\"{TEXT}\"' OR name ~ '^{TEXT}' OR name = U&'{TEXT}'",
    f"SELECT * FROM generate_series(1, 3) g WHERE g > {NUMBER} AND make_date(2026, g, 1) > DATE '2026-04-07'",
    f"SELECT * FROM orders TABLESAMPLE system (5) REPEATABLE ({NUMBER}) WHERE interval '{NUMBER} s' > interval '1 s'",
    f"VALUES ('{TEXT}', {NUMBER}), ('b', 2)",
    f'SELECT * FROM json_to_recordset(\'[{{"a": "{TEXT}"}}]\') AS x(a text)',
]


def test_no_value_of_a_statement_comes_out_of_its_plan(engine):
    statements = CANARIES + (POSTGRES_CANARIES if engine.dialect.name == "postgresql" else [])
    for sql in statements:
        for ask in (explain, analyze):
            plan = ask(engine, sql.replace(":", r"\:"))
            told = json.dumps(plan) + render(plan)
            assert TEXT not in told, told
            assert str(NUMBER) not in told, told


def test_no_value_comes_out_of_parameters_either(engine):
    sql = "SELECT * FROM orders WHERE status = :text AND total < :number ORDER BY CASE WHEN status = :text THEN 1 END"
    for ask in (explain, analyze):
        told = json.dumps(ask(engine, sql, {"text": TEXT, "number": NUMBER}))
        assert TEXT not in told
        assert str(NUMBER) not in told


def test_an_asyncio_engine_is_told_apart(sqlite_url):
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415  one test needs it

    from pitstop.tune.database import ensure_index, maintain  # noqa: PLC0415

    engine = create_async_engine(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:"))
    for call in (
        lambda: explain(engine, "SELECT 1"),
        lambda: ensure_index(engine, "orders", ["total"]),
        lambda: maintain(engine),
    ):
        with pytest.raises(SettingError, match="an asyncio engine"):
            call()
