# ruff: noqa: ANN001, ANN201, E501, Q003  arguments are drawn or from tables, which read best a case a line
"""Patterns of statements: what is folded, what is kept, and that no literal ever comes through."""

from __future__ import annotations

import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.record.pattern import LOOKED_AT, pattern_of
from pitstop.record.statements import ANY, MYSQL, POSTGRESQL, SQLITE, Statements, normalized

DIALECTS = (ANY, POSTGRESQL, MYSQL, SQLITE)
SECRET = "s3cr3tvalue"  # may stand right behind a quote


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("SELECT  a.b,\n\tc FROM t\r\n WHERE id = 5;", "SELECT a.b, c FROM t WHERE id = ?"),
        ("SELECT 'it''s' , -1.5e-3, +2, .5, 0xFF, 1_000", "SELECT ?, ?, ?, ?, ?, ?"),
        ("SELECT a - 1, a -1, (-1), 2*-3, b BETWEEN -1 AND -2", "SELECT a - ?, a -?, (?), ?*?, b BETWEEN ? AND ?"),
        ("x IN (1, 2,3) AND y IN ( %s , %s ) AND z IN (%(a_1)s)", "x IN (?) AND y IN (?) AND z IN (?)"),
        ("(a, b) IN ((1, 2), (3, 4)) AND c NOT IN (SELECT d FROM e)", "(a, b) IN ((?, ?)) AND c NOT IN (SELECT d FROM e)"),
        ("x IN (1, f(2, 3), f(2, 3), y)", "x IN (?, f(?, ?), f(?, ?), y)"),
        ("x IN ($1::INTEGER, $2::INTEGER)", "x IN (?::INTEGER)"),
        ("INSERT INTO t (a, b) VALUES (1, now()), (2, now()), (3, DEFAULT) RETURNING id",
         "INSERT INTO t (a, b) VALUES (?, now()) RETURNING id"),
        ("INSERT INTO t VALUES (%(a__0)s, %(b__0)s), (%(a__1)s, %(b__1)s)", "INSERT INTO t VALUES (?, ?)"),
        ("INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a), b = (3)",
         "INSERT INTO t VALUES (?) ON DUPLICATE KEY UPDATE a = VALUES(a), b = (?)"),
        ("a IS TRUE AND b = true AND c IS NOT NULL AND d = NULL", "a IS TRUE AND b = ? AND c IS NOT NULL AND d = ?"),
        ("CREATE TABLE t (a INT NOT NULL DEFAULT 5, b BOOL NULL)", "CREATE TABLE t (a INT NOT NULL DEFAULT ?, b BOOL NULL)"),
        ("SELECT a /* why */ FROM /* x */ t -- trace=1\nWHERE b", "SELECT a FROM t WHERE b"),
        ("a = ? AND b = ?1 AND c = :name AND d = $2 AND e = %s AND f = %(n)s AND g = @h AND i = @@j",
         "a = ? AND b = ? AND c = ? AND d = ? AND e = ? AND f = ? AND g = @h AND i = @@j"),
        ("SELECT a::text, b := 1, x %% 2, '%s'", "SELECT a::text, b := ?, x %% ?, ?"),
        ("SAVEPOINT s140_x12", "SAVEPOINT ?"),
        ("RELEASE SAVEPOINT s140_x12", "RELEASE SAVEPOINT ?"),
        ("RELEASE s140_x12", "RELEASE ?"),
        ("ROLLBACK TO SAVEPOINT s140_x12", "ROLLBACK TO SAVEPOINT ?"),
        ("ROLLBACK TO s140_x12", "ROLLBACK TO ?"),
        ("SELECT date'2020-01-01', INTERVAL '1 day'", "SELECT date?, INTERVAL ?"),
        ("SELECT 'a' 'b'", "SELECT ?"),
        ("SELECT naïve, таблица.имя FROM t1_2", "SELECT naïve, таблица.имя FROM t1_2"),
        ("", ""), (" ; ", ""), ("BEGIN;", "BEGIN"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name or "any")
def test_literals_parameters_lists_comments_and_whitespace_are_folded(dialect, text, pattern):
    assert normalized(text, dialect) == pattern


