# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""Indexes that are there afterwards, however often they are asked for and whatever was left behind."""

from __future__ import annotations

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
