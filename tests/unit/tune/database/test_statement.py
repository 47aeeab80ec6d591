"""Which statements are let through, by whatever they are hidden in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.record.statements import MYSQL, POSTGRESQL, SQLITE
from pitstop.tune.database.address import address_of
from pitstop.tune.database.statement import calls_in, first_word, must_read, read_pattern

DIALECTS = (POSTGRESQL, MYSQL, SQLITE)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "  -- why\n select 1 ;",
        "/* why */ WITH a AS (SELECT 1) SELECT * FROM a",
        "(SELECT 1) UNION (SELECT 2)",
        "VALUES (1)",
        "SELECT 'a; DELETE FROM b' AS x, replace(c, 'a', 'b'), \"share\" FROM d",
        "SELECT lock_version, update_time, deleted FROM t",
    ],
)
def test_statements_that_read_may_be_run(sql: str) -> None:
    for dialect in DIALECTS:
        must_read(read_pattern(sql, dialect))


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a",
        "WITH a AS (INSERT INTO b VALUES (1) RETURNING *) SELECT * FROM a",
        "SELECT * FROM a FOR UPDATE SKIP LOCKED",
        "SELECT * FROM a FOR/**/UPDATE",
        "SELECT * FROM a fOr\nShArE",
        "SELECT * FROM a LOCK IN SHARE MODE",
        "SELECT * INTO b FROM a",
        "UPDATE a SET b = 1",
        "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE",
    ],
)
def test_statements_that_change_or_lock_may_not(sql: str) -> None:
    for dialect in DIALECTS:
        with pytest.raises(SettingError, match="only statements that read"):
            must_read(read_pattern(sql, dialect))


@given(st.text(alphabet="ab'\"`\\;-/*#$ \n()[]", max_size=40))
def test_nothing_gets_a_second_statement_through(filling: str) -> None:
    """What SQLite itself takes for two statements is never let through."""
    import sqlite3  # noqa: PLC0415  only this test asks it

    sql = f"SELECT {filling} ; SELECT 1"
    try:
        read_pattern(sql, SQLITE)
    except SettingError:
        return
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(sql)
    except (sqlite3.Error, sqlite3.Warning) as error:
        assert "one statement" not in str(error), sql  # noqa: PT017  other errors are fine
    finally:
        connection.close()


def test_words_and_calls_are_found_whatever_stands_before_them() -> None:
    assert first_word("((SELECT ?))") == "select"
    assert first_word("?") == ""
    assert calls_in('SELECT pg_sleep(?), "Quoted" (?), a.b(?), f (x)') == {"pg_sleep", "quoted", "b", "f"}
    assert calls_in('SELECT "a ""b" (?), `c d`(?), [e f](?), g$h(?)') == {'a "b', "c d", "e f", "g$h"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("postgres://u:p@h:5/d", "postgresql+psycopg://u:p@h:5/d"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("mysql://h/d", "mysql+pymysql://h/d"),
        ("mysql+aiomysql://h/d", "mysql+pymysql://h/d"),
        ("sqlite+aiosqlite:///a.db", "sqlite+pysqlite:///a.db"),
        ("postgresql://h/d?schema=public", "postgresql+psycopg://h/d"),
    ],
)
def test_addresses_get_a_driver_that_is_there_and_no_asyncio_one(text: str, found: str) -> None:
    expected = found.replace("asyncpg", "psycopg")
    assert address_of(text).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("shop.db", "is no address"),
        ("oracle://h/d", "'oracle' is no database"),
        ("postgresql://h:x/d", "cannot be read"),
    ],
)
def test_what_is_no_address_is_refused(text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        address_of(text)


def test_a_password_is_not_repeated_in_an_error() -> None:
    with pytest.raises(SettingError) as caught:
        address_of("postgresql://u:s3cr3t@h:port/d")
    assert "s3cr3t" not in str(caught.value)
