# ruff: noqa: ANN001, ANN201, ANN202  fixtures are known by name
"""Slow statements get a plan afterwards: once, without values, and without the host's noticing."""

from __future__ import annotations

import asyncio
import json
import os
import time

import pytest
import sqlalchemy as sa

import pitstop
from pitstop.model import Window
from pitstop.model.tuned import PlanBody
from pitstop.record import CURRENT, RECORDER, Operation, reports
from pitstop.record.statements import POSTGRESQL, fingerprint, normalized
from pitstop.store import open_store
from pitstop.tune.database import create_async_engine, create_engine
from pitstop.tune.database.plan import node, walk
from pitstop.tune.database.slow import AGAIN_S, MOST_WAITING, PLANS_PER_MINUTE, SlowStatements, fitting

SECRET = "s3cr3tvalue"
SLEEPY = "SELECT id, pg_sleep(0.06) FROM orders WHERE status = %(status)s AND total = 4711 LIMIT 1"


@pytest.fixture(autouse=True)
def recording(monkeypatch):
    monkeypatch.setattr(RECORDER, "on", True)
    yield
    reports.take(pytest.fail, everybody=False)


def plans(at_least=1):
    """Reports of plans, as soon as there are so many."""
    found = {}
    deadline_s = time.monotonic() + 10
    while len(found) < at_least:
        assert time.monotonic() < deadline_s, found
        found |= {
            name: json.loads(body) for kind, name, body in reports.take(pytest.fail, everybody=False) if kind == "plan"
        }
        time.sleep(0.005)
    return found


def test_a_slow_statement_is_reported_with_its_plan_and_route_and_without_its_values(postgres_url):
    engine = create_engine(postgres_url, slow_query_s=0.05)
    operation = Operation("http", time.perf_counter_ns())
    operation.name = "GET /orders"
    token = CURRENT.set(operation)
    sql = "SELECT pg_sleep(0.06), o.* FROM (SELECT * FROM orders WHERE status = %(status)s AND total < 4711 LIMIT 1) o"
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, {"status": "open"})
        connection.exec_driver_sql(sql, {"status": "done"})
    CURRENT.reset(token)
    pattern = normalized(sql, POSTGRESQL)
    ((name, body),) = plans().items()
    assert name == fingerprint(pattern)
    assert (body["statement"], body["route"], body["dialect"]) == (pattern, "GET /orders", "postgresql")
    assert not body["analyzed"]
    assert 0.06 <= body["duration_s"] < 2
    assert "4711" not in json.dumps(body)
    assert "'open'" not in json.dumps(body)
    assert not [child for child in operation.children if "EXPLAIN" in child[1]]
    engine.dispose()


def test_a_plan_and_the_pool_reach_the_store(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr(RECORDER, "slow_query_s", 1.0)  # and back again afterwards
    store = f"sqlite:///{tmp_path}/pitstop.db"
    pitstop.init(service="shop", store=store, slow_query_s=0.05, profile_hz=0, instrument="none")
    try:
        engine = create_engine(postgres_url)
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT pg_sleep(0.06) AS slow")
        until(lambda: ("plan", NAME) in {(one[0], one[1]) for one in reported(tmp_path)})
        pitstop.shutdown()
        kinds = {kind: json.loads(body) for kind, _, body in reported(tmp_path)}
        assert kinds["plan"]["statement"] == "SELECT pg_sleep(?) AS slow"
        assert kinds["pool"]["opened"] == 1
        engine.dispose()
    finally:
        pitstop.shutdown()


NAME = fingerprint("SELECT pg_sleep(?) AS slow")


def reported(folder):
    pitstop.flush()
    store = open_store(f"sqlite:///{folder}/pitstop.db", readonly=True)
    found = store.reports(Window(0, int(time.time()) + 60))
    store.close()
    return list(zip(found.kind, found.name, found.body, strict=True))


def until(condition):
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_plan_too_large_to_be_kept_is_cut_to_its_costly_path():
    root = node("Append", detail="x" * 100, inputs=[node("Seq Scan", detail="y" * 100) for _ in range(500)])
    root["inputs"][7]["costly"] = root["costly"] = True
    plan = PlanBody(statement="SELECT ?", dialect="postgresql", analyzed=False, duration_s=None, root=root, findings=[])
    cut = fitting(plan)
    assert len(json.dumps(cut)) < reports.MOST_BYTES
    assert [here["costly"] for here in walk(cut["root"])] == [True, True]
    assert "501 steps" in cut["findings"][-1]
    assert fitting(cut) is cut


def test_quick_statements_and_services_that_record_nothing_have_no_plans(postgres_url, monkeypatch):
    engine = create_engine(postgres_url)  # the setting slow_query_s, a second
    asked = []
    monkeypatch.setattr(SlowStatements, "offer", lambda *_: asked.append(1))
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.05)")
        monkeypatch.setattr(RECORDER, "slow_query_s", 0.01)
        connection.exec_driver_sql("SELECT pg_sleep(0.05)")
        monkeypatch.setattr(RECORDER, "on", False)
        connection.exec_driver_sql("SELECT pg_sleep(0.05)")
    assert asked == [1]
    engine.dispose()


