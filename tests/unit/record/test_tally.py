from __future__ import annotations

import threading
import time

from pitstop.record.operation import Operation
from pitstop.record.tally import MOST_STACKS, OTHER_STACKS, WALL, Tally, route_of

MINUTE_S = 1_800_000_000


class Text:
    def __init__(self, text: str) -> None:
        self.text = text


def tally() -> Tally:
    return Tally("shop")


def ended(name: str) -> Operation:
    op = Operation("http", 1)
    op.name, op.end_ns = name, 2
    return op


def test_equal_stacks_of_a_route_and_minute_are_one_row() -> None:
    rows, op = tally(), ended("GET /")
    rows.add([(op, WALL, Text("a;b"), 10), (op, WALL, Text("a;b"), 5)], MINUTE_S + 1)
    rows.add([(ended("GET /"), WALL, Text("a;b"), 1)], MINUTE_S + 59)
    rows.add([(op, WALL, Text("a;b"), 7)], MINUTE_S + 60)
    out = rows.take(MINUTE_S + 61)
    assert list(zip(out.ts, out.service, out.mode, out.route, out.stack, out.samples, out.weight_ns, strict=True)) == [
        (MINUTE_S, "shop", WALL, "GET /", "a;b", 3, 16),
        (MINUTE_S + 60, "shop", WALL, "GET /", "a;b", 1, 7),
    ]


def test_rows_are_held_for_ten_seconds_unless_it_is_the_end() -> None:
    rows = tally()
    rows.take(MINUTE_S)
    rows.add([(None, WALL, Text("a"), 1)], MINUTE_S)
    assert len(rows.take(MINUTE_S + 9)) == 0
    rows.add([(None, WALL, Text("a"), 1)], MINUTE_S + 9)
    assert rows.take(MINUTE_S + 11).samples == [2]
    rows.add([(None, WALL, Text("a"), 1)], MINUTE_S + 11)
    assert rows.take(MINUTE_S + 12, final=True).samples == [1]
    assert len(rows.take(MINUTE_S + 30)) == 0


def test_stacks_beyond_the_cap_share_a_row_and_keep_their_weight() -> None:
    rows = tally()
    rows.add([(None, WALL, Text(f"f{n}"), 1) for n in range(MOST_STACKS + 50)], MINUTE_S)
    out = rows.take(MINUTE_S + 1)
    assert len(out) == MOST_STACKS + 1
    assert dict(zip(out.stack, out.samples, strict=True))[OTHER_STACKS] == 50
    assert sum(out.weight_ns) == MOST_STACKS + 50
    rows.add([(None, WALL, Text("new"), 1)], MINUTE_S + 300)
    assert rows.take(MINUTE_S + 301, final=True).stack == ["new"]


def test_what_runs_below_a_request_is_its_roots() -> None:
    root, below = ended("GET /"), Operation("function", 1)
    below.root = root
    assert (route_of(below), route_of(root), route_of(None)) == ("GET /", "GET /", "")


def test_a_request_without_a_route_is_unmatched() -> None:
    assert route_of(ended("")) == "(unmatched)"


def test_nothing_is_lost_between_two_threads() -> None:
    rows, going, taken = tally(), True, 0

    def add() -> None:
        for n in range(3000):
            rows.add([(None, WALL, Text(f"f{n % 7}"), 1)], MINUTE_S)

    adding = threading.Thread(target=add)
    adding.start()
    while going:
        going = adding.is_alive()
        taken += sum(rows.take(time.time(), final=True).samples)
    assert taken + sum(rows.take(time.time(), final=True).samples) == 3000
