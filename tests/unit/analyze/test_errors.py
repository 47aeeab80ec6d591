from __future__ import annotations

from typing import Any

from pitstop.analyze import errors
from pitstop.model import Window

WINDOW = Window(2000, 2100)


def test_counts_are_those_of_the_series_and_words_those_of_the_newest_occurrence(recorded: Any) -> None:
    recorded.error(2010, "POST /pay", "ValueError", 7, trace_id="01" * 16, message="old")
    recorded.error(2070, "POST /pay", "ValueError", 5, trace_id="02" * 16)
    recorded.error(2020, "GET /a", "KeyError")
    first, second = errors(recorded.store, WINDOW, "shop")
    assert (first.type, first.route, first.count) == ("ValueError", "POST /pay", 12)
    assert (first.message, first.line, first.trace_id) == ("card …", "shop/pay.py:7 in charge", "02" * 16)
    assert first.stack.splitlines()[-1] == "shop/pay.py:7 in charge"
    assert (first.first_s, first.last_s, first.is_new) == (2010, 2070, True)
    assert (second.type, second.count) == ("KeyError", 1)


def test_one_cause_in_two_routes_is_two_rows_and_one_route_can_be_asked_for(recorded: Any) -> None:
    recorded.error(2010, "GET /a", "KeyError", 2, fingerprint="f" * 16)
    recorded.error(2010, "GET /b", "KeyError", 1, fingerprint="f" * 16)
    assert [(row.route, row.count) for row in errors(recorded.store, WINDOW)] == [("GET /a", 2), ("GET /b", 1)]
    assert [row.route for row in errors(recorded.store, WINDOW, route="GET /b")] == ["GET /b"]


def test_what_was_seen_before_the_window_is_not_new(recorded: Any) -> None:
    recorded.error(1000, "GET /a", "KeyError")
    recorded.error(2010, "GET /a", "KeyError")
    (row,) = errors(recorded.store, WINDOW)
    assert (row.first_s, row.is_new, row.count) == (1000, False, 1)


def test_a_series_without_an_occurrence_still_counts(recorded: Any) -> None:
    recorded.add(2010, "abc", [0.1] * 3, kind="error", parent="GET /a", outcome="OSError")
    (row,) = errors(recorded.store, WINDOW)
    assert (row.type, row.count, row.message, row.stack, row.trace_id) == ("OSError", 3, "", "", "")


def test_causes_beyond_the_cap_are_one_row_that_says_so(recorded: Any) -> None:
    recorded.add(2010, "__other__", [0.1] * 3, kind="error", parent="", outcome="")
    (row,) = errors(recorded.store, WINDOW)
    assert (row.type, row.route, row.count) == ("__other__", "", 3)


def test_no_failure_is_no_row(recorded: Any) -> None:
    assert errors(recorded.store, WINDOW) == []
