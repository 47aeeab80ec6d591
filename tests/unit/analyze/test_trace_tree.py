"""One trace from all its parts. Spans are written as (id, parent, kind, name, start ms, duration ms)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze import trace_tree
from pitstop.analyze.trace_times import self_time
from pitstop.analyze.trace_tree import trace_tree_of
from pitstop.model import NotFoundError, Span, Traces
from pitstop.model.trace import encode_spans

MS = 1_000_000
TRACE = "ab" * 16


def span(number: int, parent: int, kind: str, name: str, start_ms: float, took_ms: float, **attrs: object) -> Span:
    return Span(number, parent, kind, name, "ok", round(start_ms * MS), round(took_ms * MS), 0, attrs or None)


def tree_of(part: Any, *spans: Span, took_s: float = 0.1, **fields: Any) -> Any:
    return trace_tree_of(part(1000.0, "GET /a", took_s, spans, **fields))


def test_spans_stand_below_their_parents_by_start(part: Any) -> None:
    tree = tree_of(
        part,
        span(3, 2, "db", "SELECT 2", 30, 10, line="shop/a.py:7 in view"),
        span(5, 0, "template", "page.html", 70, 20),
        span(2, 0, "function", "load", 10, 50),
        span(4, 2, "db", "SELECT 1", 20, 5),
    )
    assert [(one.name, one.depth, one.parent) for one in tree.spans] == [
        ("GET /a", 0, -1), ("load", 1, 0), ("SELECT 1", 2, 1), ("SELECT 2", 2, 1), ("page.html", 1, 0),
    ]  # fmt: skip
    assert [one.children for one in tree.spans] == [2, 2, 0, 0, 0]
    assert tree.spans[3].line == "shop/a.py:7 in view"
    assert (tree.trace_id, tree.route, tree.outcome, tree.started_at) == (TRACE, "GET /a", "200", 1000.0)
    assert tree.duration_s == pytest.approx(0.1)


def test_self_time_counts_overlapping_children_once_and_leaves_out_what_outlives_the_span(part: Any) -> None:
    tree = tree_of(
        part,
        span(2, 0, "http_client", "GET a", 10, 40),
        span(3, 0, "http_client", "GET b", 30, 40),
        span(4, 0, "function", "left behind", 90, 60),
    )
    root = tree.spans[0]
    assert root.self_s == pytest.approx(0.1 - 0.06 - 0.01)
    assert tree.duration_s == pytest.approx(0.15)
    assert tree.self_by_kind["http_client"] == pytest.approx(0.06)  # two at once took 60 ms together
    assert tree.self_by_kind["own"] == pytest.approx(0.04)


def test_gaps_are_named_for_what_they_were(part: Any) -> None:
    tree = tree_of(
        part,
        span(2, 0, "function", "load", 0, 50),
        span(3, 2, "db", "SELECT 1", 0, 10),
        span(4, 2, "db", "SELECT 2", 40, 10),
        span(5, 0, "loop_wait", "event loop", 12, 25),
        span(6, 0, "http_client", "GET b", 60, 40),
        span(7, 6, "pool_wait", "database connection", 60, 1),
    )
    gaps = {one.name: one.gaps for one in tree.spans}
    assert [(gap.name, pytest.approx(gap.duration_s)) for gap in gaps["load"]] == [("waited for the event loop", 0.03)]
    assert [(gap.name, gap.start_s) for gap in gaps["GET /a"]] == [("own code", pytest.approx(0.05))]
    assert [gap.name for gap in gaps["GET b"]] == ["on the way or in the other service"]
    assert gaps["SELECT 1"] == ()


def test_a_transaction_stands_around_its_statements_and_hides_no_time_of_the_code_between_them(part: Any) -> None:
    tree = tree_of(
        part,
        span(2, 0, "transaction", "transaction", 10, 80),
        span(3, 0, "db", "SELECT", 10, 20),
        span(4, 0, "db", "UPDATE", 60, 20),
    )
    times = {one.name: (one.self_s, one.critical_s) for one in tree.spans}
    assert times["transaction"] == (0, 0)
    assert times["GET /a"] == (pytest.approx(0.06), pytest.approx(0.06))
    assert [gap.duration_s for gap in tree.spans[0].gaps] == [pytest.approx(s) for s in (0.01, 0.03, 0.02)]
    assert tree.self_by_kind["own"] == pytest.approx(0.06)
    assert tree.spans[0].children == 3


def test_the_critical_path_is_what_was_waited_for_and_adds_up_to_the_request(part: Any) -> None:
    tree = tree_of(
        part,
        span(2, 0, "http_client", "fast", 10, 20),
        span(3, 0, "http_client", "slow", 10, 60),
        span(4, 0, "db", "SELECT", 75, 20),
    )
    critical = {one.name: one.critical_s for one in tree.spans}
    assert critical["fast"] == 0
    assert (critical["slow"], critical["SELECT"]) == (pytest.approx(0.06), pytest.approx(0.02))
    assert sum(critical.values()) == pytest.approx(0.1)


def test_parts_of_other_services_and_tasks_hang_below_the_span_that_called_them(recorded: Any) -> None:
    calls = [span(0x20, 0, "http_client", "GET stock", 10, 50), span(0x30, 0, "queue", "publish mail", 70, 1)]
    recorded.trace(1000.0, "GET /a", 0.1, calls)
    recorded.trace(
        1000.02, "GET /stock", 0.03, [span(0x20, 0, "db", "SELECT", 1, 5)], service="stock",
        span_id="00000000000000bb", parent_id="0000000000000020",
    )  # fmt: skip
    recorded.trace(1003.0, "mail", 2.0, kind="task", span_id="00000000000000cc", parent_id="0000000000000030")
    tree = trace_tree(recorded.store, TRACE)
    assert [(one.name, one.depth, one.service) for one in tree.spans] == [
        ("GET /a", 0, "shop"), ("GET stock", 1, "shop"), ("GET /stock", 2, "stock"), ("SELECT", 3, "stock"),
        ("publish mail", 1, "shop"), ("mail", 2, "shop"),
    ]  # fmt: skip
    assert [one.is_root for one in tree.spans] == [True, False, True, False, False, True]
    assert tree.duration_s == pytest.approx(5.0)
    assert [part.route for part in tree.parts] == ["GET /a", "GET /stock", "mail"]
    assert tree.spans[1].self_s == pytest.approx(0.02)
    assert {one.shifted_s for one in tree.spans} == {0}


@pytest.mark.parametrize("began_s", [999.0, 1000.055, 1007.0])
def test_a_part_whose_clock_is_wrong_is_moved_into_the_call_with_all_below_it(part: Any, began_s: float) -> None:
    kept = part(1000.0, "GET /a", 0.1, [span(0x20, 0, "http_client", "GET stock", 10, 50)])
    inner = [span(7, 0, "http_client", "GET x", 5, 20)]
    part(began_s, "GET /stock", 0.03, inner, kept, span_id="00000000000000bb", parent_id="0000000000000020")
    part(began_s + 0.01, "GET /x", 0.01, (), kept, span_id="00000000000000dd", parent_id="0000000000000007")
    tree = trace_tree_of(kept)
    moved = {one.name: one for one in tree.spans}
    assert moved["GET /stock"].start_s == pytest.approx(0.02)
    assert moved["GET x"].start_s == pytest.approx(0.025)
    assert moved["GET /x"].start_s == pytest.approx(0.03, abs=1e-6)
    assert moved["GET /stock"].shifted_s == pytest.approx(1000.02 - began_s)
    assert tree.duration_s == pytest.approx(0.1)


def test_spans_whose_parents_were_left_out_hang_below_the_root(part: Any) -> None:
    tree = tree_of(part, span(3, 999, "db", "SELECT", 10, 10), left_out=4)
    assert [(one.name, one.parent) for one in tree.spans] == [("GET /a", -1), ("SELECT", 0)]
    assert tree.left_out == 4


def test_circles_in_hostile_data_are_cut_open_and_nothing_is_lost(part: Any) -> None:
    spans = [span(2, 3, "db", "a", 1, 1), span(3, 2, "db", "b", 2, 1), span(4, 4, "db", "c", 3, 1)]
    kept = part(1000.0, "GET /a", 0.1, spans, span_id="00000000000000aa", parent_id="00000000000000bb")
    part(1000.0, "GET /b", 0.1, (), kept, span_id="00000000000000bb", parent_id="00000000000000aa")
    tree = trace_tree_of(kept)
    assert sorted(one.name for one in tree.spans) == ["GET /a", "GET /b", "a", "b", "c"]
    assert [one.parent for one in tree.spans].count(-1) == 1


def test_an_unknown_trace_says_how_to_find_those_that_are_kept(recorded: Any) -> None:
    with pytest.raises(NotFoundError, match="pitstop traces"):
        trace_tree(recorded.store, "cd" * 16)


def _kept_of(rows: list[tuple[int, int, int]]) -> Traces:
    """Spans of whole nanoseconds below any of those before them, or of those after them."""
    spans = [Span(i + 1, parent, "db", "", "ok", start, took, 0, None) for i, (parent, start, took) in enumerate(rows)]
    kept = Traces()
    for column in Traces.__slots__:
        getattr(kept, column).append("")
    kept.start_ns[0], kept.duration_ns[0], kept.left_out[0], kept.body[0] = 0, 60, 0, encode_spans(spans)
    return kept


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=12))
def test_self_times_of_any_tree_agree_with_counting_every_nanosecond(rows: list[tuple[int, int, int]]) -> None:
    tree = trace_tree_of(_kept_of(rows))
    assert len(tree.spans) == len(rows) + 1
    for one in tree.spans:
        start, end = round(one.start_s * 1e9), round((one.start_s + one.duration_s) * 1e9)
        below = [
            (round(c.start_s * 1e9), round((c.start_s + c.duration_s) * 1e9))
            for c in tree.spans
            if c.parent == one.place
        ]
        free = sum(not any(a <= ns < b for a, b in below) for ns in range(start, end))
        assert round(one.self_s * 1e9) == free
    assert [one.place for one in tree.spans] == list(range(len(tree.spans)))
    assert all(one.parent < one.place for one in tree.spans)


def test_self_time_of_a_span_without_children_is_all_of_it() -> None:
    assert self_time(10, 30, []) == (20, [(10, 30)])


def test_work_grows_with_the_number_of_spans_and_not_with_its_square(part: Any, calls_of: Any) -> None:
    def calls(number: int) -> int:
        spans = [span(i + 2, i // 2 * 2 if i % 3 else 0, "db", f"SELECT {i % 7}", i / 100, 0.02) for i in range(number)]
        kept = part(1000.0, "GET /a", number / 50_000, spans)
        return int(calls_of(lambda: trace_tree_of(kept)))

    assert calls(4_000) < 10 * calls(500)  # 8 times the spans; a square would be 64
