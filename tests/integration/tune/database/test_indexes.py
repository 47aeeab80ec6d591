# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""Indexes that are there afterwards, however often they are asked for and whatever was left behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.tune.database import create_engine, ensure_index
from pitstop.tune.database.names import verbatim


@pytest.fixture(params=["postgres", "mysql", "mariadb", "sqlite"])
def things(request):
    """An engine of ours and an empty table of things; SQLAlchemy has a dialect of MariaDB's own, too."""
    url = request.getfixturevalue(f"{request.param.replace('mysql', 'mariadb')}_url")
    engine = create_engine(url.replace("mysql+", "mariadb+") if request.param == "mariadb" else url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS things")
        connection.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, a integer, b integer, c varchar(20))")
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE things")
    engine.dispose()


def indexes_of(engine):
    return {entry["name"]: entry["column_names"] for entry in sa.inspect(engine).get_indexes("things")}


def test_an_index_is_made_once_and_undone_by_what_is_said(things):
    shown = ensure_index(things, "things", ["a", "b"], dry_run=True)
    assert not shown.done
    assert indexes_of(things) == {}
    made = ensure_index(things, "things", ["a", "b"])
    assert made.done
    assert made.sql == shown.sql
    assert indexes_of(things) == {"things_a_b_idx": ["a", "b"]}
    for again in (["a", "b"], ["a"]):  # the longer one serves the shorter, too
        found = ensure_index(things, "things", again)
        assert (found.done, found.sql, found.name) == (False, (), "things_a_b_idx")
    assert ensure_index(things, "things", ["b"]).done
    with things.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(verbatim(made.undo))
    assert indexes_of(things) == {"things_b_idx": ["b"]}


def test_a_unique_index_is_no_other_one_and_rows_that_are_twice_refuse_it(things):
    ensure_index(things, "things", ["a"])
    with things.begin() as connection:
        connection.exec_driver_sql("INSERT INTO things (id, a) VALUES (1, 5), (2, 5)")
    with pytest.raises(SettingError, match="was not made, and nothing of it is left"):
        ensure_index(things, "things", ["a"], unique=True, name="things_once")
    assert indexes_of(things) == {"things_a_idx": ["a"]}
    with things.begin() as connection:
        connection.exec_driver_sql("DELETE FROM things WHERE id = 2")
    assert ensure_index(things, "things", ["a"], unique=True, name="things_once").done
    assert set(indexes_of(things)) == {"things_a_idx", "things_once"}


def test_descending_and_partial_indexes_are_known_again_by_their_names(things):
    if things.dialect.name in {"mysql", "mariadb"}:
        with pytest.raises(SettingError, match="partial indexes are not known to m"):
            ensure_index(things, "things", ["a"], where="b > 5")
    else:
        made = ensure_index(things, "things", ["a DESC", "b"], where="c LIKE 'x:y%'")
        assert made.done
        assert "DESC" in made.sql[0]
        assert not ensure_index(things, "things", ["a DESC", "b"], where="c LIKE 'x:y%'").sql
        assert ensure_index(things, "things", ["a DESC", "b"], where="c LIKE 'z%'").done
    assert ensure_index(things, "things", ["b DESC"]).done
    assert not ensure_index(things, "things", ["b DESC"]).done


@pytest.mark.parametrize(
    ("table", "columns", "options", "words"),
    [
        ("things", [], {}, "a column at least"),
        ("things", ["a); DROP TABLE things; --"], {}, "is no column|is no name"),
        ('things"; DROP TABLE things; --', ["a"], {}, "is no name"),
        ("things", ["a"], {"name": "x" * 64}, "is no name"),
        ("nothing", ["a"], {}, "there is no table 'nothing'"),
        ("things", ["nothing"], {}, "the index was not made"),
        ("things", ["a"], {"where": "a > 5); DROP TABLE things; --"}, "more than one|not known|cannot be read"),
        ("things", ["a"], {"where": "a > 5) AND (b > 5"}, "closes a bracket|not known"),
    ],
)
def test_what_is_no_name_or_no_table_is_refused(things, table, columns, options, words):
    with pytest.raises(SettingError, match=words):
        ensure_index(things, table, columns, **options)
    assert indexes_of(things) == {}


