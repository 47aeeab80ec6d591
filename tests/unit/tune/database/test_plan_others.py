"""Reading the plans of MariaDB, MySQL and SQLite from documents as those servers write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pitstop.model.errors import SettingError
from pitstop.tune.database.plan import tables_of, walk
from pitstop.tune.database.plan_mariadb import read_mariadb
from pitstop.tune.database.plan_sqlite import read_sqlite


def table(name: str, access: str = "ALL", **more: Any) -> dict[str, Any]:
    return {"table": {"table_name": name, "access_type": access, **more}}


def ran(name: str, rows: float, *, loops: int = 1, kept: float = 100.0, ms: float = 1.0, **more: Any) -> dict[str, Any]:
    return table(
        name, r_loops=loops, rows=more.pop("expected", rows), r_rows=rows, r_filtered=kept, r_table_time_ms=ms,
        r_other_time_ms=0.5, **more,
    )  # fmt: skip


def read(block: dict[str, Any]) -> Any:
    return read_mariadb(json.dumps({"query_block": {"select_id": 1, **block}}), "SELECT 1")


def test_what_is_no_plan_is_refused_with_a_reason() -> None:
    for text in ("", "[]", "{}", "null"):
        with pytest.raises(SettingError, match="no EXPLAIN FORMAT=JSON"):
            read_mariadb(text, "SELECT 1")


def test_times_of_tables_are_their_own_and_a_blocks_rest_is_its_own() -> None:
    plan = read({"r_loops": 1, "r_total_time_ms": 10.0, "nested_loop": [ran("a", 10), ran("b", 5, loops=10, ms=6.0)]})
    own = {here["what"] + here["on"]: here["own_s"] for here in walk(plan["root"])}
    assert own == pytest.approx({"Select": 0.002, "Nested Loop": 0.0, "Table Scana": 0.0015, "Table Scanb": 0.0065})
    assert [here["on"] for here in walk(plan["root"]) if here["costly"]] == ["", "", "b"]
    assert plan["duration_s"] == pytest.approx(0.010)


def test_tables_of_one_name_in_a_block_are_all_read() -> None:
    one, other = (json.dumps(table(name, rows=rows))[1:-1] for name, rows in (("a", 5), ("b", 7)))
    text = f'{{"query_block": {{{one}, {other}}}}}'
    assert tables_of(read_mariadb(text, "SELECT 1")["root"]) == ["a", "b"]


def test_mariadbs_conditions_are_read_although_their_quotes_are_not_escaped() -> None:
    condition = 'o.a = \'x\\\'secret", "table_name": "secret\' and o.b = 5'
    text = json.dumps({"query_block": {"table": {"table_name": "o", "access_type": "ALL", "rows": 5}}}, indent=2)
    text = text.replace('"rows": 5', f'"attached_condition": "{condition}",\n        "rows": 5')
    plan = read_mariadb(text, "SELECT 1")
    assert plan["root"]["inputs"][0]["detail"] == "attached condition: o.a = ? and o.b = ?"
    assert tables_of(plan["root"]) == ["o"]


def test_mysqls_own_documents_are_read() -> None:
    block = {
        "cost_info": {"query_cost": "1234.5"},
        "ordering_operation": {
            "using_filesort": True,
            "nested_loop": [
                table(
                    "o", "ref", key="o_c", rows_examined_per_scan=5, cost_info={"prefix_cost": "7.5"}, ref=["t.c.id"]
                ),
                table(
                    "c", "eq_ref", key="PRIMARY", rows_examined_per_scan=1, attached_condition="(`c`.`x` = 'secret')"
                ),
            ],
        },
        "attached_subqueries": [{"query_block": {"select_id": 2, "table": {"message": "No tables used"}}}],
    }
    plan = read_mariadb(json.dumps({"query_block": block}), "SELECT 'secret'", "mysql")
    assert [here["what"] for here in walk(plan["root"])] == [
        "Select", "Order", "Nested Loop", "Index Lookup", "Unique Index Lookup", "Select", "No tables used",
    ]  # fmt: skip
    assert plan["root"]["cost"] == 1234.5
    assert "secret" not in json.dumps(plan)
    assert not plan["analyzed"]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (ran("o", 20_000, kept=1, attached_condition="x"), "reads 20,000 rows to keep 200: an index"),
        (
            table("o", "ref", key="k", r_loops=200, rows=10, r_rows=10, r_filtered=0, attached_condition="x"),
            "the index finds 10 rows and the condition keeps 0, 200 times",
        ),
        (ran("o", 5000, expected=5), "expected 5 rows and got 5,000, 1,000 times as many"),
        (table("o", rows=5000, attached_condition="x"), "reads about 5,000 rows, the whole table"),
        ({"filesort": {"r_sort_passes": 3, **ran("o", 5)}}, "sorted on disk in 3 passes"),
        (
            {"block-nl-join": {"join_type": "BNL", "r_loops": 100, **ran("b", 50)}},
            "compares 50 rows of b with each of what is joined to it",
        ),
    ],
)
def test_a_step_of_mariadbs_says_what_is_wrong_with_it(part: dict[str, Any], words: str) -> None:
    assert any(words in finding for finding in read(part)["findings"]), read(part)["findings"]


def test_steps_of_mariadbs_that_do_well_are_silent() -> None:
    for part in (
        ran("o", 500, kept=1, attached_condition="x"),
        ran("<derived2>", 5000, expected=5),
        ran("o", 10, expected=5000),  # a LIMIT may have had enough
        table("o", rows=10, attached_condition="x"),
        table("o", r_loops=0, rows=5000, r_rows=None, attached_condition="x"),
        {"block-nl-join": {"join_type": "BNLH", "r_loops": 100, **ran("b", 50)}},
        {"filesort": {"sort_key": "a", **ran("o", 5)}},
    ):
        assert read(part)["findings"] == []


def sqlite(*details: str, sql: str = "SELECT * FROM orders WHERE x = 1", **more: Any) -> Any:
    """Steps side by side; one that begins with ``>`` is below the one before it."""
    rows, parent = [], 0
    for number, detail in enumerate(details, 1):
        below = detail.startswith(">")
        parent = number - 1 if below and not details[number - 2].startswith(">") else parent if below else 0
        rows.append((number, parent, 0, detail.lstrip(">")))
    return read_sqlite(rows, sql, {"orders": 20_000, "customers": 500}, **more)


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (("SCAN orders",), "Scan on orders: reads all 20,000 rows"),
        (("SCAN TABLE orders",), "Scan on orders: reads all 20,000 rows"),
        (("SCAN customers", "SCAN orders"), "again for each row of what stands before it"),
        (
            ("SCAN customers", "SEARCH orders USING AUTOMATIC COVERING INDEX (customer_id=?)"),
            "builds an index on (customer_id) each time",
        ),
        (("SCAN orders", "USE TEMP B-TREE FOR ORDER BY"), "sorts what it has read"),
        (
            ("SCAN customers", "CORRELATED SCALAR SUBQUERY 1", ">SCAN orders"),
            "once for each row of the query around it",
        ),
    ],
)
def test_a_step_of_sqlites_says_what_is_wrong_with_it(details: tuple[str, ...], words: str) -> None:
    assert any(words in finding for finding in sqlite(*details)["findings"]), sqlite(*details)["findings"]


def test_steps_of_sqlites_that_do_well_are_silent() -> None:
    for details in (
        ("SEARCH orders USING INDEX o_c (customer_id=?)",),
        ("SCAN customers",),
        ("SEARCH orders USING INTEGER PRIMARY KEY (rowid=?)", "USE TEMP B-TREE FOR ORDER BY"),
        ("SCAN CONSTANT ROW",),
    ):
        assert sqlite(*details)["findings"] == []
    assert sqlite("SCAN orders", sql="SELECT count(*) FROM orders")["findings"] == []


def test_the_costly_step_of_sqlites_is_the_one_that_reads_most() -> None:
    plan = sqlite(
        "SCAN customers", "SEARCH o USING INDEX o_c (c=?)", "SCALAR SUBQUERY 1", ">SCAN orders", aliases={"o": "orders"}
    )
    assert [here["on"] for here in walk(plan["root"]) if here["costly"]] == ["", "", "orders"]
    assert tables_of(plan["root"]) == ["customers", "orders o by o_c", "orders"]


def test_running_sqlites_statement_tells_time_and_rows_of_the_whole() -> None:
    plan = sqlite("SCAN orders", duration_s=0.5, rows_given=7)
    assert (plan["analyzed"], plan["duration_s"], plan["root"]["rows_actual"]) == (True, 0.5, 7)
