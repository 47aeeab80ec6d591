# ruff: noqa: ANN001, ANN201, ANN202, PT012  fixtures are known by name
"""sqlite3 and aiosqlite: recorded, and otherwise as they are."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import aiosqlite
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from pitstop.instrument import sqlite
from pitstop.record import CURRENT, RECORDER

ALL = "SELECT * FROM things"


def of_service(below):
    """Without what SQLAlchemy asks of a new connection."""
    return {name: counts for name, counts in below.counted().items() if not name.startswith("PRAGMA")}


def test_each_way_to_read_has_its_rows(sqlite_file, recorded):
    with recorded() as below, closing(sqlite3.connect(sqlite_file)) as connection:
        assert len(connection.execute(ALL).fetchall()) == 40
        assert connection.execute("SELECT id FROM things WHERE id = ?", (3,)).fetchone() == (3,)
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM things WHERE id < 30")
        assert len(cursor.fetchmany(7)) + len(cursor.fetchmany(size=5)) == 12
        assert sum(1 for _ in cursor) == 17
        for row in connection.execute("SELECT name FROM things"):
            if row == ("thing 4",):
                break
    assert below.counted() == {
        ALL: (1, 40),
        "SELECT id FROM things WHERE id = ?": (1, 1),
        "SELECT id FROM things WHERE id < ?": (1, 29),
        "SELECT name FROM things": (1, 4),
    }
    assert all(
        child.attrs["line"].startswith("tests/") or "test_sqlite.py:" in child.attrs["line"] for child in below.of("db")
    )


def test_changes_scripts_errors_and_commits(sqlite_file, recorded):
    with recorded() as below, closing(sqlite3.connect(sqlite_file)) as connection:
        with connection:
            connection.execute("UPDATE things SET price = 1 WHERE id IN (1, 2, 3)")
            connection.executemany("INSERT INTO things (name) VALUES (?)", [("a",), ("b",)])
        with pytest.raises(ZeroDivisionError), connection:
            connection.execute("DELETE FROM things")
            raise ZeroDivisionError
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT nothing FROM things WHERE name = 'secret'")
        connection.executescript("CREATE TABLE other (a); INSERT INTO other VALUES ('secret')")
        connection.commit()
    assert below.statements() == [
        ("UPDATE things SET price = ? WHERE id IN (?)", "ok", 3),
        ("INSERT INTO things (name) VALUES (?)", "ok", 2),
        ("COMMIT", "ok", 0),
        ("DELETE FROM things", "ok", 42),
        ("ROLLBACK", "ok", 0),
        ("SELECT nothing FROM things WHERE name = ?", "error", 0),
        ("CREATE TABLE other (a); INSERT INTO other VALUES (?)", "ok", 0),
    ]


def test_reading_late_rows_takes_time_that_counts(sqlite_file, recorded):
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT i FROM n"
    with recorded() as below, closing(sqlite3.connect(sqlite_file)) as connection:
        cursor = connection.execute(sql)
        (before,) = [child for child in CURRENT.get().children if child[0] == "db"]
        cursor.fetchall()
    (child,) = below.of("db")
    assert child.nbytes == 200_000
    assert child.duration_ns > 10 * (before[4] - before[3])


def test_classes_factories_and_rows_are_the_hosts_own(sqlite_file, recorded):
    class Mine(sqlite3.Connection):
        def cursor(self, factory=sqlite3.Cursor):
            return super().cursor(factory)

    class MyCursor(sqlite3.Cursor):
        def shout(self):
            return self.fetchone()[0].upper()

    with recorded() as below, closing(sqlite3.connect(sqlite_file, factory=Mine)) as connection:
        assert isinstance(connection, Mine)
        assert type(connection).__name__ == "Mine"
        cursor = connection.cursor(factory=MyCursor)
        assert isinstance(cursor, MyCursor)
        assert cursor.execute("SELECT name FROM things").shout() == "THING 1"
        connection.row_factory = sqlite3.Row
        assert connection.execute(ALL).fetchone()["id"] == 1
        assert iter(cursor) is not None
        assert next(connection.execute(ALL))["id"] == 1
    assert len(below.of("db")) == 3


def test_a_connection_goes_on_when_nothing_is_recorded_any_more(sqlite_file, recorded):
    with recorded() as below:
        connection = sqlite3.connect(sqlite_file)
        cursor = connection.execute(ALL)
    RECORDER.on = False
    assert len(cursor.fetchall()) == 40
    assert len(connection.execute(ALL).fetchall()) == 40
    connection.execute("DELETE FROM things")
    connection.rollback()
    connection.close()
    assert len(below.of("db")) == 1


def test_hooks_come_off(sqlite_file, recorded):
    sqlite.detach(sqlite3)
    try:
        with recorded() as below, closing(sqlite3.connect(sqlite_file)) as connection:
            assert type(connection) is sqlite3.Connection
            connection.execute(ALL)
        assert not below.children
    finally:
        sqlite.attach(sqlite3)
    sqlite.attach(sqlite3)  # again does nothing more
    with recorded() as below, closing(sqlite3.connect(sqlite_file)) as connection:
        connection.execute(ALL)
    assert len(below.of("db")) == 1


def test_aiosqlite_works_for_the_operation_that_waits(sqlite_file, recorded):
    async def ask(wanted):
        with recorded() as below:
            async with aiosqlite.connect(sqlite_file) as connection, connection.execute(ALL) as cursor:
                await asyncio.sleep(0)
                assert len(await cursor.fetchmany(wanted)) == wanted
        return below

    async def run():
        return await asyncio.gather(ask(5), ask(6))

    for below, wanted in zip(asyncio.run(run()), (5, 6), strict=True):
        assert below.statements() == [(ALL, "ok", wanted)]
        assert "in ask" in below.of("db")[0].attrs["line"]


def test_sqlalchemy_records_once_whatever_was_there_first(sqlite_file, recorded):
    engine = sa.create_engine(f"sqlite:///{sqlite_file}", creator=lambda: sqlite3.Connection(sqlite_file))
    with recorded() as below, engine.begin() as connection:  # a connection as made before any hook
        assert len(connection.execute(sa.text(ALL)).all()) == 40
    assert of_service(below) == {ALL: (1, 40)}
    engine.dispose()
    engine = sa.create_engine(f"sqlite:///{sqlite_file}")
    with recorded() as below, engine.connect() as connection:
        assert connection.execute(sa.text(ALL)).first() is not None
    assert of_service(below) == {ALL: (1, 1)}
    assert [child.outcome for child in below.of("transaction")] == ["rollback"]
    engine.dispose()


def test_sqlalchemy_over_aiosqlite_records_once(sqlite_file, recorded):
    async def run():
        engine = create_async_engine(f"sqlite+aiosqlite:///{sqlite_file}")
        with recorded() as below:
            async with engine.begin() as connection:
                assert len((await connection.execute(sa.text(ALL))).all()) == 40
        await engine.dispose()
        return below

    below = asyncio.run(run())
    assert of_service(below) == {ALL: (1, 40)}
    assert "in run" in below.of("db")[-1].attrs["line"]
