"""Cached results of queries against real databases: never older than the last commit, never another tenant's."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
import uuid
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship, selectinload

from pitstop.model.errors import SettingError
from pitstop.tune.cache import Cache
from pitstop.tune.cache.sqlalchemy import QueryCache, cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Base(DeclarativeBase):
    pass


class Shop(Base):
    __tablename__ = "shop"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(50))
    items: Mapped[list[Item]] = relationship(back_populates="shop", passive_deletes=True)


class Item(Base):
    __tablename__ = "item"
    id: Mapped[int] = mapped_column(primary_key=True)
    shop_id: Mapped[int] = mapped_column(sa.ForeignKey("shop.id", ondelete="CASCADE"))
    price: Mapped[Decimal] = mapped_column(sa.Numeric(10, 2))
    made: Mapped[dt.datetime] = mapped_column(sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"))
    code: Mapped[uuid.UUID] = mapped_column(sa.Uuid)
    data: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    raw: Mapped[bytes]
    shop: Mapped[Shop] = relationship(back_populates="items")


class Log(Base):
    __tablename__ = "log"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(sa.String(50))


MADE = dt.datetime(2026, 11, 21, 20, 0, 1, 123456)  # noqa: DTZ001  as the column has it
KEY = uuid.UUID(int=7)


def item(number: int, shop_id: int = 1) -> Item:
    return Item(
        id=number, shop_id=shop_id, price=Decimal("1.50"), made=MADE, code=KEY, data={"a": [1]}, raw=b"\x00\xff"
    )


class Counted:
    """An engine with a query cache, and how many SELECTs of the host's reached the database."""

    def __init__(self, engine: sa.Engine, cache: Cache, **options: Any) -> None:
        self.engine = engine
        self.cache = cache
        Base.metadata.drop_all(engine)
        Base.metadata.create_all(engine)
        with Session(engine) as session, session.begin():
            session.add(Shop(id=1, name="one"))
            session.flush()
            session.add_all([item(1), item(2)])
        self.queries = QueryCache(cache, engine, Base.metadata, ttl_s=60, **options)

    def asked(self) -> int:
        """SELECTs that were made: misses of the region."""
        return self.cache.get_metrics()["regions"]["sqlalchemy"]["misses"]

    @contextmanager
    def asks(self, times: int) -> Iterator[None]:
        before = self.asked()
        yield
        assert self.asked() - before == times


@pytest.fixture(params=["sqlite", "postgres", "mariadb", "file level"])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    name = request.param
    cache = Cache(file=tmp_path / "cache.db") if name == "file level" else Cache()
    if name == "postgres":
        url = request.getfixturevalue("postgres").url("postgresql+psycopg")
    elif name == "mariadb":
        url = request.getfixturevalue("mariadb").url("mysql+pymysql")
    else:
        url = f"sqlite:///{tmp_path / 'shop.db'}"
    engine = sa.create_engine(url)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA foreign_keys = ON"))
    try:
        yield Counted(engine, cache)
    finally:
        engine.dispose()
        cache.close()


def test_a_result_comes_back_as_the_database_gave_it(counted: Counted) -> None:
    statement = sa.select(Item).order_by(Item.id)
    with Session(counted.engine) as session, counted.asks(1):
        first = [vars(each) for each in session.scalars(cached(statement)).all()]
    with Session(counted.engine) as session, counted.asks(0):
        second = [vars(each) for each in session.scalars(cached(statement)).all()]
    with Session(counted.engine) as session:
        plain = [vars(each) for each in session.scalars(statement).all()]
    for rows in (first, second, plain):
        for row in rows:
            row.pop("_sa_instance_state")
    assert first == second == plain
    assert (first[0]["price"], first[0]["made"], first[0]["code"]) == (Decimal("1.50"), MADE, KEY)
    assert (first[0]["data"], first[0]["raw"]) == ({"a": [1]}, b"\x00\xff")


def test_who_changes_what_came_back_changes_it_for_nobody_else(counted: Counted) -> None:
    statement = cached(sa.select(Item.data).where(Item.id == 1))
    for _ in range(3):
        with counted.engine.connect() as connection:
            data = connection.execute(statement).scalar_one()
            assert data == {"a": [1]}
            data["a"].append(2)


