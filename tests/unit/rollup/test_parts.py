"""A request's time, divided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.record import Child
from pitstop.model.series import PARTS
from pitstop.rollup.parts import parts_of

KINDS = (*PARTS, "function", "stage", "transaction")


def child(kind: str, start_ns: int, end_ns: int) -> Child:
    return Child(kind, "x", "ok", start_ns, end_ns, 0, None)


def by_the_nanosecond(children: list[Child], start_ns: int, end_ns: int) -> dict[str, int]:
    """The same, by asking of every nanosecond what had it."""
    total: dict[str, int] = {}
    for at_ns in range(start_ns, end_ns):
        running = [c.kind for c in children if c.start_ns <= at_ns < c.end_ns and c.kind in PARTS]
        if running:
            part = min(running, key=PARTS.index)
            total[part] = total.get(part, 0) + 1
    return total


intervals = st.tuples(st.sampled_from(KINDS), st.integers(0, 120), st.integers(0, 40))


@given(st.lists(intervals, max_size=30), st.integers(0, 60), st.integers(0, 80))
def test_every_nanosecond_is_counted_once_for_what_has_precedence(
    drawn: list[tuple[str, int, int]], start_ns: int, length_ns: int
) -> None:
    children = sorted((child(kind, at, at + ns) for kind, at, ns in drawn), key=lambda c: c.end_ns)
    parts = parts_of(children, start_ns, start_ns + length_ns)
    assert parts == by_the_nanosecond(children, start_ns, start_ns + length_ns)
    assert sum(parts.values()) <= length_ns


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 5), st.integers(0, 9)), max_size=30))
def test_what_follows_one_another_adds_up_as_it_is(drawn: list[tuple[str, int, int]]) -> None:
    children, at_ns = [], 10
    for kind, gap_ns, ns in drawn:
        children.append(child(kind, at_ns + gap_ns, at_ns + gap_ns + ns))
        at_ns += gap_ns + ns
    assert parts_of(children, 10, at_ns) == by_the_nanosecond(children, 10, at_ns)


def test_what_is_around_others_is_no_part() -> None:
    around = [child("db", 10, 20), child("transaction", 5, 40), child("function", 0, 50), child("stage", 0, 20)]
    assert parts_of(around, 0, 50) == {"db": 10}


def test_a_query_within_a_template_and_a_collection_within_the_query_have_their_own_time() -> None:
    nested = [child("gc", 14, 16), child("db", 10, 20), child("template", 5, 45)]
    assert parts_of(nested, 0, 50) == {"gc": 2, "db": 8, "template": 30}


def test_nothing_below_is_nothing() -> None:
    assert parts_of([], 0, 50) == {}
