"""A trace as rows: what repeats is folded, gaps are named, nothing is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.analyze.trace_tree import trace_tree_of
from pitstop.dashboard.kinds import short_statement
from pitstop.dashboard.pages.traces import repeated_in, shares_of
from pitstop.dashboard.waterfall import FIRST_ROWS, Row, bars_path, first_frame, island, rows_of
from pitstop.model.columns import Traces
from pitstop.model.trace import Span, encode_spans

MS = 1_000_000


def trace_of(spans: list[Span], ms: float = 100) -> Traces:
    kept = Traces()
    for column in Traces.__slots__:
        value: object = {
            "body": encode_spans(spans), "duration_ns": int(ms * MS), "start_ns": 10**18, "ts": 10**9,
            "trace_id": "a" * 32, "span_id": "00000000000000aa", "spans": len(spans), "left_out": 0, "nbytes": 0,
            "weight": 1, "service": "shop", "kind": "http", "name": "GET /", "outcome": "200", "reason": "slow",
            "worker": "web:1:ab",
        }.get(column, "")  # fmt: skip
        getattr(kept, column).append(value)
    return kept


def span(number: int, start_ms: float, ms: float, parent: int = 0, kind: str = "db", name: str = "SELECT 1") -> Span:
    return Span(number, parent, kind, name, "ok", int(start_ms * MS), int(ms * MS), 1, {"line": "a.py:3 in f"})


def test_equal_statements_one_after_another_are_one_row_that_opens() -> None:
    rows = rows_of(trace_tree_of(trace_of([span(10 + i, i * 10, 9) for i in range(6)])))
    assert [(row.times, row.depth, row.size) for row in rows[:2]] == [(0, 0, 8), (6, 1, 6)]
    assert {(row.depth, row.name) for row in rows[2:8]} == {(2, "SELECT 1")}
    assert rows[8].kind == "gap"
    assert rows[1].duration_us == 59_000
    assert rows[1].self_us == 54_000
    assert rows[1].note == "a.py:3"
    assert len({row.id for row in rows}) == len(rows)


def test_three_equal_ones_or_others_in_between_stay_apart() -> None:
    three = rows_of(trace_tree_of(trace_of([span(10 + i, i * 10, 10) for i in range(3)], 30)))
    assert [row.times for row in three] == [0, 0, 0, 0]
    mixed = [span(10 + i, i * 10, 10, name=f"SELECT {i % 2}") for i in range(8)]
    assert all(row.times == 0 for row in rows_of(trace_tree_of(trace_of(mixed, 80))))


def test_a_long_gap_parts_equal_statements_and_a_short_one_does_not() -> None:
    starts = [0, 10, 20, 30, 60, 70, 80, 90]
    rows = rows_of(trace_tree_of(trace_of([span(10 + i, at, 9) for i, at in enumerate(starts)])))
    assert [(row.kind, row.times) for row in rows if row.depth == 1] == [("db", 4), ("gap", 0), ("db", 4), ("gap", 0)]


def test_a_gap_stands_where_it_is_and_has_a_name() -> None:
    rows = rows_of(trace_tree_of(trace_of([span(10, 0, 20), span(11, 60, 40)])))
    assert [(row.kind, row.name, row.start_us, row.duration_us) for row in rows[1:]] == [
        ("db", "SELECT 1", 0, 20_000),
        ("gap", "own code", 20_000, 40_000),
        ("db", "SELECT 1", 60_000, 40_000),
    ]


@st.composite
def trees(draw: st.DrawFn) -> list[Span]:
    made: list[Span] = []
    for number in range(draw(st.integers(0, 40))):
        parent = made[draw(st.integers(0, len(made) - 1))].span_id if made and draw(st.booleans()) else 0
        start, length = draw(st.integers(0, 90)), draw(st.integers(0, 30))
        kind = draw(st.sampled_from(["db", "cache", "function", "pool_wait"]))
        made.append(span(100 + number, start, length, parent, kind, draw(st.sampled_from(["a", "b"]))))
    return made


@settings(deadline=None)
@given(trees())
def test_every_span_has_its_row_and_sizes_add_up(spans: list[Span]) -> None:
    tree = trace_tree_of(trace_of(spans))
    rows = rows_of(tree)
    assert sorted(row.id for row in rows if row.kind != "gap" and not row.times) == sorted(
        one.span_id for one in tree.spans
    )
    for place, row in enumerate(rows):
        assert all(one.depth > row.depth for one in rows[place + 1 : place + 1 + row.size])
        after = place + 1 + row.size
        assert after == len(rows) or rows[after].depth <= row.depth
    packed = island(rows, tree, {})
    assert [packed["texts"][row[2]] for row in packed["rows"]] == [row.name for row in rows]
    assert len(first_frame(rows, tree.duration_s)) <= FIRST_ROWS


def test_bars_closer_than_can_be_told_apart_melt() -> None:
    path = bars_path(((i, 1) for i in range(100_000)), 100_000)
    assert path.count("M") < 1000
    assert bars_path([(0, 500), (500, 500)], 1000).count("M") == 1 + ("M" in bars_path([(500, 500)], 1000))


def test_where_the_time_went_leaves_nothing_out() -> None:
    tree = trace_tree_of(trace_of([span(10, 0, 30), span(11, 30, 20, kind="cache", name="session")]))
    shares = shares_of(tree)
    assert [name for name, *_ in shares] == ["db", "cache", "own"]
    assert abs(sum(seconds for _, _, seconds, _ in shares) - tree.duration_s) < 1e-9


def test_repeated_statements_are_named_by_the_measure_that_recording_uses() -> None:
    many = trace_tree_of(trace_of([span(10 + i, i * 10, 9) for i in range(6)]))
    assert [(one.times, one.line) for one in repeated_in(many)] == [(6, "a.py:3 in f")]
    few = trace_tree_of(trace_of([span(10 + i, i * 10, 9) for i in range(5)]))
    short = trace_tree_of(trace_of([span(10 + i, i * 10, 1) for i in range(8)]))
    assert repeated_in(few) == repeated_in(short) == []


def test_a_statement_is_told_by_what_it_reads_from() -> None:
    assert short_statement("SELECT a.id, a.name,\n a.price FROM a WHERE id = ?") == "SELECT … FROM a WHERE id = ?"
    assert short_statement("SELECT 1 FROM a") == "SELECT 1 FROM a"
    assert short_statement("select " + "x, " * 100_000).startswith("select x, x")


def test_a_row_has_no_field_that_the_browser_does_not_know() -> None:
    assert Row._fields == (
        "depth", "kind", "name", "note", "start_us", "duration_us", "self_us", "size", "times", "id", "outcome",
        "line", "attrs", "nbytes",
    )  # fmt: skip
