from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import n_plus_one, queries, query
from pitstop.model import Span, Window

WINDOW = Window(1000, 1100)
ORDERS = "SELECT id FROM orders WHERE id = ?"
ITEMS = "SELECT * FROM items"


def ran(recorded: Any, statement: str, durations_s: list[float], route: str = "GET /a", **fields: Any) -> None:
    recorded.add(1000, statement, durations_s, kind="db", parent=route, **{"outcome": "ok", "nbytes": 3} | fields)


def test_a_statement_has_its_calls_rows_errors_and_who_runs_it(recorded: Any) -> None:
    ran(recorded, ORDERS, [0.01] * 8)
    ran(recorded, ORDERS, [0.05], outcome="error", nbytes=0)
    ran(recorded, ORDERS, [0.2], route="GET /b", nbytes=10)
    ran(recorded, ITEMS, [0.04], route="GET /b")
    first, second = queries(recorded.store, WINDOW, "shop")
    assert (first.statement, second.statement) == (ORDERS, ITEMS)
    assert (first.calls, first.errors, first.rows) == (10, 1, 34)
    assert first.rows_per_call == pytest.approx(3.4)
    assert first.total_s == pytest.approx(0.33)
    assert first.mean_s == pytest.approx(0.033)
    assert first.max_s == pytest.approx(0.2)
    assert first.p50_s == pytest.approx(0.01, rel=0.011)
    assert first.p95_s == pytest.approx(0.2, rel=0.011)
    assert first.time_ratio == pytest.approx(0.33 / 0.37)
    assert [(one.route, one.calls) for one in first.routes] == [("GET /b", 1), ("GET /a", 9)]
    assert first.routes[1].total_s == pytest.approx(0.13)


def test_for_one_route_shares_are_of_its_own_statements(recorded: Any) -> None:
    ran(recorded, ORDERS, [0.3])
    ran(recorded, ORDERS, [0.1], route="GET /b")
    ran(recorded, ITEMS, [0.1], route="GET /b")
    rows = queries(recorded.store, WINDOW, "shop", "GET /b")
    assert [(row.statement, row.calls) for row in rows] == [(ITEMS, 1), (ORDERS, 1)]
    assert [row.time_ratio for row in rows] == [pytest.approx(0.5)] * 2


def test_one_statement_shows_its_course_and_the_code_lines_of_kept_traces(recorded: Any) -> None:
    ran(recorded, ORDERS, [0.01, 0.03])
    ran(recorded, ITEMS, [0.9])
    line = {"line": "shop/orders.py:12 in list_orders"}
    spans = [
        Span(10, 0, "db", ORDERS, "ok", 10, 5_000_000, 1, line),
        Span(20, 0, "db", ORDERS, "ok", 20, 5_000_000, 1, line),
        Span(30, 0, "db", ITEMS, "ok", 30, 5_000_000, 1, {"line": "elsewhere"}),
        Span(40, 0, "db", ORDERS, "ok", 40, 5_000_000, 1, None),
    ]
    recorded.trace(1000.5, "GET /a", 0.2, spans)
    recorded.trace(1001.5, "GET /a", 0.2, [], body=b"", trace_id="cd" * 16)
    found = query(recorded.store, WINDOW, "shop", ORDERS, step_s=50)
    assert found.row is not None
    assert (found.row.calls, found.trend.requests) == (2, (2, None))
    assert found.trend.mean_s == (pytest.approx(0.02), None)
    assert [(one.line, one.route, one.calls) for one in found.lines] == [(line["line"], "GET /a", 2)]


def test_a_statement_that_did_not_run_has_no_row(recorded: Any) -> None:
    found = query(recorded.store, WINDOW, "shop", "SELECT ?")
    assert (found.row, found.lines) == (None, ())
    assert queries(recorded.store, WINDOW) == []


def test_repetitions_are_told_by_route_statement_and_line_with_their_share_of_requests(recorded: Any) -> None:
    recorded.add(1000, "GET /orders", [0.2] * 10)
    for statement, each, line in ((ORDERS, 25, "shop/orders.py:12 in list_orders"), (ITEMS, 7, "")):
        recorded.add(1000, statement, [0.1] * 4, kind="n_plus_one", parent="GET /orders", outcome=line, nbytes=each)
    found = {row.statement: row for row in n_plus_one(recorded.store, WINDOW, "shop")}
    row = found[ORDERS]
    assert (row.route, row.count, row.requests, row.repetitions) == ("GET /orders", 25, 4, 100)
    assert row.line == "shop/orders.py:12 in list_orders"
    assert row.requests_ratio == pytest.approx(0.4)
    assert (row.total_s, row.per_request_s) == (pytest.approx(0.4), pytest.approx(0.1))
    assert found[ITEMS].line == ""
    assert n_plus_one(recorded.store, WINDOW, "shop", "GET /other") == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (
            'SELECT "shop_order"."id" FROM "shop_order" WHERE "shop_order"."id" = %s',
            "select_related",
        ),
        ("SELECT `shop_order`.`id` FROM `shop_order` WHERE `shop_order`.`id` = %s LIMIT 21", "prefetch_related"),
        ("SELECT orders.id AS orders_id, orders.total AS orders_total FROM orders WHERE ? = orders.id", "selectinload"),
        ("SELECT items.id, items.name FROM items WHERE items.id = $1", "selectinload"),
        ("SELECT name FROM items WHERE id = ?", "IN ("),
        ("INSERT INTO items (name) VALUES (?)", "executemany"),
        ("UPDATE items SET name = ? WHERE id = ?", "change them at once"),
    ],
)
def test_the_hint_follows_what_the_statement_says_of_its_author(recorded: Any, statement: str, words: str) -> None:
    recorded.add(1000, statement, [0.1], kind="n_plus_one", parent="GET /orders", outcome="", nbytes=9)
    (row,) = n_plus_one(recorded.store, WINDOW)
    assert words in row.hint


def test_the_top_ones_are_those_that_all_of_them_begin_with(recorded: Any) -> None:
    for i in range(30):
        for route in ("GET /a", f"GET /{i % 3}"):
            ran(recorded, f"SELECT {i}", [0.001 * (i * 7 % 30 + 1), 0.002 * i + 0.001], route=route)
    every = queries(recorded.store, WINDOW)
    assert len(every) == 30
    assert queries(recorded.store, WINDOW, top=7) == every[:7]
    assert queries(recorded.store, WINDOW, top=100) == every
