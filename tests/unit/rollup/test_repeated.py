"""What counts as N+1, and what does not."""

from __future__ import annotations

from pitstop.model.record import Child
from pitstop.rollup.repeated import Repeated, repeated

MS = 1_000_000
LINE = "shop/orders.py:12 in list_orders"


def queries(n: int, each_ns: int, *, gap_ns: int = 0, name: str = "SELECT item", parent_ns: int = 7) -> list[Child]:
    return [
        Child("db", name, "ok", at := 10 + i * (each_ns + gap_ns), at + each_ns, 1, {"line": LINE}, parent_ns)
        for i in range(n)
    ]


def test_more_than_five_in_sequence_for_more_than_50_ms_are_a_repetition() -> None:
    assert repeated(queries(6, 9 * MS), 10_000 * MS) == [Repeated("SELECT item", LINE, 6, 54 * MS)]


def test_more_than_a_fifth_of_the_request_is_enough() -> None:
    assert repeated(queries(6, 10), 299) == [Repeated("SELECT item", LINE, 6, 60)]
    assert repeated(queries(6, 10), 300) == []


def test_five_are_not_enough() -> None:
    assert repeated(queries(5, 100 * MS), 500 * MS) == []


def test_50_ms_exactly_are_not_enough() -> None:
    assert repeated(queries(10, 5 * MS), 10_000 * MS) == []


def test_statements_that_run_at_once_are_no_loop() -> None:
    at_once = [Child("db", "SELECT item", "ok", 10 + i, 20 * MS + i, 1, None, 7) for i in range(20)]
    assert repeated(at_once, 21 * MS) == []


def test_different_parents_are_not_added_up() -> None:
    assert repeated([*queries(4, 20 * MS), *queries(4, 20 * MS, parent_ns=8)], 200 * MS) == []


def test_two_statements_of_one_loop_are_two_repetitions() -> None:
    loop = []
    for i in range(8):
        at = i * 30 * MS
        loop.append(Child("db", "SELECT item", "ok", at, at + 10 * MS, 1, {"line": LINE}, 7))
        loop.append(Child("db", "SELECT price", "ok", at + 10 * MS, at + 20 * MS, 1, None, 7))
    assert repeated(loop, 250 * MS) == [
        Repeated("SELECT item", LINE, 8, 80 * MS), Repeated("SELECT price", "", 8, 80 * MS),
    ]  # fmt: skip


def test_cache_reads_and_calls_are_no_statements() -> None:
    assert repeated([Child("cache", "GET", "hit", i, i + 1, 0, None, 7) for i in range(20)], 20) == []