def test_slow_statements_of_asyncpg_mariadb_and_of_sqlite_that_is_slow_in_its_rows(postgres, mariadb_url, sqlite_url):
    async def running():
        engine = create_async_engine(postgres.url("postgresql+asyncpg"), slow_query_s=0.05)
        async with engine.begin() as connection:
            await connection.execute(sa.text("SELECT id, pg_sleep(0.06) FROM orders WHERE id = :id"), {"id": 5})
        await engine.dispose()

    asyncio.run(running())
    found = plans()
    engine = create_engine(mariadb_url, slow_query_s=0.05)
    with engine.begin() as connection:
        connection.execute(sa.text("SELECT sleep(0.06) FROM orders WHERE id = :id"), {"id": 5})
    engine.dispose()
    found |= plans()
    engine = create_engine(sqlite_url, slow_query_s=0.05)
    with engine.begin() as connection:
        rows = connection.execute(  # the first row comes at once, the second takes long
            sa.text(
                "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
                " SELECT x FROM n WHERE x = 1 OR x > :least LIMIT 2"
            ),
            {"least": 2_000_000},
        )
        assert len(rows.all()) == 2
    engine.dispose()
    found |= plans()
    assert {body["dialect"] for body in found.values()} == {"postgresql", "mariadb", "sqlite"}
    assert "SELECT sleep(?) FROM orders WHERE id = ?" in {body["statement"] for body in found.values()}


def test_what_cannot_be_explained_costs_nobody_anything(postgres_url):
    refused = SlowStatements("postgresql", lambda: sa.create_engine(postgres_url, poolclass=sa.pool.NullPool))
    for text in ("CALL something()", "SELECT * FROM gone", "SELECT 1; DROP TABLE orders"):
        refused.offer(text, {}, 2.0)
        refused._waiting.clear()
        refused.take(_slow(text))
    assert (refused.taken, refused.refused) == (0, 3)


def _slow(text):
    from pitstop.tune.database.slow import Slow  # noqa: PLC0415  one test needs it

    return Slow(text, {}, text, 2.0, "")


@pytest.fixture
def offered(postgres_url, monkeypatch):
    """Slow statements whose thread never starts, at a time that the test sets."""
    now = [1000.0]
    monkeypatch.setattr("pitstop.tune.database.slow.start_thread", lambda _: None)
    slow = SlowStatements("postgresql", lambda: sa.create_engine(postgres_url), now=lambda: now[0])
    return slow, now


def test_a_pattern_is_explained_once_an_hour(offered):
    slow, now = offered
    for total in (1, 2):
        slow.offer(f"SELECT * FROM orders WHERE total = {total}", {}, 2.0)
    assert len(slow._waiting) == 1
    now[0] += AGAIN_S - 1
    slow.offer("SELECT * FROM orders WHERE total = 3", {}, 2.0)
    assert len(slow._waiting) == 1
    now[0] += 2
    slow.offer("SELECT * FROM orders WHERE total = 4", {}, 2.0)
    assert len(slow._waiting) == 2


def test_only_so_many_plans_are_taken_a_minute_and_only_so_many_wait(offered):
    slow, now = offered
    for number in range(100):
        slow.offer(f"SELECT c{number} FROM orders", {}, 2.0)
    assert len(slow._waiting) == PLANS_PER_MINUTE
    for minute in range(1, 10):
        now[0] += 61
        for number in range(20):
            slow.offer(f"SELECT c{minute}_{number} FROM orders", {}, 2.0)
    assert len(slow._waiting) == MOST_WAITING


def test_a_statement_with_a_thousand_values_is_not_kept_for_its_plan(offered):
    slow, _ = offered
    slow.offer("SELECT * FROM orders WHERE id IN (…)", tuple(range(5000)), 2.0)
    assert not slow._waiting


def test_a_child_takes_plans_in_a_thread_of_its_own(postgres_url):
    engine = create_engine(postgres_url, slow_query_s=0.02)
    with engine.begin() as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.03) AS parents")
    plans()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            with engine.begin() as connection:
                connection.exec_driver_sql("SELECT pg_sleep(0.03) AS childs")
            (body,) = plans().values()
            os.write(writing, body["statement"].encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    assert os.read(reading, 1000) == b"SELECT pg_sleep(?) AS childs"
    os.close(reading)
    engine.dispose()