def test_core_text_and_orm_with_its_loading_share_the_rules(counted: Counted) -> None:
    text = sa.text("SELECT count(*) FROM item WHERE shop_id = :shop")
    joined = sa.select(Shop).options(joinedload(Shop.items))
    apart = sa.select(Shop).options(selectinload(Shop.items))
    for misses in (1, 0):
        with Session(counted.engine) as session:
            with counted.asks(misses):
                assert session.execute(cached(text), {"shop": 1}).scalar_one() == 2
            with counted.asks(misses):
                assert len(session.scalars(cached(joined)).unique().one().items) == 2
        with Session(counted.engine) as session, counted.asks(2 * misses):
            assert len(session.scalars(cached(apart)).one().items) == 2
    with Session(counted.engine) as session, counted.asks(1):
        assert session.execute(cached(text), {"shop": 2}).scalar_one() == 0


@pytest.mark.parametrize("how", ["orm", "core", "text", "bulk", "many"])
def test_a_commit_voids_what_reads_the_table_and_nothing_else(counted: Counted, how: str) -> None:
    items, shops = cached(sa.select(sa.func.count()).select_from(Item)), cached(sa.select(Shop.name))
    with counted.engine.connect() as connection:
        assert connection.execute(items).scalar_one() == 2
        connection.execute(shops).all()
    with Session(counted.engine) as session, session.begin():
        values = {column.key: getattr(item(3), column.key) for column in sa.inspect(Item).columns}
        if how == "orm":
            session.add(item(3))
        elif how == "core":
            session.execute(sa.insert(Item.__table__).values(values))
        elif how == "text":
            copied = "INSERT INTO item SELECT 3, shop_id, price, made, code, data, raw FROM item WHERE id = 1"
            session.execute(sa.text(copied))
        elif how == "bulk":
            session.execute(sa.insert(Item), [values])
        else:
            session.execute(sa.insert(Item.__table__), [values, values | {"id": 4}])
    with counted.engine.connect() as connection:
        with counted.asks(1):
            assert connection.execute(items).scalar_one() == (4 if how == "many" else 3)
        with counted.asks(0):
            connection.execute(shops).all()


def test_a_transaction_sees_its_own_writes_and_leaves_nothing_of_them(counted: Counted) -> None:
    count = cached(sa.select(sa.func.count()).select_from(Item))
    with Session(counted.engine) as session:
        assert session.execute(count).scalar_one() == 2
        session.add(item(3))
        assert session.execute(count).scalar_one() == 3
        if counted.engine.dialect.name != "sqlite":  # where a writer holds no reader up
            with counted.engine.connect() as other, counted.asks(0):
                assert other.execute(count).scalar_one() == 2
        session.rollback()
        with counted.asks(0):  # what was rolled back voids nothing
            assert session.execute(count).scalar_one() == 2
        session.execute(sa.delete(Item).where(Item.id == 2))
        session.commit()
        with counted.asks(1):
            assert session.execute(count).scalar_one() == 1


def test_savepoints_end_with_their_transaction(counted: Counted) -> None:
    count = cached(sa.select(sa.func.count()).select_from(Item))
    with Session(counted.engine) as session:
        session.execute(count)
        with session.begin_nested() as point:
            session.add(item(3))
            session.flush()
            point.rollback()
        assert session.execute(count).scalar_one() == 2
        with session.begin_nested():
            session.add(item(4))
        assert session.execute(count).scalar_one() == 3
        session.commit()
    with counted.engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 3


def test_what_a_foreign_key_deletes_is_void_too(counted: Counted) -> None:
    count = cached(sa.select(sa.func.count()).select_from(Item))
    with counted.engine.begin() as connection:
        assert connection.execute(count).scalar_one() == 2
    with counted.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM shop WHERE id = 1"))
    with counted.engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 0


def test_what_is_not_understood_voids_everything(counted: Counted) -> None:
    names = cached(sa.select(Shop.name))
    with counted.engine.begin() as connection:
        connection.execute(names).all()
    with counted.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE other (id int)"))
        connection.execute(sa.text("DROP TABLE other"))
    with counted.engine.connect() as connection, counted.asks(1):
        connection.execute(names).all()


