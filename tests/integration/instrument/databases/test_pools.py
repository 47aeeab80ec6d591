# ruff: noqa: ANN001, ANN002, ANN201, ANN202, ARG001  fixtures are known by name
"""Waits for a connection, drivers without an integration, hooks that come off, other versions of SQLAlchemy."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras
import psycopg_pool
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from pitstop.instrument import hooks
from pitstop.instrument import sqlalchemy as recording
from pitstop.instrument.queries import ATTACHED

WAITED = ("database connection", "ok")
SOURCE = Path(__file__).parents[4] / "src"


def waits(below):
    return [(child.name, child.outcome) for child in below.of("pool_wait")]


def test_a_wait_for_sqlalchemys_pool_is_recorded_and_no_wait_is_not(postgres, recorded):
    engine = sa.create_engine(postgres.url("postgresql+psycopg"), pool_size=1, max_overflow=0, pool_timeout=5)
    with recorded() as below:
        held = engine.connect()
        timer = threading.Timer(0.05, held.close)
        timer.start()
        with engine.connect():
            pass
        timer.join()
        with engine.connect():
            pass
    engine.dispose()
    assert waits(below) == [("new database connection", "ok"), WAITED]
    (waited,) = [child for child in below.of("pool_wait") if child.name == WAITED[0]]
    assert waited.duration_ns > 30_000_000


def test_a_wait_that_is_given_up_is_an_error(postgres, recorded):
    engine = sa.create_engine(postgres.url("postgresql+psycopg"), pool_size=1, max_overflow=0, pool_timeout=0.05)
    with recorded() as below, engine.connect(), pytest.raises(sa.exc.TimeoutError):
        engine.connect()
    engine.dispose()
    assert waits(below)[-1] == ("database connection", "error")


def test_a_wait_for_an_async_pool_is_recorded(postgres, recorded):
    async def run():
        engine = create_async_engine(postgres.url("postgresql+asyncpg"), pool_size=1, max_overflow=0)
        pool = await asyncpg.create_pool(postgres.url("postgresql"), min_size=1, max_size=1)
        with recorded() as below:
            held = await engine.connect()
            asyncio.get_running_loop().call_later(0.05, lambda: releases.append(asyncio.ensure_future(held.close())))
            async with engine.connect():
                pass
            taken = await pool.acquire()
            asyncio.get_running_loop().call_later(
                0.05, lambda: releases.append(asyncio.ensure_future(pool.release(taken)))
            )
            async with pool.acquire():
                pass
        await asyncio.gather(*releases)
        await pool.close()
        await engine.dispose()
        return below

    releases = []
    assert waits(asyncio.run(run())).count(WAITED) == 2


def test_a_wait_for_psycopgs_pool_is_recorded(postgres, recorded):
    with psycopg_pool.ConnectionPool(postgres.dsn, min_size=1, max_size=1, open=True) as pool:
        pool.wait(10)
        with recorded() as below:
            held = pool.getconn()
            timer = threading.Timer(0.05, lambda: pool.putconn(held))
            timer.start()
            with pool.connection() as connection:
                connection.execute("SELECT 1")
            timer.join()
        assert waits(below) == [WAITED]


def test_a_connection_that_cannot_be_made_is_an_error(recorded):
    with recorded() as below:
        for connect in (psycopg.connect, psycopg2.connect):
            with pytest.raises((psycopg.OperationalError, psycopg2.OperationalError)):
                connect("host=127.0.0.1 port=1 user=secret password=secret")
        with pytest.raises(pymysql.err.OperationalError):
            pymysql.connect(host="127.0.0.1", port=1)
    assert waits(below) == [("new database connection", "error")] * 3


def test_psycopg2_by_itself_has_rows_copies_calls_and_named_cursors(postgres, server, recorded, tmp_path):
    file = tmp_path / "rows"
    file.write_text("copied\n")
    with recorded() as below:
        connection = psycopg2.connect(postgres.dsn, cursor_factory=psycopg2.extras.DictCursor)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT * FROM things WHERE id < %s", (5,))
            assert cursor.fetchone()["id"] == 1
            psycopg2.extras.execute_values(cursor, "INSERT INTO things (name) VALUES %s", [("secret",), ("secret",)])
            cursor.executemany("DELETE FROM things WHERE id = %s", [(1,), (2,)])
            cursor.callproc("upper", ("secret",))
            with file.open() as source:
                cursor.copy_from(source, "things", columns=("name",))
        with connection.cursor("named") as cursor:
            cursor.execute("SELECT id FROM things")
            assert len(cursor.fetchmany(3)) == 3
            assert len([*cursor]) == 38
        with pytest.raises(psycopg2.Error):
            connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor).execute("SELECT nothing")
        connection.rollback()
        connection.close()
    assert isinstance(connection, psycopg2.extensions.connection)
    assert below.counted() == {
        "SELECT * FROM things WHERE id < ?": (1, 4),
        "INSERT INTO things (name) VALUES (?)": (1, 2),
        "DELETE FROM things WHERE id = ?": (1, 2),
        "SELECT * FROM upper(?)": (1, 1),
        "COPY things FROM STDIN": (1, 1),
        "COMMIT": (1, 0),
        "SELECT id FROM things": (1, 41),
        "SELECT nothing": (1, 0),
        "ROLLBACK": (1, 0),
    }


def test_over_a_driver_without_an_integration_sqlalchemy_records_by_itself(postgres, server, recorded):
    ATTACHED.discard("psycopg")
    hooks_of_driver = hooks.import_module("pitstop.instrument.psycopg")
    hooks_of_driver.detach(psycopg)
    recording._makers.clear()
    try:
        engine = sa.create_engine(postgres.url("postgresql+psycopg"))
        with recorded() as below, engine.connect() as connection:
            assert len(connection.execute(sa.text("SELECT id FROM things WHERE id < 5")).all()) == 4
            with pytest.raises(sa.exc.ProgrammingError):
                connection.execute(sa.text("SELECT nothing"))
        engine.dispose()
        ours = below.counted()
        assert ours["SELECT id FROM things WHERE id < ?"] == (1, 4)
        assert ("SELECT nothing", "error", 0) in below.statements()
        assert below.of("db")[-1].attrs["db.system"] == "postgresql"
    finally:
        hooks_of_driver.attach(psycopg)
        recording._makers.clear()
    engine = sa.create_engine(postgres.url("postgresql+psycopg"))
    with recorded() as below, engine.connect() as connection:
        connection.execute(sa.text("SELECT id FROM things WHERE id < 5")).all()
    engine.dispose()
    assert below.counted()["SELECT id FROM things WHERE id < ?"] == (1, 4)


def test_hooks_come_off_and_on_again(postgres, server, recorded):
    modules = [("sqlalchemy", sa), ("psycopg", psycopg), ("psycopg", psycopg_pool), ("psycopg2", psycopg2),
               ("asyncpg", asyncpg), ("mysql", pymysql)]  # fmt: skip
    for name, module in modules:
        hooks.import_module(f"pitstop.instrument.{name}").detach(module)
    try:
        assert ATTACHED.isdisjoint({"psycopg", "psycopg2", "asyncpg", "pymysql"})
        engine = sa.create_engine(postgres.url("postgresql+psycopg"))
        with recorded() as below, engine.begin() as connection:
            connection.execute(sa.text("SELECT 1"))
        engine.dispose()
        assert not below.children
        assert not hasattr(psycopg.Connection.connect, "__wrapped__")
        assert not hasattr(asyncpg.connect, "__wrapped__")
    finally:
        for name, module in modules:
            hooks.import_module(f"pitstop.instrument.{name}").attach(module)
    with recorded() as below, psycopg.connect(postgres.dsn) as connection:
        connection.execute("SELECT 1")
    assert below.counted() == {"SELECT ?": (1, 1), "COMMIT": (1, 0)}


PROGRAM = """
import time, sqlalchemy as sa
from sqlalchemy.orm import Session
from pitstop.instrument import hooks
from pitstop.record import CURRENT, Operation, RECORDER
engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
with engine.begin() as connection:
    connection.execute(sa.text("CREATE TABLE t (a)"))
    connection.execute(sa.text("INSERT INTO t VALUES (1), (2), (3)"))
