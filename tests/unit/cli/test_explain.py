"""``pitstop explain`` on a SQLite file: where the statement and its values come from, what is printed."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "json.md"
SQL = "SELECT * FROM orders WHERE status = :status AND id > :least"
NODE = {
    "what", "on", "detail", "cost", "rows_estimated", "rows_actual", "loops", "time_s", "own_s", "buffers_hit",
    "buffers_read", "spilled_bytes", "findings", "costly", "inputs",
}  # fmt: skip
PLAN = {"statement", "dialect", "analyzed", "duration_s", "root", "findings"}


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE orders (id integer PRIMARY KEY, status text)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(n, "open") for n in range(2000)])
    connection.close()
    return f"sqlite:///{path}"


VALUES = ("--param", "status=s3cr3t", "--param", "least=5")


def test_a_plan_is_printed_as_a_tree_with_what_to_do(pitstop: Any, database: str) -> None:
    ran = pitstop("explain", SQL, "--database", database, *VALUES)
    assert (ran.code, ran.err) == (0, "")
    assert "Search using integer primary key on orders" in ran.out
    assert "s3cr3t" not in ran.out
    assert not [line for line in ran.out.splitlines() if len(line) > 80]


def test_json_has_every_promised_field(pitstop: Any, database: str) -> None:
    ran = pitstop("explain", SQL, "--database", database, *VALUES, "--analyze", "--json")
    seen = json.loads(ran.out)
    assert set(seen) == {"version", "plan"}
    assert set(seen["plan"]) == PLAN
    assert set(seen["plan"]["root"]) == NODE
    assert seen["plan"]["analyzed"]
    for field in NODE | PLAN:
        assert f"`{field}`" in DOCUMENT.read_text()


def test_the_statement_comes_from_a_file_or_standard_input_and_the_database_from_the_environment(
    pitstop: Any, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    file = tmp_path / "slow.sql"
    file.write_text("SELECT count(*) FROM orders WHERE status = 'open';")
    ran = pitstop("explain", "--file", str(file))
    assert "1 finding, marked by !" in ran.out
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 1"))
    assert "SELECT ?" in pitstop("explain", "-").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "give the statement once"),
        (("SELECT 1", "--file", "x.sql"), "give the statement once"),
        (("--file", "nowhere.sql"), "'nowhere.sql' cannot be read"),
        (("SELECT 1",), "which database?"),
        (("SELECT 1", "--database", "shop.db"), "is no address of a database"),
        (("SELECT 1", "--database", "sqlite:////nowhere/at/all.db"), "cannot be reached"),
        (("SELECT 1", "--param", "5"), "is no NAME=VALUE"),
        (("SELECT 1", "--database", "{database}", "--param", "id=5"), "no parameter :id; it has none"),
        (("DROP TABLE orders", "--database", "{database}"), "cannot be explained"),
        (("DELETE FROM orders", "--database", "{database}", "--analyze"), "only statements that read"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(
    pitstop: Any, database: str, arguments: tuple[str, ...], words: str
) -> None:
    ran = pitstop("explain", *(argument.replace("{database}", database) for argument in arguments))
    assert ran.code == 2
    assert words in ran.err
    assert "Traceback" not in ran.err


def test_values_are_json_where_they_are_json_else_text(pitstop: Any, database: str) -> None:
    sql = "SELECT :a = 5 AND :b = '5' AND :c = '05' AND :d IS NULL AND :e = 'x=y' AND :f = '[1]'"
    values = ("a=5", 'b="5"', "c=05", "d=null", "e=x=y", "f=[1]")
    params = [part for value in values for part in ("--param", value)]
    ran = pitstop("explain", sql, "--database", database, *params, "--analyze", "--json")
    assert json.loads(ran.out)["plan"]["root"]["rows_actual"] == 1
