# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""PyMySQL and mysqlclient on MariaDB, whose performance schema tells what it has run."""

from __future__ import annotations

import importlib.util

import pymysql
import pytest
import sqlalchemy as sa

DRIVERS = {"pymysql": pymysql}
if importlib.util.find_spec("MySQLdb"):  # needs a compiler and MySQL's headers
    import MySQLdb

    DRIVERS["mysqldb"] = MySQLdb


def connect(mariadb, driver):
    return DRIVERS[driver].connect(host=mariadb.host, port=mariadb.port, user=mariadb.user, database=mariadb.name)


@pytest.fixture
def things(mariadb):
    connection = connect(mariadb, "pymysql")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS things")
        cursor.execute("CREATE TABLE things (id int PRIMARY KEY AUTO_INCREMENT, name varchar(50))")
        cursor.executemany("INSERT INTO things (name) VALUES (%s)", [(f"thing {n}",) for n in range(30)])
        cursor.execute("TRUNCATE performance_schema.events_statements_summary_by_digest")
    connection.commit()
    yield connection
    connection.close()


def of_server(things):
    """Calls and rows of statements on the table, by their beginnings: MariaDB folds lists in its own way."""
    with things.cursor() as cursor:
        cursor.execute(
            "SELECT digest_text, count_star, sum_rows_sent + sum_rows_affected"
            " FROM performance_schema.events_statements_summary_by_digest WHERE digest_text LIKE '%things%'"
        )
        return sorted((text.split()[0], int(calls), int(rows)) for text, calls, rows in cursor.fetchall())


@pytest.mark.parametrize("driver", DRIVERS)
def test_calls_and_rows_are_those_of_mariadb(mariadb, things, recorded, driver):
    with recorded() as below:
        connection = connect(mariadb, driver)
        cursor = connection.cursor()
        cursor.execute("SELECT * FROM things WHERE id > %s", (10,))
        assert len(cursor.fetchall()) == 20
        cursor.execute("UPDATE things SET name = 'it\\'s' WHERE id IN (1, 2, 3)")
        cursor.executemany("INSERT INTO things (name) VALUES (%s)", [("a",), ("b",)])
        for n in range(3):
            cursor.execute('DELETE FROM things WHERE id = %s AND name <> "secret"', (n + 1,))
        connection.commit()
        connection.close()
    ours = below.counted()
    assert ours.pop("COMMIT") == (1, 0)
    assert {name: counts for name, counts in ours.items() if "things" in name} == {
        "SELECT * FROM things WHERE id > ?": (1, 20),
        "UPDATE things SET name = ? WHERE id IN (?)": (1, 3),
        "INSERT INTO things (name) VALUES (?)": (1, 2),
        "DELETE FROM things WHERE id = ? AND name <> ?": (3, 3),
    }
    assert sorted((name.split()[0], *counts) for name, counts in ours.items() if "things" in name) == of_server(things)
    assert [child.name for child in below.of("pool_wait")] == ["new database connection"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_sqlalchemy_records_each_statement_once(mariadb, things, recorded, driver):
    engine = sa.create_engine(mariadb.url(f"mysql+{driver}"))
    with recorded() as below, engine.begin() as connection:
        assert len(connection.execute(sa.text("SELECT id FROM things WHERE id < 6")).all()) == 5
    engine.dispose()
    assert below.counted()["SELECT id FROM things WHERE id < ?"] == (1, 5)
    assert of_server(things) == [("SELECT", 1, 5)]
    assert [child.outcome for child in below.of("transaction")] == ["commit"]


@pytest.mark.parametrize("driver", DRIVERS)
def test_errors_and_procedures(mariadb, things, recorded, driver):
    with things.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE PROCEDURE twice(IN n int) SELECT n * 2 AS doubled")
    with recorded() as below:
        connection = connect(mariadb, driver)
        cursor = connection.cursor()
        with pytest.raises(DRIVERS[driver].Error):
            cursor.execute("SELECT nothing FROM things WHERE name = 'secret'")
        cursor.callproc("twice", (4,))
        while cursor.nextset():
            pass
        connection.rollback()
        connection.close()
    assert ("SELECT nothing FROM things WHERE name = ?", "error", 0) in below.statements()
    assert any(name == "CALL twice(?)" and outcome == "ok" for name, outcome, _ in below.statements())
    assert ("ROLLBACK", "ok", 0) in below.statements()