def test_without_the_wish_nothing_is_kept_and_views_need_to_be_named(counted: Counted) -> None:
    with counted.engine.begin() as connection:
        connection.execute(sa.text("DROP VIEW IF EXISTS cheap"))
        connection.execute(sa.text("CREATE VIEW cheap AS SELECT id FROM item WHERE price < 2"))
    try:
        with counted.engine.connect() as connection, counted.asks(0):
            connection.execute(sa.select(Shop.name)).all()
            for _ in range(2):
                assert connection.execute(cached(sa.text("SELECT count(*) FROM cheap"))).scalar_one() == 2
        counted.queries._views["cheap"] = {"item"}
        with counted.engine.connect() as connection, counted.asks(1):
            for _ in range(2):
                assert connection.execute(cached(sa.text("SELECT count(*) FROM cheap"))).scalar_one() == 2
        with Session(counted.engine) as session, session.begin():
            session.add(item(3))
        with counted.engine.connect() as connection:
            assert connection.execute(cached(sa.text("SELECT count(*) FROM cheap"))).scalar_one() == 3
    finally:
        with counted.engine.begin() as connection:
            connection.execute(sa.text("DROP VIEW cheap"))


def test_others_writes_are_told_by_hand(counted: Counted) -> None:
    names = cached(sa.select(Shop.name))
    with counted.engine.connect() as connection:
        connection.execute(names).all()
        counted.queries.void("Shop")
        with counted.asks(1):
            connection.execute(names).all()
        asyncio.run(counted.queries.avoid("shop"))
        with counted.asks(1):
            connection.execute(names).all()


def test_a_failed_statement_leaves_nothing_behind(counted: Counted) -> None:
    with counted.engine.connect() as connection:
        for _ in range(2):
            with pytest.raises(sa.exc.DBAPIError):
                connection.execute(cached(sa.text("SELECT nothing FROM item")))
            connection.rollback()
    assert not counted.cache.core.loading


def test_autocommit_voids_at_once(counted: Counted) -> None:
    count = cached(sa.select(sa.func.count()).select_from(Log))
    engine = counted.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as writer, counted.engine.connect() as reader:
        assert reader.execute(count).scalar_one() == 0
        reader.rollback()
        writer.execute(sa.insert(Log).values(id=1, text="a"))
        assert reader.execute(count).scalar_one() == 1


def test_threads_never_see_less_than_was_committed_before_they_asked(counted: Counted) -> None:
    """Each reader that asks after a commit has ended sees at least that much."""
    statement = cached(sa.select(sa.func.count()).select_from(Log))
    committed, over, wrong = [0], threading.Event(), []

    def read() -> None:
        while not over.is_set():
            least = committed[0]
            with counted.engine.connect() as connection:
                seen = connection.execute(statement).scalar_one()
            if seen < least:
                wrong.append((least, seen))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for number in range(1, 31):
            with counted.engine.begin() as connection:
                connection.execute(sa.insert(Log).values(id=number, text="x"))
            committed[0] = number
    finally:
        over.set()
        for reader in readers:
            reader.join()
    assert wrong == []


