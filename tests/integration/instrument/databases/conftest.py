"""What a test's operation has recorded, beside what the server says it has run."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.instrument import hooks
from pitstop.model.record import Child, named
from pitstop.record import CURRENT, RECORDER, Operation
from pitstop.record.statements import POSTGRESQL, normalized

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DRIVERS = (
    "sqlite3",
    "aiosqlite",
    "psycopg",
    "psycopg2",
    "asyncpg",
    "pymysql",
    "mysqlclient",
    "sqlalchemy",
    "django-orm",
)


class Below:
    """What ended below one operation."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    def of(self, kind: str) -> list[Child]:
        return [child for child in self.children if child.kind == kind]

    def statements(self) -> list[tuple[str, str, int]]:
        """Name, outcome and rows of each statement."""
        return [(child.name, child.outcome, child.nbytes) for child in self.of("db")]

    def counted(self) -> dict[str, tuple[int, int]]:
        """Calls and rows by statement."""
        calls: Counter[str] = Counter()
        rows: Counter[str] = Counter()
        for name, _, count in self.statements():
            calls[name] += 1
            rows[name] += count
        return {name: (calls[name], rows[name]) for name in calls}


@pytest.fixture(scope="session", autouse=True)
def hooked() -> Iterator[None]:
    """Every driver, as `pitstop run` hooks them."""
    hooks.install(DRIVERS)
    yield
    hooks.remove()


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Any]]:
    """Makes a context whose body is one request: what ended below it is known afterwards."""
    monkeypatch.setattr(RECORDER, "on", True)
    monkeypatch.setattr(RECORDER, "capacity", 100_000)

    @contextmanager
    def operation() -> Iterator[Below]:
        RECORDER.drain()
        below = Below()
        root = Operation("http", time.perf_counter_ns())
        root.name = "GET /"
        root.children = []
        token = CURRENT.set(root)
        try:
            yield below
        finally:
            CURRENT.reset(token)
            RECORDER.finish(root, time.perf_counter_ns())
            for record in named(RECORDER.drain().records):
                below.children.extend(record.children or ())
                if record.parent:
                    below.children.append(
                        Child(
                            record.kind,
                            record.name,
                            record.outcome,
                            record.start_ns,
                            record.end_ns,
                            record.nbytes,
                            None,
                        )
                    )

    yield operation
    RECORDER.drain()


class Server:
    """PostgreSQL's own account, by pg_stat_statements."""

    def __init__(self, dsn: str) -> None:
        import psycopg  # noqa: PLC0415  after it is hooked

        self.connection = psycopg.connect(dsn, autocommit=True)

    def reset(self) -> None:
        self.connection.execute("SELECT pg_stat_statements_reset()")

    def counted(self) -> dict[str, tuple[int, int]]:
        """Calls and rows by statement, named as ours are."""
        return {name: (calls, rows) for name, (calls, rows, _) in self.timed().items()}

    def timed(self) -> dict[str, tuple[int, int, float]]:
        """The same with the milliseconds that they took."""
        totals: dict[str, tuple[int, int, float]] = {}
        for text, calls, rows, ms in self.connection.execute(
            "SELECT query, calls, rows, total_exec_time FROM pg_stat_statements"
            " WHERE query NOT LIKE '%%pg_stat_statements%%'"
        ):
            name = normalized(text, POSTGRESQL)
            before = totals.get(name, (0, 0, 0.0))
            totals[name] = (before[0] + calls, before[1] + rows, before[2] + ms)
        return totals


@pytest.fixture
def server(postgres: Any) -> Iterator[Server]:
    server = Server(postgres.dsn)
    server.connection.execute("DROP TABLE IF EXISTS things")
    server.connection.execute("CREATE TABLE things (id serial PRIMARY KEY, name text, price numeric)")
    server.connection.execute(
        "INSERT INTO things (name, price) SELECT 'thing ' || n, n * 1.5 FROM generate_series(1, 40) AS n"
    )
    server.reset()
    yield server
    server.connection.close()


@pytest.fixture
def sqlite_file(tmp_path: Any) -> str:
    path = str(tmp_path / "things.db")
    connection = sqlite3.Connection(path)  # not by connect: not recorded
    with connection:
        connection.execute("CREATE TABLE things (id integer PRIMARY KEY, name text, price real)")
        connection.executemany("INSERT INTO things (name) VALUES (?)", [(f"thing {n}",) for n in range(1, 41)])
    connection.close()
    return path
