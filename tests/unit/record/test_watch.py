from __future__ import annotations

from typing import Any

from pitstop.record.operation import Operation
from pitstop.record.watch import ALL_THE_TIME, Watch

MS = 1_000_000
LOOP_THREAD, OTHER_THREAD = 1, 2


class Beat:
    ident = LOOP_THREAD
    loop = None

    def __init__(self) -> None:
        self.ran: dict[Operation, int] = {}
        self.running = True
        self.at(1000)

    def at(self, ms: int) -> None:
        self.beat_ns, self.due_ns = ms * MS, (ms + 50) * MS

    def alive(self) -> bool:
        return self.running


class Stack:
    waits = False
    owner_at = 3
    text = "a;b"

    def __init__(self, place: str = "view (shop.py:1)") -> None:
        self.place = place


class Thread:
    def __init__(self, op: Operation | None, stack: Stack) -> None:
        self.op, self.stack = op, stack


def request(name: str) -> Operation:
    op = Operation("http", 1)
    op.name, op.end_ns = name, 2
    return op


def look(watch: Watch, threads: dict[int, Thread], at_ms: int) -> list[Any]:
    return list(watch.look(threads, at_ms * MS, 20 * MS))


def test_a_loop_without_a_beat_is_sampled_and_told_when_it_goes_on() -> None:
    beat, op = Beat(), request("GET /holding")
    watch = Watch(beat)
    threads = {LOOP_THREAD: Thread(op, Stack())}
    samples = [sample for at_ms in range(1010, 1311, 20) for sample in look(watch, threads, at_ms)]
    assert {(of, mode) for of, mode, _, _ in samples} == {(op, "blocked")}
    assert sum(weight_ns for *_, weight_ns in samples) == 310 * MS
    assert watch.told(0, final=False) == []
    beat.at(1320)
    look(watch, threads, 1330)
    assert watch.told(1, final=False) == ["GET /holding held the event loop for 320 ms in view (shop.py:1)"]
    assert watch.told(2, final=True) == []


def test_a_loop_that_waits_beats_in_time_or_does_not_run_is_left_alone() -> None:
    beat = Beat()
    watch = Watch(beat)
    idle = Thread(None, Stack())
    idle.stack.waits = True
    assert look(watch, {LOOP_THREAD: idle}, 1300) == []
    assert look(watch, {LOOP_THREAD: Thread(None, Stack())}, 1040) == []
    assert look(watch, {}, 1300) == []
    beat.running = False
    assert look(watch, {LOOP_THREAD: Thread(None, Stack())}, 1300) == []
    assert list(Watch(None).look({}, 1, 1)) == []


def test_who_holds_a_late_loop_and_who_works_elsewhere_is_noted() -> None:
    beat, holder, elsewhere = Beat(), request("GET /a"), request("GET /b")
    threads = {LOOP_THREAD: Thread(holder, Stack()), OTHER_THREAD: Thread(elsewhere, Stack())}
    look(Watch(beat), threads, 1065)
    assert beat.ran == {holder: ALL_THE_TIME, elsewhere: 1065 * MS}


def test_who_held_it_longest_is_named() -> None:
    beat, short, long = Beat(), request("GET /short"), request("GET /long")
    watch = Watch(beat)
    for at_ms, op in ((1110, long), (1180, short), (1400, long)):
        look(watch, {LOOP_THREAD: Thread(op, Stack())}, at_ms)
    beat.at(1410)
    look(watch, {}, 1420)
    assert watch.told(0, final=False)[0].startswith("GET /long held")


def test_the_same_line_is_told_once_a_minute_with_how_often_it_came_again() -> None:
    beat = Beat()
    watch = Watch(beat)

    def hold(at_ms: int) -> None:
        beat.at(at_ms)
        look(watch, {LOOP_THREAD: Thread(request("GET /"), Stack())}, at_ms + 200)
        beat.at(at_ms + 210)
        look(watch, {}, at_ms + 220)

    told = []
    for n in range(4):
        hold(2000 + 1000 * n)
        told += watch.told(float(n), final=False)
    assert len(told) == 1
    hold(9000)
    assert watch.told(70.0, final=False)[0].endswith("in view (shop.py:1), and 3 more since the last line")


def test_no_more_than_ten_lines_a_minute_are_told() -> None:
    beat = Beat()
    watch = Watch(beat)
    told = []
    for n in range(30):
        beat.at(2000 + 1000 * n)
        look(watch, {LOOP_THREAD: Thread(None, Stack(f"f{n} (shop.py:{n})"))}, 2200 + 1000 * n)
        beat.at(2210 + 1000 * n)
        look(watch, {}, 2220 + 1000 * n)
        told += watch.told(1.0, final=False)
    assert len(told) == 10
    assert told[0].startswith("no request held")


def test_a_route_that_is_not_known_yet_is_waited_for_but_not_forever() -> None:
    beat, op = Beat(), request("")
    op.end_ns = 0
    watch = Watch(beat)
    look(watch, {LOOP_THREAD: Thread(op, Stack())}, 1200)
    beat.at(1210)
    look(watch, {}, 1220)
    assert watch.told(1.0, final=False) == []
    assert watch.told(12.0, final=False)[0].startswith("(unmatched) held")