@pytest.mark.parametrize(
    ("server", "options", "first"),
    [
        ("postgres", {"isolation_level": "REPEATABLE READ"}, ""),
        ("postgres", {"isolation_level": "REPEATABLE_READ"}, ""),
        ("postgres", {"connect_args": {"options": r"-c default_transaction_isolation=repeatable\ read"}}, ""),
        ("postgres", {}, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
        ("postgres", {}, "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
        ("mariadb", {"isolation_level": "READ COMMITTED"}, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"),
    ],
)
def test_what_a_transaction_sees_of_the_past_is_not_kept(
    request: pytest.FixtureRequest, server: str, options: dict[str, Any], first: str
) -> None:
    driver = {"postgres": "postgresql+psycopg", "mariadb": "mysql+pymysql"}[server]
    counted = Counted(sa.create_engine(request.getfixturevalue(server).url(driver), **options), Cache())
    count = cached(sa.select(sa.func.count()).select_from(Item))
    with counted.engine.connect() as connection:
        if first:
            connection.exec_driver_sql(first)
            if "SESSION" in first:
                connection.commit()
        connection.execute(sa.select(Shop.id)).all()
        with Session(counted.engine) as session, session.begin():
            session.add(item(3))
        assert connection.execute(count).scalar_one() == 2
        with counted.engine.connect() as other:
            assert other.execute(count).scalar_one() == 3
    counted.engine.dispose()


def test_tenants_never_share_a_result(tmp_path: Path) -> None:
    tenant: list[str | None] = ["a"]
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    counted = Counted(engine, Cache(), tenant=lambda: tenant[0])
    names = cached(sa.select(Shop.name))
    with engine.connect() as connection:
        for who, misses in (("a", 1), ("a", 0), ("b", 1), ("a", 0)):
            tenant[0] = who
            with counted.asks(misses):
                connection.execute(names).all()
        tenant[0] = None
        with counted.asks(0):  # nobody's is not kept, and nobody is served another's
            connection.execute(names).all()
        assert counted.cache.get_metrics()["regions"]["sqlalchemy"]["hits"]["memory"] == 2
    engine.dispose()


def test_connections_with_settings_of_their_own_are_left_alone(postgres: Any) -> None:
    """Row level security by a setting: without `tenant` nothing of such a connection is kept."""
    engine = sa.create_engine(postgres.url("postgresql+psycopg"), pool_size=1)
    counted = Counted(engine, Cache())
    names = cached(sa.text("SELECT name FROM shop WHERE name <> current_setting('app.tenant', true)"))
    plain = cached(sa.select(Shop.name))
    with engine.connect() as connection:
        connection.execute(plain).all()
        connection.execute(names).all()
        connection.execute(sa.text("SELECT set_config('app.tenant', 'x', false)"))
        with counted.asks(0):
            connection.execute(plain).all()
    with engine.connect() as connection, counted.asks(0):  # the same connection of the pool
        connection.execute(plain).all()
    assert counted.cache.get_metrics()["regions"]["sqlalchemy"]["hits"]["memory"] == 0
    engine.dispose()


@pytest.mark.parametrize("driver", ["aiosqlite", "asyncpg"])
def test_asyncio_has_the_same(driver: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if driver == "asyncpg":
        url = request.getfixturevalue("postgres").url("postgresql+asyncpg")
    else:
        url = f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"

    async def run() -> None:
        cache = Cache(file=tmp_path / "cache.db")
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.run_sync(Base.metadata.create_all)
        QueryCache(cache, engine, [Base.metadata])
        count = cached(sa.select(sa.func.count()).select_from(Shop))
        async with AsyncSession(engine) as session:
            assert (await session.execute(count)).scalar_one() == 0
            session.add(Shop(id=1, name="one"))
            assert (await session.execute(count)).scalar_one() == 1
            await session.rollback()
            assert (await session.execute(count)).scalar_one() == 0
            session.add(Shop(id=1, name="one"))
            await session.commit()
        for _ in range(3):
            async with AsyncSession(engine) as session:
                assert (await session.execute(count)).scalar_one() == 1
                shop = (await session.scalars(cached(sa.select(Shop)))).one()
                assert shop.name == "one"
        hits = cache.get_metrics()["regions"]["sqlalchemy"]["hits"]["memory"]
        assert hits >= 4
        await engine.dispose()
        cache.close()

    asyncio.run(run())


DOINGS = ["read", "insert", "update", "delete", "commit", "rollback", "other reads"]
OPERATIONS = st.lists(st.tuples(st.sampled_from(DOINGS), st.integers(0, 2)), max_size=25)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_whatever_is_done_cached_reads_tell_the_same_as_plain_ones(tmp_path: Path, operations: list[Any]) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / f'{uuid.uuid4().hex}.db'}")
    Base.metadata.create_all(engine)
    QueryCache(Cache(), engine, Base.metadata)
    statements = [sa.select(Log.id, Log.text).order_by(Log.id), sa.select(sa.func.count()).select_from(Log),
                  sa.text("SELECT max(id) FROM log")]  # fmt: skip
    session, number = Session(engine), 0
    for what, at in operations:
        if what == "read":
            assert session.execute(cached(statements[at])).all() == session.execute(statements[at]).all()
        elif what == "insert":
            number += 1
            session.add(Log(id=number, text="x"))
            session.flush()
        elif what == "update":
            session.execute(sa.update(Log).where(Log.id > at).values(text=f"t{number}"))
        elif what == "delete":
            session.execute(sa.text("DELETE FROM log WHERE id % 3 = :at"), {"at": at})
        elif what in {"commit", "rollback"}:
            getattr(session, what)()
        elif not session.in_transaction():
            with engine.connect() as other:
                assert other.execute(cached(statements[at])).all() == other.execute(statements[at]).all()
    session.close()
    engine.dispose()


def test_settings_that_make_no_sense_are_refused() -> None:
    engine = sa.create_engine("sqlite://")
    with pytest.raises(SettingError, match="ttl_s=0"):
        QueryCache(Cache(), engine, Base.metadata, ttl_s=0)
    QueryCache(Cache(), engine, Base.metadata, triggers={"log": ["item"]})
    with pytest.raises(SettingError, match="has a QueryCache"):
        QueryCache(Cache(), engine, Base.metadata)
