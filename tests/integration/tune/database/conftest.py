"""The same shop in PostgreSQL, MariaDB and SQLite: 500 customers, 10,000 orders, few of them open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Iterator

CUSTOMERS, ORDERS = 500, 10_000


def fill(engine: Any) -> None:
    with engine.begin() as connection:
        for table in ("orders", "customers"):
            connection.exec_driver_sql(f"DROP TABLE IF EXISTS {table}")
        connection.exec_driver_sql("CREATE TABLE customers (id integer PRIMARY KEY, name varchar(40), region integer)")
        connection.exec_driver_sql(
            "CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, total integer, status varchar(10))"
        )
        connection.execute(
            sa.text("INSERT INTO customers VALUES (:id, :name, :region)"),
            [{"id": n, "name": f"customer {n}", "region": n % 10} for n in range(CUSTOMERS)],
        )
        connection.execute(
            sa.text("INSERT INTO orders VALUES (:id, :customer, :total, :status)"),
            [
                {"id": n, "customer": n % CUSTOMERS, "total": n % 997, "status": "done" if n % 500 else "open"}
                for n in range(ORDERS)
            ],
        )
        connection.exec_driver_sql("CREATE INDEX orders_customer ON orders (customer_id)")
        connection.exec_driver_sql(
            "ANALYZE TABLE customers, orders" if connection.dialect.name == "mysql" else "ANALYZE"
        )


@pytest.fixture(scope="session")
def postgres_url(postgres: Any) -> str:
    url: str = postgres.url("postgresql+psycopg")
    engine = sa.create_engine(url)
    fill(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def mariadb_url(mariadb: Any) -> str:
    url: str = mariadb.url("mysql+pymysql")
    engine = sa.create_engine(url)
    fill(engine)
    engine.dispose()
    return url


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('shop')}/shop.db"
    engine = sa.create_engine(url)
    fill(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["postgres", "mariadb", "sqlite"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Each of the three."""
    engine = sa.create_engine(request.getfixturevalue(f"{request.param}_url"))
    yield engine
    engine.dispose()


@pytest.fixture
def postgres_engine(postgres_url: str) -> Iterator[Any]:
    engine = sa.create_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def mariadb_engine(mariadb_url: str) -> Iterator[Any]:
    engine = sa.create_engine(mariadb_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(sqlite_url: str) -> Iterator[Any]:
    engine = sa.create_engine(sqlite_url)
    yield engine
    engine.dispose()