@pytest.mark.parametrize(
    ("dialect", "text", "pattern"),
    [
        (POSTGRESQL, 'SELECT "user"."id", "it\'s" FROM "User" u', 'SELECT "user"."id", "it\'s" FROM "User" u'),
        (POSTGRESQL, 'SAVEPOINT "s1_x2"', "SAVEPOINT ?"),
        (POSTGRESQL, "SELECT $a$x$a$, $$y$$, E'a\\'b', U&'x', B'01', X'ff', N'z'", "SELECT ?, ?, ?, ?, ?, ?, ?"),
        (POSTGRESQL, "SELECT d ->> 'k', d ?| ARRAY['a', 'b'], d #> '{a}', d @> '{}'",
         "SELECT d ->> ?, d ?| ARRAY[?], d #> ?, d @> ?"),
        (POSTGRESQL, r"SELECT 'C:\', x", "SELECT ?, x"),
        (POSTGRESQL, "SELECT ARRAY[1,2,3], a[1], a[1:2]", "SELECT ARRAY[?], a[?], a[?:?]"),
        (SQLITE, "SELECT [1, 2], [b.c d]", "SELECT [?], [b.c d]"),
        (POSTGRESQL, "SELECT a FROM t WHERE b = 'O'Brien' AND c = 'x'", "SELECT a FROM t WHERE b = ?…"),
        (POSTGRESQL, "SELECT a FROM t WHERE b = 'x' AND c = 'O' Brien'", "SELECT a FROM t WHERE b = ?…"),
        (POSTGRESQL, "SELECT 1 /* a /* b */ c */, x", "SELECT ?, x"),
        (POSTGRESQL, "SELECT 1 --x\r, y", "SELECT ?, y"),
        (MYSQL, "SELECT `a b`.`c``d`, \"text\" FROM `t`", "SELECT `a b`.`c``d`, ? FROM `t`"),
        (MYSQL, r"SELECT 'O\'Brien', x, 'y'", "SELECT ?, x, ?"),
        (MYSQL, "SELECT 5--3, x # why\n, _utf8mb4'z', 1a", "SELECT ?-?, x, ?, ?"),
        (MYSQL, "SELECT 1 -- why\n, x", "SELECT ?, x"),
        (SQLITE, 'SELECT "t"."a", [b c] FROM "t" AS "u" WHERE x = "text" GROUP BY "t"."a" ORDER BY "n"',
         'SELECT "t"."a", [b c] FROM "t" AS "u" WHERE x = ? GROUP BY "t"."a" ORDER BY "n"'),
        (SQLITE, 'INSERT INTO "t" ("a", "b") VALUES ("c", "d")', 'INSERT INTO "t" ("a", "b") VALUES (?, ?)'),
        (SQLITE, 'UPDATE "t" SET "a" = ?, "b" = "c" WHERE "t"."id" = ?', 'UPDATE "t" SET "a" = ?, "b" = ? WHERE "t"."id" = ?'),
        (SQLITE, 'CREATE TABLE "t" ("a" integer, "b" text DEFAULT "c")', 'CREATE TABLE "t" ("a" integer, "b" text DEFAULT ?)'),
        (SQLITE, "SELECT $name, x'ff'", "SELECT ?, ?"),
        (ANY, r"SELECT 'a\', x, 'b'", "SELECT ?…"),
        (ANY, "SELECT q'[it's]', x", "SELECT ?…"),
        (ANY, "SELECT [it's] FROM t", "SELECT ?…"),
        (ANY, "SELECT [a] FROM t", "SELECT [a] FROM t"),
        (ANY, "SELECT 1 --x'y\n, 'z'", "SELECT ? ?…"),
        (ANY, "SELECT 1 /* a /* b */ c */", "SELECT ? ?…"),
        (ANY, "SELECT `a'b`", "SELECT ?…"),
    ],
)  # fmt: skip
def test_what_dialects_write_differently_is_read_as_they_do(dialect, text, pattern):
    assert normalized(text, dialect) == pattern
    assert normalized(pattern, dialect) == pattern


FORMS = {
    ANY: ["'{}'", "'{}", "e'{}'", "E'\\'{}'", "n'{}'", "x'{}'", "b'{}", "U&'{}'", "_utf8'{}'", "$${}$$", "$t${}$t$",
          "$${}", "-- {}\n", "/* {} */", "/* {}", '= "{}"', "'a''{}'", "'a\\'{}'", "'a\n{}'", "q'[it's {}]'",
          "date'{}'", "# {}\n", "'\\\\' '{}'", "'x\\' '{}'", "'{}\\'", "7{}", "0x{}", "/* /* */ {} */", "--x'\n'{}",
          "`'` '{}'", '"\'" \'{}\'', "[']'{}'", "'{}' '"],
    POSTGRESQL: ["'{}'", "'{}", "e'{}'", "E'\\'{}'", "E'a\\\\' '{}'", "U&'{}'", "$${}$$", "$t${}$t$", "$t$ $$ {}",
                 "-- {}\n", "/* {} */", "/* /* */ {} */", "'a''{}'", "'a\\''{}'", "7{}", '"x" \'{}\'', "#'{}'",
                 "-- \r'\n{}'", "$1'{}'", "a[1]'{}'", "`'{}'"],
    MYSQL: ["'{}'", "'{}", '"{}"', '"{}', "'a\\'{}'", '"a\\"{}"', "'a''{}'", "n'{}'", "x'{}'", "_latin1'{}'", "# {}\n",
            "-- {}\n", "/* {} */", "/*! {} */", "5--'\n{}'", "`'`'{}'", "'\\\\''{}'", "7{}", "\"'\"'{}'"],
    SQLITE: ["'{}'", "'{}", '= "{}"', '("{}")', "x'{}'", "-- {}\n", "/* {} */", "'a''{}'", "[']'{}'", "`'`'{}'", "7{}",
             "\"'\" '{}'", "$a'{}'", ":a'{}'"],
}  # fmt: skip
TEMPLATES = [
    "SELECT a FROM t WHERE b = {} AND c = 1", "INSERT INTO t VALUES (1, {}), (2, {})", "{}", "x IN ({}, {})",
    "UPDATE t SET a = {} WHERE b = 'z'", "SELECT f({}) FROM t", "CREATE USER u IDENTIFIED BY {}", "SET x TO {}",
    "SELECT ARRAY[{}]", "VALUES ({})", "CALL p({})", "COMMENT ON TABLE t IS {}",
]  # fmt: skip


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name or "any")
def test_no_planted_secret_comes_through_in_any_form_at_any_place(dialect):
    for template in TEMPLATES:
        for form in FORMS[dialect]:
            text = template.replace("{}", form.replace("{}", SECRET))
            pattern = normalized(text, dialect)
            assert SECRET not in pattern, (text, pattern)
            assert normalized(pattern, dialect) == pattern


