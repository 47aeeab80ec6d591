# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""What is planted in literals, parameters, comments and connection URLs is nowhere in the store nor in the log."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import suppress
from pathlib import Path
from time import perf_counter_ns

import asyncpg
import psycopg
import psycopg2
import pymysql
import sqlalchemy as sa

import pitstop
from pitstop.app import open_store
from pitstop.model import Window
from pitstop.model.trace import TraceMatch, decode_spans
from pitstop.record import CURRENT, RECORDER

CANARY = "c4naryvalue"
STATEMENTS = [
    f"SELECT '{CANARY}'",
    f"SELECT 1 -- {CANARY}",
    f"SELECT 1 /* {CANARY} */",
    f"SELECT 'it''s {CANARY}' AS x, 2 AS y",
    f"SELECT nothing FROM nowhere WHERE x = '{CANARY}' AND y IN ('{CANARY}', '{CANARY}')",
    f"SELECT '{CANARY}",
    f"INSERT INTO nowhere VALUES ('{CANARY}'), ('{CANARY}')",
    f"SELECT * FROM nowhere WHERE name = 'O'{CANARY}'",
    "x" * 5000 + f" '{CANARY}'",
]


def of_postgresql(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        for text in [*STATEMENTS, f"SELECT $${CANARY}$$", f"SELECT E'\\'{CANARY}'"]:
            with suppress(psycopg.Error):
                connection.execute(text)
        connection.execute("SELECT %s::text", (CANARY,))
        with suppress(psycopg.Error):
            connection.execute("SELECT %s::int", (CANARY,))
    with suppress(psycopg.Error):
        psycopg.connect(f"{dsn} password={CANARY} dbname={CANARY}")
    connection = psycopg2.connect(dsn)
    connection.autocommit = True
    for text in STATEMENTS:
        with suppress(psycopg2.Error), connection.cursor() as cursor:
            cursor.execute(text.replace("%", "%%"))
    connection.close()


async def of_asyncpg(url):
    connection = await asyncpg.connect(url)
    for text in STATEMENTS:
        with suppress(asyncpg.PostgresError):
            await connection.execute(text)
        with suppress(asyncpg.PostgresError):
            await connection.fetch(text)
    assert await connection.fetchval("SELECT $1::text", CANARY) == CANARY
    await connection.close()


def of_mysql(mariadb):
    connection = pymysql.connect(host=mariadb.host, port=mariadb.port, user=mariadb.user, database=mariadb.name)
    for text in [*STATEMENTS, f'SELECT "{CANARY}"', f"SELECT 'a\\'{CANARY}'", f"SELECT 1 # {CANARY}"]:
        with suppress(pymysql.Error), connection.cursor() as cursor:
            cursor.execute(text)
    connection.close()


def of_sqlite(path):
    connection = sqlite3.connect(path)
    for text in [*STATEMENTS, f'SELECT name FROM things WHERE name = "{CANARY}"']:
        with suppress(sqlite3.Error):
            connection.execute(text).fetchall()
        with suppress(sqlite3.Error):
            connection.executescript(text)
    connection.execute("SELECT ?", (CANARY,)).fetchall()
    connection.close()
    engine = sa.create_engine(f"sqlite:///{path}?timeout=5", connect_args={"uri": False})
    with engine.connect() as connected:
        for text in STATEMENTS:
            with suppress(sa.exc.SQLAlchemyError):
                connected.execute(sa.text(text.replace(":", "\\:"))).fetchall()
    engine.dispose()


def test_no_canary_is_in_the_store_or_the_log(postgres, mariadb, sqlite_file, tmp_path, caplog):
    folder = tmp_path / "store"
    folder.mkdir()
    caplog.set_level(logging.DEBUG, logger="pitstop")
    pitstop.init(
        service="shop", store=f"sqlite:///{folder}/p.db", log_slow_queries=True, slow_query_s=0.001, slow_s=0.001,
        traces_per_s=1000, overhead_budget=1,
    )  # fmt: skip
    try:
        for name, work in (
            ("PostgreSQL", lambda: of_postgresql(postgres.dsn)),
            ("asyncpg", lambda: asyncio.run(of_asyncpg(postgres.url("postgresql")))),
            ("MySQL", lambda: of_mysql(mariadb)),
            ("SQLite", lambda: of_sqlite(sqlite_file)),
        ):
            with pitstop.span(name):
                work()
        assert pitstop.flush(10)
        stored = b"".join(path.read_bytes() for path in sorted(Path(folder).iterdir()))
        assert b"SELECT ?" in stored
        assert CANARY.encode() not in stored
        store = sqlite3.Connection(f"file:{folder}/p.db?mode=ro", uri=True)
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert not any(CANARY in str(row) for table in tables for row in store.execute(f'SELECT * FROM "{table}"'))
        store.close()
    finally:
        pitstop.shutdown()
        RECORDER.drain()
    assert not any(CANARY in record.getMessage() for record in caplog.records)


def test_traces_hold_none_either(sqlite_file, tmp_path):
    """Spans in traces are compressed, so they are read back."""
    url = f"sqlite:///{tmp_path}/p.db"
    pitstop.init(service="shop", store=url, slow_s=0.001, traces_per_s=1000, overhead_budget=1)
    try:
        root = RECORDER.begin("http")
        assert root is not None
        root.name, root.outcome = "GET /things", "200"
        token = CURRENT.set(root)
        of_sqlite(sqlite_file)
        CURRENT.reset(token)
        RECORDER.finish(root, perf_counter_ns())
        assert pitstop.flush(10)
    finally:
        pitstop.shutdown()
    store = open_store(url, readonly=True)
    traces = store.traces(Window(0, 1 << 40), TraceMatch(), body=True)
    store.close()
    spans = [str(span) for body in traces.body for span in decode_spans(body)]
    assert len(spans) > len(STATEMENTS)
    assert not any(CANARY in span for span in spans)
