"""`pitstop advise`: says what to do, does it only when told to, and takes statements from the store."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model import Window
from pitstop.store import open_store

if TYPE_CHECKING:
    from pathlib import Path

BY_CUSTOMER = "SELECT * FROM orders WHERE customer_id = 's3cr3t'"
ITEM = {
    "kind", "table", "reason", "gain", "cost", "sql", "undo", "statements", "gain_ratio", "applied", "error",
}  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Orders, of which one customer has few."""
    raw = sqlite3.connect(tmp_path / "orders.db")
    raw.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INT NOT NULL, total INT NOT NULL, note TEXT)")
    rows = [((i * 7919) % 2000, i % 50, "x" * 30) for i in range(20_000)]
    raw.executemany("INSERT INTO orders (customer_id, total, note) VALUES (?, ?, ?)", rows)
    raw.commit()
    raw.close()
    return f"sqlite:///{tmp_path}/orders.db"


def indexes(database: str) -> list[str]:
    raw = sqlite3.connect(database.removeprefix("sqlite:///"))
    found = [row[0] for row in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")]
    raw.close()
    return found


def test_a_dry_run_says_what_to_do_and_does_nothing(pitstop: Any, database: str, tmp_path: Path) -> None:
    ran = pitstop(
        "advise", "--database", database, "--statement", BY_CUSTOMER, "--store", f"sqlite:///{tmp_path}/no.db"
    )
    assert (ran.code, ran.err) == (1, "")
    assert "CREATE INDEX IF NOT EXISTS orders_customer_id_idx ON orders (customer_id);" in ran.out
    assert "-- undo: DROP INDEX IF EXISTS orders_customer_id_idx;" in ran.out
    assert "Nothing was changed" in ran.out
    assert "s3cr3t" not in ran.out
    assert not [line for line in ran.out.splitlines() if len(line) > 80]
    assert indexes(database) == []
    assert not (tmp_path / "no.db").exists()


def test_with_apply_it_is_done_and_then_there_is_nothing_to_do(pitstop: Any, database: str) -> None:
    ask = ("advise", "--database", database, "--statement", BY_CUSTOMER)
    ran = pitstop(*ask, "--apply", "--yes")
    assert ran.code == 0
    assert "DROP INDEX IF EXISTS orders_customer_id_idx;" in ran.out
    assert indexes(database) == ["orders_customer_id_idx"]
    again = pitstop(*ask)
    assert (again.code, "nothing to change" in again.out) == (0, True)


def test_without_a_yes_it_is_not_done(pitstop: Any, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.confirm", lambda *_args, **_options: (_ for _ in ()).throw(SystemExit(3)))
    ran = pitstop("advise", "--database", database, "--statement", BY_CUSTOMER, "--apply")
    assert ran.code == 3
    assert indexes(database) == []


def test_json_has_the_promised_fields(pitstop: Any, database: str) -> None:
    ran = pitstop("advise", "--database", database, "--statement", BY_CUSTOMER, "--json")
    seen = json.loads(ran.out)
    assert set(seen) == {"version", "advice"}
    assert set(seen["advice"]) == {"database", "dialect", "statements_read", "items", "refused"}
    (item,) = seen["advice"]["items"]
    assert set(item) == ITEM
    assert item["gain_ratio"] > 100
    assert (item["applied"], item["error"]) == (False, None)
    done = json.loads(
        pitstop("advise", "--database", database, "--statement", BY_CUSTOMER, "--json", "--apply", "-y").out
    )
    assert done["advice"]["items"][0]["applied"] is True


def test_recorded_statements_are_taken_from_the_store_and_the_advice_put_there(
    pitstop: Any, insides_url: str, database: str
) -> None:
    ran = pitstop("advise", "--database", database, "--store", insides_url, "--service", "shop", "--json")
    seen = json.loads(ran.out)
    assert set(seen) == {"version", "window", "service", "advice"}
    assert seen["advice"]["statements_read"] >= 2
    store = open_store(insides_url, readonly=True)
    now = int(time.time())
    kept = store.reports(Window(now - 60, now + 60), kind="advice")
    store.close()
    assert (kept.name, kept.service) == ([database], ["shop"])
    assert set(json.loads(kept.body[0])) == {"dialect", "items", "refused"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--database", "sqlite:////no/where.db"), "no file"),
        (("--database", "nonsense"), "no URL"),
        (("--database", "oracle://x/y", "--statement", "SELECT 1"), "oracle|not installed|advised"),
        (("--database", "postgresql://nobody@127.0.0.1:1/x", "--statement", "SELECT 1"), "does not answer"),
        (("--database", "sqlite:///x.db", "--json", "--apply"), "--yes"),
    ],
)
def test_what_cannot_be_done_is_one_line(pitstop: Any, insides_url: str, arguments: tuple[str, ...], said: str) -> None:
    ran = pitstop("advise", *arguments, "--store", insides_url)
    assert (ran.code, ran.out) == (2, "")
    assert re.search(said, ran.err)
    assert ran.err.count("\n") == 1
