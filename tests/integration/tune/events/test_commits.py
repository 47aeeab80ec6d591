"""What commits of SQLAlchemy change is published, after it can be read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from pitstop.tune.cache import Cache
from pitstop.tune.cache.events import Bus, invalidate_on, publish_commits
from pitstop.tune.cache.sqlalchemy import QueryCache, cached

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


orders = Table("Orders", MetaData(), Column("id", Integer, primary_key=True), Column("what", String))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = (
        f"sqlite:///{tmp_path}/db"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres").url("postgresql+psycopg")
    )
    made = create_engine(url)
    Base.metadata.create_all(made)
    orders.create(made, checkfirst=True)
    yield made
    orders.drop(made)
    Base.metadata.drop_all(made)
    made.dispose()


def published(engine: Any) -> list[str]:
    bus, topics = Bus(), []
    bus.subscribe("*", lambda event: topics.append(event.topic))
    publish_commits(engine, bus)
    return topics


def test_a_commit_publishes_the_tables_it_changed(engine: Engine) -> None:
    """Through Core, the ORM and plain text; each table once a commit."""
    topics = published(engine)
    with engine.begin() as connection:
        connection.execute(insert(orders), [{"what": "a"}, {"what": "b"}])
        connection.execute(select(orders))
        assert topics == []
    assert topics == ["table.Orders"]
    with Session(engine) as session:
        session.add(User(id=1, name="a"))
        session.execute(update(orders).values(what="c"))
        session.flush()
        assert topics == ["table.Orders"]
        session.commit()
        assert topics == ["table.Orders", "table.Orders", "table.users"]
    with engine.begin() as connection:
        connection.execute(text("  with x as (select 1) delete from Users where id = 1"))
    assert topics[3:] == ["table.users"]


def test_what_is_rolled_back_is_not_published(engine: Engine) -> None:
    """Nor what a connection left when it went back to the pool."""
    topics = published(engine)
    with engine.connect() as connection:
        connection.execute(delete(orders))
        connection.rollback()
        connection.execute(select(orders))
        connection.commit()
        connection.execute(delete(orders))
    with engine.begin() as connection:
        connection.execute(select(orders))
    assert topics == []


def test_without_a_transaction_each_statement_publishes(engine: Engine) -> None:
    topics = published(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(orders).values(what="a"))
        assert topics == ["table.Orders"]


def test_who_reads_after_the_event_reads_what_is_new(engine: Engine) -> None:
    """A cache whose reader runs at the very moment of the event never keeps the old value."""
    bus, cache = Bus(), Cache()
    invalidate_on(bus, cache, "table.*")
    publish_commits(engine, bus)

    @cache.cached(tags=["table.Orders"])
    def count() -> int:
        with engine.connect() as connection:
            return len(connection.execute(select(orders)).all())

    bus.subscribe("table.Orders", lambda _event: count())  # reads at once, before the writer goes on
    for number in range(1, 6):
        with engine.begin() as connection:
            connection.execute(insert(orders).values(what="x"))
        assert count() == number


def test_what_others_put_around_commits_later_stays_when_publishing_ends(engine: Engine) -> None:
    bus, topics = Bus(), []
    bus.subscribe("*", lambda event: topics.append(event.topic))
    end = publish_commits(engine, bus)
    cache = Cache()
    QueryCache(cache, engine, orders.metadata)
    count = cached(select(func.count()).select_from(orders))
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 0
    end()
    with engine.begin() as connection:
        connection.execute(insert(orders).values(what="a"))
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == 1
    assert topics == []


def test_a_commit_that_cannot_be_published_has_succeeded(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Bus):
        def publish(self, topic: str, *_: Any, **__: Any) -> Any:
            raise OSError(f"no carrier for {topic}")

    end = publish_commits(engine, Broken())
    with engine.begin() as connection:
        connection.execute(insert(orders).values(what="a"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(insert(orders).values(what="b"))
        assert connection.execute(select(func.count()).select_from(orders)).scalar_one() == 2
    end()
    assert caplog.text.count("table 'Orders' could not be published") == 2


def test_async_engines_publish_as_well(tmp_path: Path) -> None:
    """And it ends when it is told to."""
    topics: list[str] = []

    async def work() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/db")
        bus = Bus()
        bus.subscribe("table.*", lambda event: topics.append(event.topic))
        end = publish_commits(engine, bus)
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(text("INSERT INTO users (name) VALUES ('a')"))
        end()
        async with engine.begin() as connection:
            await connection.execute(text("DELETE FROM users"))
        await engine.dispose()

    asyncio.run(work())
    assert topics == ["table.users"]
