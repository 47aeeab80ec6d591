# ruff: noqa: ANN001, ANN003, ANN201, ANN202  fixtures are known by name
"""Engines as services use them: pools, deadlines, poolers, forks."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from pitstop.instrument import hooks
from pitstop.record import CURRENT, RECORDER, Operation
from pitstop.record import reports as waiting
from pitstop.tune.database import create_async_engine, create_engine, pool_report, statement_timeout
from pitstop.tune.database.pool import OVERFLOW, SIZE

ENDLESS = "SELECT count(*) FROM orders a, orders b, orders c WHERE a.total + b.total + c.total < 0"
DRIVERS = ["postgresql+psycopg", "postgresql+psycopg2", "postgresql+asyncpg"]


@pytest.fixture
def made():
    """Makes engines that are disposed of at the end."""
    engines = []

    def make(url, **options):
        engines.append(create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


def run(url, work, **options):
    """`work(connection)` in a transaction of a new engine, sync or async by its driver."""
    if "asyncpg" not in url and "aiosqlite" not in url:
        engine = create_engine(url, **options)
        try:
            with engine.begin() as connection:
                return work(connection)
        finally:
            engine.dispose()

    async def running():
        engine = create_async_engine(url, **options)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(running())


def took_s(call):
    start_s = time.perf_counter()
    with pytest.raises(sa.exc.DBAPIError):
        call()
    return time.perf_counter() - start_s


def timeout_of(connection):
    return connection.exec_driver_sql("SELECT current_setting('statement_timeout')").scalar()


# deadlines


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_statement_has_the_engines_its_tenants_or_its_blocks_deadline(postgres, driver):
    tenants = {"small": 15, "big": 60}

    def work(connection):
        found = [timeout_of(connection)]
        for tenant in ("small", "big", "unknown"):
            operation = Operation("http", 1)
            operation.tenant = tenant
            token = CURRENT.set(operation)
            found.append(timeout_of(connection))
            with statement_timeout(2.5):
                found.append(timeout_of(connection))
            CURRENT.reset(token)
        return [*found, timeout_of(connection)]

    found = run(postgres.url(driver), work, tenant_timeouts_s=tenants)
    assert found == ["30s", "15s", "2500ms", "1min", "2500ms", "30s", "2500ms", "30s"]


def test_a_blocks_deadline_ends_with_its_transaction_and_survives_a_savepoint(postgres_url, made):
    engine = made(postgres_url)
    with engine.connect() as connection:
        with statement_timeout(5), connection.begin():
            savepoint = connection.begin_nested()
            assert timeout_of(connection) == "5s"
            savepoint.rollback()
            assert timeout_of(connection) == "5s"
        with connection.begin():
            assert timeout_of(connection) == "30s"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_savepoint_whose_statement_failed_in_a_block_is_rolled_back_and_the_error_is_the_hosts(postgres, driver):
    def work(connection):
        with pytest.raises(sa.exc.ProgrammingError, match="nosuch"), connection.begin_nested(), statement_timeout(2):
            connection.execute(sa.text("SELECT nosuch"))
        found = [timeout_of(connection)]
        with statement_timeout(2):
            found.append(timeout_of(connection))
            connection.exec_driver_sql("SAVEPOINT by_hand")
        found.append(timeout_of(connection))
        with statement_timeout(2):
            with pytest.raises(sa.exc.ProgrammingError, match="nosuch"):
                connection.execute(sa.text("SELECT nosuch"))
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT by_hand")
            found.append(timeout_of(connection))
        connection.exec_driver_sql("RELEASE SAVEPOINT by_hand")
        return [*found, timeout_of(connection)]

    assert run(postgres.url(driver), work) == ["30s", "2s", "30s", "2s", "30s"]


def test_what_holds_after_a_savepoint_is_rolled_back_is_set_anew(postgres_url, made):
    with made(postgres_url).begin() as connection:
        connection.exec_driver_sql("SAVEPOINT by_hand")
        with statement_timeout(2):
            assert timeout_of(connection) == "2s"
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT by_hand")
            assert timeout_of(connection) == "2s"


def test_an_engine_without_deadline_and_one_in_autocommit(postgres_url, made):
    with made(postgres_url, statement_timeout_s=None).connect() as connection:
        assert timeout_of(connection) == "0"
        with statement_timeout(7):
            assert timeout_of(connection) == "7s"
        assert timeout_of(connection) == "0"
    with made(postgres_url).connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with statement_timeout(7):
            assert timeout_of(connection) == "7s"
        assert timeout_of(connection) == "30s"


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_engine_that_is_in_autocommit_as_a_whole_has_deadlines_too(postgres, driver):
    def work(connection):
        with statement_timeout(7):
            inside = timeout_of(connection)
        return inside, timeout_of(connection)

    assert run(postgres.url(driver), work, isolation_level="AUTOCOMMIT") == ("7s", "30s")


@pytest.mark.parametrize("driver", [*DRIVERS, "mysql+pymysql", "sqlite", "sqlite+aiosqlite"])
def test_what_takes_too_long_is_stopped_by_the_database(request, driver):
    server = {"p": "postgres", "m": "mariadb", "s": "sqlite"}[driver[0]]
    filled = request.getfixturevalue(f"{server}_url")
    url = driver + filled[filled.index(":") :]

    def work(connection):
        with statement_timeout(0.2):
            return took_s(lambda: connection.exec_driver_sql(ENDLESS).all())

    assert 0.15 < run(url, work) < 3


@pytest.mark.parametrize("scheme", ["mysql", "mariadb"])
def test_mariadbs_sessions_have_the_deadline_and_get_it_back(mariadb_url, made, scheme):
    engine = made(mariadb_url.replace("mysql", scheme, 1), statement_timeout_s=20)
    with engine.connect() as connection:
        with statement_timeout(2):
            assert connection.exec_driver_sql("SELECT @@max_statement_time").scalar() == 2
        assert connection.exec_driver_sql("SELECT @@max_statement_time").scalar() == 20


def test_time_between_rows_is_the_hosts_and_not_the_statements(sqlite_url, made):
    engine = made(sqlite_url, statement_timeout_s=0.4)
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT a.id FROM orders a, orders b LIMIT 60000")
        first = rows.fetchone()
        waited = threading.Event()
        waited.wait(0.6)
        assert first
        assert len(rows.fetchall()) == 59_999


# pools


def test_a_pool_has_the_defaults_and_what_is_said_wins(postgres_url, made):
    pool = made(postgres_url).pool
    assert (pool.size(), pool._max_overflow, pool._recycle, pool._pre_ping) == (SIZE, OVERFLOW, 3600, True)
    pool = made(postgres_url, pool_size=3, max_overflow=1, pool_recycle=60).pool
    assert (pool.size(), pool._max_overflow, pool._recycle) == (3, 1, 60)


def test_workers_share_what_the_server_takes(postgres_url, made):
    engine = made(postgres_url, workers=4)  # the server takes 60, 3 of them from superusers only
    with engine.connect():
        body = pool_report(engine)
    assert (body["size"], body["max_overflow"], body["server_limit"]) == (4, 8, 57)
    assert (body["in_use"], body["opened"], body["workers"]) == (1, 1, 4)
    assert body["advice"].startswith("cut from 20 + 40")
    assert body["statement_timeout_s"] == 30
    held = [engine.connect() for _ in range(12)]
    assert pool_report(engine)["in_use"] == 12
    for connection in held:
        connection.close()
    assert pool_report(engine)["idle"] == 4
    engine.dispose()
    assert pool_report(engine)["opened"] == 12


def test_waits_and_callers_without_a_connection_are_counted(postgres_url, made):
    engine = made(postgres_url, pool_size=1, max_overflow=0, pool_timeout=0.1)
    held = engine.connect()
    with pytest.raises(sa.exc.TimeoutError):
        engine.connect()
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(engine.connect)
        held.close()
        later.result().close()
    body = pool_report(engine)
    assert (body["timeouts"], body["opened"]) == (1, 1)
    assert 1 <= body["waits"] <= 2
    assert 0.1 <= body["waited_s"] < 2
    assert "1 callers got no connection" in body["advice"]
    assert pool_report(engine)["waited_s"] == 0


def test_an_async_pool_is_sized_and_counted_alike(postgres):
    async def running():
        engine = create_async_engine(postgres.url("postgresql+asyncpg"), workers=10, pool_timeout=0.1)
        held = [await engine.connect() for _ in range(5)]
        with pytest.raises(sa.exc.TimeoutError):
            await engine.connect()
        body = pool_report(engine)
        for connection in held:
            await connection.close()
        await engine.dispose()
        return body

    body = asyncio.run(running())
    assert (body["size"], body["max_overflow"], body["in_use"], body["opened"]) == (2, 3, 5, 5)
    assert (body["waits"], body["timeouts"]) == (1, 1)


def test_a_connection_that_the_server_has_dropped_is_replaced_unseen(postgres_url, made):
    engine = made(postgres_url)
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    with sa.create_engine(postgres_url).connect() as other:
        other.exec_driver_sql(f"SELECT pg_terminate_backend({pid})")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() != pid
    body = pool_report(engine)
    assert (body["opened"], body["recycled"]) == (2, 1)


def test_pools_report_themselves_without_users_and_passwords(postgres, made):
    engine = made(postgres.url("postgresql+psycopg").replace("test@", "test:s3cr3t@"))
    with engine.connect():
        found = {name: json.loads(body) for _, name, body in waiting.take(pytest.fail, everybody=True)}
    assert found[f"postgresql://127.0.0.1:{postgres.port}/test"]["in_use"] == 1
    assert "s3cr3t" not in str(found)


def test_engines_of_one_database_have_reports_of_their_own(sqlite_url, made):
    engines = [made(sqlite_url) for _ in range(3)]
    names = [name for kind, name, _ in waiting.take(pytest.fail, everybody=True) if kind == "pool"]
    assert len(names) == len(set(names)) >= 3
    for engine in engines:
        with engine.connect():
            assert "writers take turns" in pool_report(engine)["advice"]


def test_what_an_engine_does_for_itself_is_no_work_of_a_request(postgres, recorded_by_drivers):
    def work(connection):
        return connection.exec_driver_sql("SELECT 5 AS five").scalar()

    for driver in DRIVERS:
        assert run(postgres.url(driver), work) == 5
    found = [name for name in recorded_by_drivers() if "pg_catalog.pg_roles" in name or "five" in name]
    assert found == ["SELECT ? AS five"] * 3


@pytest.fixture
def recorded_by_drivers(monkeypatch):
    """Names of the statements that drivers have recorded below one request."""
    monkeypatch.setattr(RECORDER, "on", True)
    hooks.install(("psycopg", "psycopg2", "asyncpg", "sqlalchemy"))
    root = Operation("http", time.perf_counter_ns())
    token = CURRENT.set(root)
    yield lambda: [child[1] for child in root.children if child[0] == "db"]
    CURRENT.reset(token)
    hooks.remove()
    RECORDER.drain()


def test_mariadbs_pool_is_recycled_before_the_server_would_drop_it(mariadb_url, made):
    with sa.create_engine(mariadb_url).connect() as connection:
        connection.exec_driver_sql("SET GLOBAL wait_timeout = 600")
    engine = made(mariadb_url)
    with engine.connect():
        assert pool_report(engine)["recycle_s"] == 540
    with engine.connect() as connection:
        connection.exec_driver_sql("SET GLOBAL wait_timeout = 28800")


def test_sqlite_waits_for_other_writers_and_lets_them_read(sqlite_url, made):
    engine = made(sqlite_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    memory = made("sqlite://")
    with memory.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
    with memory.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar() == 0
    assert pool_report(memory) is None


def test_a_forked_child_takes_connections_of_its_own(postgres_url, made):
    engine = made(postgres_url)
    with engine.connect() as connection:
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            with engine.connect() as connection:
                other = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            os.write(writing, str(other).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    assert int(os.read(reading, 100)) != pid
    os.close(reading)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT pg_backend_pid()").scalar() == pid


# behind PgBouncer


@pytest.mark.parametrize("driver", DRIVERS)
def test_behind_a_pooler_in_transaction_mode_nothing_is_left_on_a_server_connection(postgres, pgbouncer, driver):
    url = postgres._replace(port=pgbouncer).url(driver)
    seen = sa.create_engine(postgres.url("postgresql+psycopg"), poolclass=sa.pool.NullPool)

    def work(connection):
        assert timeout_of(connection) == "30s"
        with statement_timeout(3):
            assert timeout_of(connection) == "3s"
        for number in range(8):  # psycopg would prepare from the fifth time on
            found = connection.execute(sa.text("SELECT id + :n FROM orders WHERE id = :id"), {"n": number, "id": 5})
            assert found.scalar() == 5 + number
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''").scalar() == 0

    for _ in range(3):
        run(url, work, pooler="transaction")
    plain = sa.create_engine(postgres._replace(port=pgbouncer).url("postgresql+psycopg2"))
    with plain.connect() as connection:  # the one server connection that everybody was lent
        assert timeout_of(connection) == "0"
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''").scalar() == 0
    plain.dispose()
    seen.dispose()


def test_behind_a_pooler_many_callers_share_one_server_connection(postgres, pgbouncer, made):
    engine = made(postgres._replace(port=pgbouncer).url("postgresql+psycopg"), pooler="transaction", workers=4)

    def call(number):
        with statement_timeout(5 + number % 3), engine.begin() as connection:
            return timeout_of(connection), connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(call, range(60)))
    assert [timeout for timeout, _ in found] == [f"{5 + number % 3}s" for number in range(60)]
    assert len({pid for _, pid in found}) == 1
    body = pool_report(engine)
    assert (body["size"], body["max_overflow"]) == (20, 40)
    assert body["advice"].startswith("behind a pooler")


def test_many_tasks_over_asyncpg_share_one_server_connection(postgres, pgbouncer):
    async def running():
        engine = create_async_engine(postgres._replace(port=pgbouncer).url("postgresql+asyncpg"), pooler="transaction")

        async def call(number):
            async with engine.begin() as connection:
                found = await connection.execute(
                    sa.text("SELECT CAST(:n AS integer) + total FROM orders WHERE id = 7"), {"n": number}
                )
                return found.scalar()

        found = await asyncio.gather(*(call(number) for number in range(60)))
        await engine.dispose()
        return found

    assert asyncio.run(running()) == [number + 7 for number in range(60)]
