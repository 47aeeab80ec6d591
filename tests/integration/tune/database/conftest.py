"""The same shop in PostgreSQL, MariaDB and SQLite: 500 customers, 10,000 orders, few of them open."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
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


@pytest.fixture(scope="session")
def pgbouncer(postgres: Any) -> Iterator[int]:
    """PgBouncer's port, in transaction mode with a single server connection for everybody: whatever leaks is seen."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    if not Path(program).exists():
        if os.environ.get("CI") == "true":
            pytest.fail("pgbouncer is not installed, and CI=true allows no test to be skipped: scripts/debian")
        pytest.skip("pgbouncer is not installed: scripts/debian")
    folder = Path(tempfile.mkdtemp(prefix="pitstop-pgb-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{postgres.name} = host={postgres.host} port={postgres.port} user={postgres.user}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 1\nmax_client_conn = 100\n"
    )
    account = {}
    if os.geteuid() == 0:  # it refuses root
        entry = pwd.getpwnam("postgres")
        account = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        for path in (folder, *folder.iterdir()):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, folder / "pgbouncer.ini"], cwd=folder, stderr=log, stdout=log, **account)
    try:
        deadline_s = time.monotonic() + 10
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline_s, "pgbouncer does not listen"
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)