RECORDER.on = True
hooks.install_inside(("auto",))
root = Operation("http", time.perf_counter_ns())
root.children = []
CURRENT.set(root)
with Session(engine) as session:
    session.execute(sa.text("SELECT a FROM t WHERE a > 1")).all()
    session.execute(sa.text("UPDATE t SET a = 5"))
    session.commit()
print(sa.__version__[:3], [(child[0], child[1], child[2], child[5]) for child in root.children])
"""


@pytest.fixture(scope="session")
def newest_sqlalchemy(tmp_path_factory):
    """SQLAlchemy 2.1 in a folder of its own, because the services of other tests want 2.0."""
    folder = tmp_path_factory.mktemp("sqlalchemy")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, "sqlalchemy>=2.1,<2.2"],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    return folder


def run(*folders):
    path = os.pathsep.join(map(str, (*folders, SOURCE)))
    environment = {**os.environ, "PYTHONPATH": path}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_an_engine_used_before_recording_began_is_recorded_by_sqlalchemy_2_1_as_by_2_0(newest_sqlalchemy):
    expected = (
        "[('db', 'SELECT a FROM t WHERE a > ?', 'ok', 2), ('db', 'UPDATE t SET a = ?', 'ok', 3), "
        "('transaction', 'transaction', 'commit', 0)]\n"
    )
    assert run() == f"2.0 {expected}"
    assert run(newest_sqlalchemy) == f"2.1 {expected}"
