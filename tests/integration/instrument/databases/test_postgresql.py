# ruff: noqa: ANN001, ANN201, ANN202, ARG001, E501  fixtures are known by name
"""Against PostgreSQL's own account of the same run: calls and rows are equal for each statement, long times are, too."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

SLEEP = "SELECT pg_sleep(?)"
TIMES = 6
OF_CONNECTIONS = ("BEGIN", "SET ", "SHOW ", "select pg_catalog.version", "SELECT pg_advisory", "select current_schema",
                  "show ", "DEALLOCATE", "CLOSE", "UNLISTEN", "RESET", "SELECT CASE WHEN pg_catalog", "SELECT typ.oid",
                  "SELECT t.oid", "SELECT typname", "SELECT pg_catalog.pg_type", "ROLLBACK", "COMMIT", "begin")  # fmt: skip


def the_services(counted):
    """Without what drivers do for their connections."""
    return {name: counts for name, counts in counted.items() if not name.startswith(OF_CONNECTIONS)}


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[float | None]


def work(session):
    """What an ORM does in a day."""
    assert len(session.scalars(sa.select(Thing).where(Thing.price > 10)).all()) == 34
    assert session.scalar(sa.select(sa.func.count()).select_from(Thing)) == 40
    assert session.get(Thing, 5) is not None
    for ids in ([1, 2], [3, 4, 5]):
        assert len(session.execute(sa.select(Thing.name).where(Thing.id.in_(ids))).all()) == len(ids)
    session.add_all([Thing(name=f"new {n}", price=n) for n in range(7)])
    session.flush()
    session.execute(sa.update(Thing).where(Thing.name.like("new%")).values(price=1))
    session.execute(sa.delete(Thing).where(Thing.name == "new 1"))
    session.execute(sa.text("SELECT name FROM things WHERE id < 4 AND name <> 'x'")).first()
    with session.begin_nested():
        session.execute(sa.insert(Thing).values(name="nested"))
    session.commit()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_sqlalchemy_records_what_postgresql_has_run(postgres, server, recorded, driver):
    engine = sa.create_engine(postgres.url(f"postgresql+{driver}"))
    with recorded() as below, Session(engine) as session:
        work(session)
    engine.dispose()
    ours = the_services(below.counted())
    assert ours == the_services(server.counted())
    assert len(ours) >= 9
    assert [child.outcome for child in below.of("transaction")] == ["commit"]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_sqlalchemy_async_records_what_postgresql_has_run(postgres, server, recorded, driver):
    async def run():
        engine = create_async_engine(postgres.url(f"postgresql+{driver}"))
        with recorded() as below:
            async with async_sessionmaker(engine)() as session:
                await session.run_sync(work)
        await engine.dispose()
        return below

    below = asyncio.run(run())
    ours = the_services(below.counted())
    assert ours == the_services(server.counted())
    assert len(ours) >= 9


def test_psycopg_records_what_postgresql_has_run(postgres, server, recorded):
    with recorded() as below, psycopg.connect(postgres.dsn) as connection:
        assert len(connection.execute("SELECT * FROM things WHERE id < %s", (10,)).fetchall()) == 9
        with connection.cursor() as cursor:
            cursor.execute(sql.SQL("SELECT {} FROM things WHERE name = {}").format(sql.Identifier("id"), "thing 3"))
            cursor.execute(b"INSERT INTO things (name) VALUES ('a'), ('b'), ('c')")
            assert cursor.rowcount == 3
            for _ in cursor.execute("SELECT 1 FROM generate_series(1, 5)"):
                pass
            assert len(list(cursor.stream("SELECT 2 FROM generate_series(1, 6)"))) == 6
            with cursor.copy("COPY things (name) FROM STDIN") as copy:
                for n in range(4):
                    copy.write_row([f"copied {n}"])
            with cursor.copy("COPY things TO STDOUT") as copy:
                assert len(list(copy)) == 47
        with connection.transaction():
            connection.execute("DELETE FROM things WHERE id = 1")
    ours, theirs = the_services(below.counted()), the_services(server.counted())
    assert ours == theirs
    assert ours["COPY things TO STDOUT"] == (1, 47)
    assert [child.name for child in below.of("pool_wait")] == ["new database connection"]


def test_psycopg_async_records_what_postgresql_has_run(postgres, server, recorded):
    async def run():
        with recorded() as below:
            async with await psycopg.AsyncConnection.connect(postgres.dsn) as connection:
                cursor = await connection.execute("SELECT * FROM things WHERE id < %s", (10,))
                assert len(await cursor.fetchall()) == 9
                await cursor.execute("UPDATE things SET price = 3 WHERE id IN (1, 2, 3)")
                assert [row async for row in cursor.stream("SELECT 2 FROM generate_series(1, 6)")] == [(2,)] * 6
                async with cursor.copy("COPY things (name) FROM STDIN") as copy:
                    await copy.write_row(["copied"])
        return below

    below = asyncio.run(run())
    assert the_services(below.counted()) == the_services(server.counted())


def test_asyncpg_records_what_postgresql_has_run(postgres, server, recorded):
    async def run():
        with recorded() as below:
            connection = await asyncpg.connect(postgres.url("postgresql"))
            assert len(await connection.fetch("SELECT * FROM things WHERE id < $1", 10)) == 9
            assert await connection.fetchval("SELECT count(*) FROM things") == 40
            assert await connection.fetchrow("SELECT name FROM things WHERE id = $1", 4)
            assert await connection.execute("UPDATE things SET price = 1 WHERE id < 5") == "UPDATE 4"
            assert await connection.execute("DELETE FROM things WHERE id = $1", 40) == "DELETE 1"
            await connection.execute("SELECT name FROM things WHERE id IN (1, 2, 3)")
            statement = await connection.prepare("SELECT price FROM things WHERE id > $1")
            assert len(await statement.fetch(30)) == 9
            assert await statement.fetchval(38) is not None
            await connection.copy_records_to_table("things", records=[("x",), ("y",)], columns=["name"])
            await connection.close()
        return below

    below = asyncio.run(run())
    assert the_services(below.counted()) == the_services(server.counted())


def test_an_asyncpg_cursor_has_all_rows_where_postgresql_15_knows_of_the_last_piece_only(postgres, server, recorded):
    async def run():
        with recorded() as below:
            connection = await asyncpg.connect(postgres.url("postgresql"))
            async with connection.transaction():
                assert len([row async for row in connection.cursor("SELECT id FROM things", prefetch=15)]) == 40
                cursor = await connection.cursor("SELECT name FROM things")
                assert len(await cursor.fetch(7)) == 7
                assert await cursor.fetchrow() is not None
            await connection.close()
        return below

    ours = asyncio.run(run()).counted()
    assert ours["SELECT id FROM things"] == (1, 40)
    assert ours["SELECT name FROM things"] == (1, 8)


def sleep_by_psycopg(postgres):
    with psycopg.connect(postgres.dsn) as connection:
        for _ in range(TIMES):
            connection.execute("SELECT pg_sleep(%s)", (0.06,))


def sleep_by_asyncpg(postgres):
    async def run():
        connection = await asyncpg.connect(postgres.url("postgresql"))
        for _ in range(TIMES):
            await connection.fetch("SELECT pg_sleep(0.06)")
        await connection.close()

    asyncio.run(run())


def sleep_by_sqlalchemy(postgres):
    engine = sa.create_engine(postgres.url("postgresql+psycopg2"))
    with engine.connect() as connection:
        for _ in range(TIMES):
            connection.execute(sa.text("SELECT pg_sleep(0.06)"))
    engine.dispose()


@pytest.mark.parametrize("sleep", [sleep_by_psycopg, sleep_by_asyncpg, sleep_by_sqlalchemy])
def test_a_long_statement_takes_as_long_as_postgresql_says(postgres, server, recorded, sleep):
    """Within 3 %; the least disturbed of some is compared, because others use this machine, too."""
    with recorded() as below:
        sleep(postgres)
    ours_ms = [(child.end_ns - child.start_ns) / 1e6 for child in below.of("db") if child.name == SLEEP]
    ((calls, rows, theirs_ms),) = server.connection.execute(
        "SELECT calls, rows, min_exec_time FROM pg_stat_statements WHERE query LIKE 'SELECT pg_sleep%'"
    )
    assert below.counted()[SLEEP] == (calls, rows) == (TIMES, TIMES)
    assert theirs_ms <= min(ours_ms) <= theirs_ms * 1.03


def test_a_failed_statement_has_the_outcome_error_and_no_value(postgres, server, recorded):
    with (
        recorded() as below,
        psycopg.connect(postgres.dsn) as connection,
        pytest.raises(psycopg.errors.UndefinedColumn),
    ):
        connection.execute("SELECT nothing FROM things WHERE name = 'secret'")
    assert below.statements()[0] == ("SELECT nothing FROM things WHERE name = ?", "error", 0)


def test_executemany_is_one_call_with_all_its_rows(postgres, server, recorded):
    """The server counts each set of parameters as a call, the service has made one."""
    with recorded() as below, psycopg.connect(postgres.dsn) as connection:
        connection.cursor().executemany("UPDATE things SET price = %s WHERE id = %s", [(1, n) for n in range(1, 6)])
    name = "UPDATE things SET price = ? WHERE id = ?"
    assert below.counted()[name] == (1, 5)
    assert server.counted()[name] == (5, 5)


def test_a_server_side_cursor_has_the_rows_that_were_fetched(postgres, server, recorded):
    with recorded() as below, psycopg.connect(postgres.dsn) as connection, connection.cursor("named") as cursor:
        cursor.execute("SELECT id FROM things ORDER BY id")
        assert len(cursor.fetchmany(10)) == 10
        assert cursor.fetchone() == (11,)
        assert len(list(cursor)) == 29
    assert below.counted()["SELECT id FROM things ORDER BY id"] == (1, 40)


def test_pipelines_are_passed_through(postgres, server, recorded):
    with recorded() as below, psycopg.connect(postgres.dsn) as connection, connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", (n,)) for n in range(3)]
        assert [cursor.fetchone() for cursor in cursors] == [(0,), (1,), (2,)]
    assert below.counted()["SELECT ?::int"][0] == 3