def test_an_invalid_index_that_a_build_left_is_replaced(postgres_url):
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS things")
        connection.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, a integer)")
        connection.exec_driver_sql("INSERT INTO things VALUES (1, 5), (2, 5)")
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        pytest.raises(sa.exc.IntegrityError),
    ):
        connection.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY things_a_idx ON things (a)")
    shown = ensure_index(engine, "things", ["a"], dry_run=True)
    assert [command.split()[0] for command in shown.sql] == ["DROP", "CREATE"]
    assert "left it invalid" in shown.why
    assert ensure_index(engine, "things", ["a"]).done
    with engine.connect() as connection:
        valid = connection.exec_driver_sql(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_a_idx'::regclass"
        ).scalar()
        assert valid is True
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "30s"
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
    covering = ensure_index(engine, "things", ["a"], include=["id"])
    assert covering.sql[0].endswith("(a) INCLUDE (id)")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE things")
    engine.dispose()


@pytest.fixture
def plain(postgres_url):
    """An engine and an empty table in PostgreSQL."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS things")
        connection.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, a integer)")
    yield engine
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE things")
    engine.dispose()


def wait_until_invalid(engine):
    """Until a build has begun that waits for a writer."""
    deadline_s = time.monotonic() + 30
    begun = "SELECT count(*) FROM pg_index WHERE indexrelid = to_regclass('things_a_idx') AND NOT indisvalid"
    while True:
        with engine.begin() as connection:
            if connection.exec_driver_sql(begun).scalar():
                return
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_workers_that_want_the_same_index_at_once_make_it_once(plain):
    with ThreadPoolExecutor(4) as workers, plain.connect() as writer:
        writer.exec_driver_sql("INSERT INTO things VALUES (1, 5)")
        asked = [workers.submit(ensure_index, plain, "things", ["a"]) for _ in range(4)]
        wait_until_invalid(plain)
        writer.commit()
        found = [each.result(30) for each in asked]
    assert sorted(each.done for each in found) == [False, False, False, True]
    assert {each.name for each in found} == {"things_a_idx"}
    assert indexes_of(plain) == {"things_a_idx": ["a"]}
    with plain.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").scalar() == 0


def test_an_index_that_somebody_else_builds_is_left_to_them(plain):
    def build() -> None:
        with plain.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("CREATE INDEX CONCURRENTLY things_a_idx ON things (a)")

    with ThreadPoolExecutor(1) as workers, plain.connect() as writer:
        writer.exec_driver_sql("INSERT INTO things VALUES (1, 5)")
        built = workers.submit(build)
        wait_until_invalid(plain)
        found = ensure_index(plain, "things", ["a"])
        writer.commit()
        built.result(30)
    assert (found.done, found.sql) == (False, ())
    assert "being built" in found.why
    assert indexes_of(plain) == {"things_a_idx": ["a"]}


def test_where_what_a_failed_build_left_cannot_be_dropped_the_build_is_what_is_told(plain, monkeypatch):
    monkeypatch.setattr("pitstop.tune.database.indexes.LOCK_TIMEOUT_S", 0.2)
    with plain.connect() as writer:
        writer.exec_driver_sql("INSERT INTO things VALUES (1, 5)")
        with pytest.raises(SettingError, match=r"was not made, and it is left invalid.*lock timeout"):
            ensure_index(plain, "things", ["a"])
    assert ensure_index(plain, "things", ["a"]).done


def test_behind_a_pooler_indexes_are_made_without_a_setting_left(postgres, pgbouncer, postgres_url):
    engine = create_engine(postgres._replace(port=pgbouncer).url("postgresql+psycopg"), pooler="transaction")
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS things")
        connection.exec_driver_sql("CREATE TABLE things (id integer PRIMARY KEY, a integer)")
    assert ensure_index(engine, "things", ["a"]).done
    with engine.begin() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "0"
        connection.exec_driver_sql("DROP TABLE things")
    engine.dispose()
    assert postgres_url
