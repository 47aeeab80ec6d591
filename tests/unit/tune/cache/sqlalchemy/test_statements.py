"""What the text of a statement tells of the tables it reads and writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.sqlalchemy import understand

PG, MY, LITE = "postgresql", "mysql", "sqlite"


@pytest.mark.parametrize(
    ("dialect", "text", "reads"),
    [
        (LITE, "SELECT items.id FROM items WHERE items.id = ?", "items"),
        (PG, 'SELECT a.x FROM "A" a LEFT JOIN s.b AS b_1 ON a.i = b_1.i, c WHERE extract(day from d) = %(p)s', "a b c"),
        (PG, "SELECT 1 FROM a WHERE x IS DISTINCT FROM y", "a"),
        (PG, "WITH x(n) AS (SELECT 1 FROM a), y AS MATERIALIZED (SELECT * FROM x) SELECT count(*) FROM y, b", "a b"),
        (PG, "WITH RECURSIVE r AS (SELECT id FROM t UNION ALL SELECT t.id FROM t JOIN r ON true) SELECT * FROM r", "t"),
        (LITE, "SELECT * FROM (a JOIN b USING (id))", "a b"),
        (LITE, "SELECT EXISTS (SELECT 1 FROM t WHERE a IN (SELECT b FROM u)) FROM v", "t u v"),
        (LITE, "SELECT a FROM t UNION SELECT b FROM u ORDER BY 1", "t u"),
        (PG, "SELECT x.a FROM t AS x CROSS JOIN LATERAL (SELECT * FROM u LIMIT 1) l", "t u"),
        (PG, "SELECT $$ from x $$, 'it''s from y' FROM t -- from z", "t"),
        (PG, "SELECT $tag$ from $$ x $tag$ FROM t /* from z */", "t"),
        (MY, "SELECT `a` FROM `t` WHERE x = 'a\\'b FROM z'", "t"),
        (LITE, "SELECT [a b] FROM [my table]", "my table"),
        (PG, "SELECT a FROM t, unnest(t.tags) AS tag(name)", "t"),
        (PG, "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t", "t"),
        (LITE, "SELECT date(made) FROM t", "t"),
        (LITE, "SELECT strftime('%Y', made) FROM t;", "t"),
    ],
)  # fmt: skip
def test_a_read_names_its_tables(dialect: str, text: str, reads: str) -> None:
    statement = understand(text, dialect)
    expected = {reads} if reads == "my table" else set(reads.split())
    assert (statement.reads, statement.keepable, statement.unsure) == (expected, True, False)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (PG, "SELECT now(), a FROM t"), (PG, "SELECT current_user FROM t"), (LITE, "SELECT random() FROM t"),
        (PG, "SELECT a FROM t FOR UPDATE"), (PG, "SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED"),
        (PG, "SELECT a FROM t FOR SHARE"), (MY, "SELECT a FROM t LOCK IN SHARE MODE"), (LITE, "SELECT 1"),
        (LITE, "SELECT date('now') FROM t"), (LITE, "SELECT date() FROM t"), (LITE, "SELECT strftime('%s') FROM t"),
        (PG, "SELECT a FROM t WHERE d < 'today'"), (PG, "SELECT pg_backend_pid() FROM t"),
    ],
)  # fmt: skip
def test_what_depends_on_more_than_tables_is_not_kept_and_changes_none(dialect: str, text: str) -> None:
    statement = understand(text, dialect)
    assert not statement.keepable
    assert not statement.unsure
    assert not statement.writes


@pytest.mark.parametrize(
    ("dialect", "text", "writes"),
    [
        (PG, "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING t.id", "t"),
        (PG, "UPDATE ONLY s.t SET a = 1 FROM b WHERE b.id = t.id", "t"),
        (PG, "DELETE FROM t USING b WHERE t.id = b.id", "t"),
        (MY, "DELETE a FROM a JOIN b ON a.id = b.id", "a b"),
        (MY, "UPDATE a, b SET a.x = 1", "a b"),
        (MY, "INSERT IGNORE INTO t VALUES (1) ON DUPLICATE KEY UPDATE x = 1", "t"),
        ("mariadb", "REPLACE INTO t VALUES (1)", "t"),
        (LITE, "INSERT OR REPLACE INTO t SELECT * FROM u", "t"),
        (PG, "SELECT a INTO u FROM t", "u"),
        (PG, "WITH d AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM d", "t u"),
        (PG, "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET x = 1", "t"),
    ],
)  # fmt: skip
def test_a_write_names_what_it_changes(dialect: str, text: str, writes: str) -> None:
    statement = understand(text, dialect)
    assert (statement.writes, statement.keepable, statement.unsure) == (set(writes.split()), False, False)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        (PG, "SELECT my_function(a) FROM t"), (PG, "TRUNCATE t"), (PG, "SELECT 1; DROP TABLE t"), (PG, "CALL p()"),
        (PG, "CREATE TABLE t (a int)"), (PG, "DO $$ BEGIN DELETE FROM t; END $$"), (PG, "COPY t FROM STDIN"),
        (PG, "SELECT a FROM t /* a /* b */ FROM c */"), (PG, "SELECT 'open FROM t"), (MY, 'SELECT "a" FROM t'),
        (MY, "SELECT a FROM t # x"), (MY, "SELECT a /*!, b */ FROM t"), (MY, "SELECT 1--1 FROM t"),
        (PG, "SELECT (a FROM t"), (PG, "SELECT a) FROM t"), (PG, ""), (PG, "SELECT a FROM"),
        ("oracle", "SELECT a FROM t"),
        (PG, "SELECT '" + "x" * 30_000 + "' FROM t"), (PG, "REFRESH MATERIALIZED VIEW v"), (PG, 'SELECT U&"a" FROM t'),
    ],
)  # fmt: skip
def test_what_is_not_understood_may_have_changed_anything(dialect: str, text: str) -> None:
    statement = understand(text, dialect)
    assert statement.unsure
    assert not statement.keepable


def test_functions_of_the_host_can_be_named() -> None:
    assert understand("SELECT My_Function(a) FROM t", PG, frozenset({"my_function"})).keepable


@pytest.mark.parametrize(
    ("dialect", "text", "session"),
    [
        (PG, "SET search_path TO x", True), (PG, "SET ROLE a", True), (PG, "SELECT set_config('a', 'b', true)", True),
        (MY, "USE other", True), (LITE, "ATTACH 'x' AS y", True), (LITE, "PRAGMA foreign_keys = 0", True),
        (LITE, "PRAGMA foreign_keys(0)", True), (LITE, 'PRAGMA main.table_info("x")', False),
        (LITE, "PRAGMA journal_mode", False),
        (PG, "SET LOCAL statement_timeout = 5", False), (PG, "SET TRANSACTION READ ONLY", False),
        (PG, "SAVEPOINT a", False),
        (PG, "COMMIT", False), (PG, "show server_version", False),
    ],
)  # fmt: skip
def test_what_changes_the_meaning_of_others_is_known(dialect: str, text: str, *, session: bool) -> None:
    statement = understand(text, dialect)
    assert (statement.session, statement.unsure) == (session, False)


WORDS = [
    "select",
    "from",
    "(",
    ")",
    ",",
    "join",
    "update",
    "delete",
    "into",
    "with",
    "as",
    "x",
    "t.u",
    "'a'",
    ";",
    "using",
    "--",
    "f(",
]


@given(st.lists(st.sampled_from(WORDS), max_size=12), st.sampled_from([PG, MY, LITE]))
def test_no_text_makes_it_fail_and_what_writes_is_never_kept(words: list[str], dialect: str) -> None:
    statement = understand(" ".join(words), dialect)
    assert not (statement.keepable and (statement.writes or statement.unsure))


@given(st.text(max_size=200))
def test_nor_does_any_other_text(text: str) -> None:
    for dialect in (PG, MY, LITE):
        understand(text, dialect)


def test_its_time_is_linear() -> None:
    for text in ("(" * 19_000, "'" * 19_000, "/*" * 9_000, "$a" * 9_000, "select a from t where " + "a=1 and " * 2000):
        understand(text, PG)
