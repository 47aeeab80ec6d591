# ruff: noqa: ANN001, ANN201, ANN202, ARG001, ARG002, E501, PLC0415, PT012  fixtures are known by name
"""What fails is recorded as an error and raised as it was; what is switched off is passed through."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import suppress
from types import SimpleNamespace

import asyncpg
import psycopg
import pytest

from pitstop.instrument import live, queries
from pitstop.record import RECORDER
from pitstop.record.statements import SQLITE


async def _nowhere(_):
    """Where a copy goes."""


async def every_way(connection, name):
    """Each of asyncpg's ways, on a table that may not be there; how many failed."""
    failed = 0

    async def attempt(awaitable):
        nonlocal failed
        try:
            return await awaitable
        except asyncpg.PostgresError:
            failed += 1

    await attempt(connection.execute(f"SELECT name FROM {name}"))
    await attempt(connection.execute(f"UPDATE {name} SET name = $1 WHERE id = 1", "x"))
    await attempt(connection.fetch(f"SELECT id FROM {name} WHERE id < $1", 4))
    await attempt(connection.executemany(f"DELETE FROM {name} WHERE id = $1", [(1,), (2,)]))
    await attempt(connection.copy_from_query(f"SELECT name FROM {name}", output=_nowhere))
    await attempt(connection.copy_records_to_table(name, records=[("x",)], columns=["name"]))
    return failed


def test_asyncpg_in_every_way_recorded_failed_and_off(postgres, server, recorded, monkeypatch):
    async def run(name):
        connection = await asyncpg.connect(postgres.url("postgresql"))
        try:
            return await every_way(connection, name)
        finally:
            await connection.close()

    with recorded() as below:
        assert asyncio.run(run("things")) == 0
    assert [outcome for _, outcome, _ in below.statements()] == ["ok"] * 6
    assert below.counted()["COPY (SELECT name FROM things) TO STDOUT"] == (1, 38)
    with recorded() as below:
        assert asyncio.run(run("nothing")) == 6
    assert [outcome for _, outcome, _ in below.statements()] == ["error"] * 6
    monkeypatch.setattr(RECORDER, "on", False)
    assert asyncio.run(run("things")) == 0
    assert RECORDER.drain().records == []


def test_asyncpgs_prepared_statements_that_fail(postgres, server, recorded):
    async def run():
        connection = await asyncpg.connect(postgres.url("postgresql"))
        with recorded() as below:
            statement = await connection.prepare("SELECT 1 / $1::int FROM things")
            with pytest.raises(asyncpg.DivisionByZeroError):
                await statement.fetch(0)
            with pytest.raises(asyncpg.DivisionByZeroError):
                await statement.fetchmany([(0,)])
            assert len(await statement.fetchmany([(1,), (1,)])) == 80
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with connection.transaction():
                    async for _ in connection.cursor("SELECT 1 / (id - 1) FROM things"):
                        pass
        await connection.close()
        return below

    below = asyncio.run(run())
    name = "SELECT ? / ?::int FROM things"
    assert [row for row in below.statements() if row[0] == name] == [(name, "error", 0)] * 2 + [(name, "ok", 80)]
    assert ("SELECT ? / (id - ?) FROM things", "error", 0) in below.statements()


def test_psycopg_passes_failures_on_and_streams_may_end_early(postgres, server, recorded):
    async def run():
        async with await psycopg.AsyncConnection.connect(postgres.dsn, autocommit=True) as connection:
            cursor = connection.cursor()
            for ways in (cursor.execute("SELECT nothing"), anext(cursor.stream("SELECT nothing"))):
                with pytest.raises(psycopg.errors.UndefinedColumn):
                    await ways
            with pytest.raises(psycopg.errors.UndefinedTable):
                async with cursor.copy("COPY nothing FROM STDIN"):
                    pass

    with recorded() as below:
        asyncio.run(run())
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            rows = connection.cursor().stream("SELECT id FROM things")
            assert next(rows) == (1,)
            rows.close()
            with pytest.raises(psycopg.errors.UndefinedTable), connection.cursor().copy("COPY nothing FROM STDIN"):
                pass
            with suppress(psycopg.Error), connection.transaction(), connection.cursor("named") as cursor:
                cursor.execute("SELECT nothing")
    names = [(name, outcome) for name, outcome, _ in below.statements()]
    assert names.count(("SELECT nothing", "error")) == 3
    assert names.count(("COPY nothing FROM STDIN", "error")) == 2
    assert ("SELECT id FROM things", "ok") in names


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # Django misses its applications here
def test_django_over_a_driver_without_an_integration_records_by_itself(postgres, server, recorded):
    from pitstop.instrument import django_orm

    module = sys.modules.get("django.db.backends.utils") or __import__("django.db.backends.utils", fromlist=["x"])
    run = module.CursorWrapper._execute

    class Cursor:
        rowcount = 7

        def execute(self, sql, params):
            if params:
                raise sqlite3.Error

    wrapper = SimpleNamespace(
        db=SimpleNamespace(
            vendor="oracle", validate_no_broken_transaction=lambda: None, wrap_database_errors=suppress(ZeroDivisionError)
        ),
        cursor=Cursor(),
        APPS_NOT_READY_WARNING_MSG="",
    )  # fmt: skip
    with recorded() as below:
        run(wrapper, "SELECT 1 FROM dual WHERE name = 'secret'", ())
        with pytest.raises(sqlite3.Error):
            run(wrapper, "SELECT 2 FROM dual", (1,))
    assert below.statements() == [
        ("SELECT ? FROM dual WHERE name = ?", "ok", 7), ("SELECT ? FROM dual", "error", 0),
    ]  # fmt: skip
    assert below.of("db")[0].attrs["db.system"] == "oracle"
    django_orm.detach(module)
    assert not hasattr(module.CursorWrapper._execute, "__wrapped__")
    django_orm.attach(module)


def test_texts_of_every_type_and_a_fault_of_ours_is_no_fault_of_the_hosts(recorded, monkeypatch):
    assert queries.text_of(b"SELECT 1", None) == "SELECT 1"
    assert queries.text_of(SimpleNamespace(strings=("SELECT ", " FROM t")), None) == "SELECT ? FROM t"
    driver = queries.Driver("sqlite", SQLITE)
    before = live.faults().get("queries.filed", 0)
    with recorded() as below:
        driver.filed(object(), "ok", 1, 0)
    assert not below.children
    assert live.faults()["queries.filed"] == before + 1
    readings = queries.Readings()
    for _ in range(2500):
        readings.keep(object(), None)
    assert len(readings) <= 1000