literal_free = st.text("abc.,()=<>[] \n-+*/:@", max_size=12).filter(lambda text: "--" not in text and "/*" not in text)


@given(st.data())
def test_a_secret_among_random_text_and_literals_never_comes_through(data):
    dialect = data.draw(st.sampled_from(DIALECTS))
    strings = ["'{}'", "'x''{}'", "'{}' ", "'{}\n'"] + ["$q${}$q$"] * (dialect in {ANY, POSTGRESQL})
    pieces = data.draw(st.lists(st.tuples(literal_free, st.sampled_from(strings)), max_size=8))
    text = "SELECT " + "".join(f"{code} {string.format(SECRET)} " for code, string in pieces)
    assert SECRET not in normalized(text, dialect)


@given(st.text("aeEinIN01$'\"`\\-#/*?%s():@,;.[]_ \n\r;…xé", max_size=60), st.sampled_from(DIALECTS))
def test_a_pattern_of_a_pattern_is_itself(text, dialect):
    once = pattern_of(text, dialect)
    assert pattern_of(once, dialect) == once


@given(st.integers(0, 40), st.text("'\"a1, ()-", max_size=40), st.sampled_from(DIALECTS))
def test_a_text_that_is_cut_anywhere_shows_no_literal(before, tail, dialect):
    text = "x" * (LOOKED_AT - before) + f" = '{SECRET}' AND y = '{SECRET}'" + tail
    once = pattern_of(text, dialect)
    assert "s3" not in once
    assert pattern_of(once, dialect) == once
    assert len(once) <= LOOKED_AT + 2


@pytest.mark.parametrize(
    "piece",
    ["'", '"', "`", "(", "[", "((1,", "$a$", "$", "/*", "--", "\\'", "'\\", "a.", "1e", "%(", "%(a", ":", "IN (",
     "VALUES (1),(", "in (1,", "array[", "'a' ", "_", "E'", "é", " ", "[[", "?", "@", "x", "-1", "((", "q'", "$1$"],
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name or "any")
def test_time_grows_with_the_length_looked_at_and_no_faster(dialect, piece, monkeypatch):
    monkeypatch.setattr("pitstop.record.pattern.LOOKED_AT", 1_000_000)

    def best_s(repeats: int) -> float:
        text, best = piece * repeats, float("inf")
        for _ in range(3):
            start_s = time.thread_time()
            pattern_of(text, dialect)
            best = min(best, time.thread_time() - start_s)
        return best

    short = 2000 // len(piece)
    assert best_s(4 * short) <= 4 * 2.5 * best_s(short) + 0.001


def test_what_lies_beyond_the_length_cap_costs_nothing_and_is_not_held():
    known = Statements(ANY)
    head = "SELECT " + "a" * LOOKED_AT
    patterns = {known[head + str(n) * 100_000] for n in range(3)}
    assert len(patterns) == 1
    assert patterns.pop().endswith("…")
    assert known.held_bytes < 4 * LOOKED_AT


def test_the_cache_is_bounded_in_bytes_and_answers_the_same_after():
    known = Statements(ANY, capacity_bytes=20_000)
    for n in range(2000):
        assert known[f"SELECT column_{n} FROM t WHERE x = 'é{n}'"] == f"SELECT column_{n} FROM t WHERE x = ?"
        assert known.held_bytes <= 20_000
    assert 10 < len(known) < 100
    assert Statements(ANY, capacity_bytes=10)["SELECT 1"] == "SELECT ?"


def test_threads_share_the_cache():
    known = Statements(ANY, capacity_bytes=5_000)
    wrong: list[str] = []

    def use() -> None:
        wrong.extend(
            text
            for n in range(3000)
            if known[text := f"SELECT c{n % 50} FROM t WHERE x = {n}"] != f"SELECT c{n % 50} FROM t WHERE x = ?"
        )

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert known.held_bytes <= 5_000


def test_a_child_forked_while_a_thread_fills_the_cache_can_fill_it_too():
    known = Statements(ANY)
    with known._lock:
        child = os.fork()
        if not child:
            os._exit(known["SELECT 1"] != "SELECT ?")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
