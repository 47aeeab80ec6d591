"""What is answered when somebody asks: optimize, look closer, types."""

from __future__ import annotations

import ctypes
import gc
import re
import threading
import time
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from pitstop.model.errors import PitstopError, SettingError
from pitstop.record.asks import ANSWERS, cannot_answer
from pitstop.tune.memory import optimizing, tune_memory
from pitstop.tune.memory.answers import answer_look, answer_memory, answer_optimize, answer_types
from pitstop.tune.memory.bursts import grown_by_line
from pitstop.tune.memory.ledger import Ledger, _run, grown_lines, malloc_books
from pitstop.tune.memory.optimizing import can_shrink, optimize

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p
LIBC.free.argtypes = [ctypes.c_void_p]
KEPT: list[object] = []
TAKEN: list[int] = []


def keep() -> None:
    KEPT.append(bytearray(20_000))  # the line that leaks


def use() -> int:
    return len(bytearray(50_000))


def take() -> None:
    scratch = bytearray(300_000)
    TAKEN.append(LIBC.malloc(ctypes.c_size_t(len(scratch) // 10)))  # the line that takes


class Busy:
    """A thread that does `work` a few hundred times a second, until the end."""

    def __init__(self, *work: object) -> None:
        self._work, self._end = work, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(0.003):
            for each in self._work:
                each()  # type: ignore[operator]  # they are functions
            [[] for _ in range(200)]

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


@pytest.fixture(autouse=True)
def emptied() -> Iterator[None]:
    yield
    KEPT.clear()
    while TAKEN:
        LIBC.free(TAKEN.pop())


def test_the_line_that_keeps_is_told_before_the_one_that_only_works() -> None:
    with Busy(keep, use):
        first = grown_by_line(1.0)[0]
    assert first.line == f"{__file__}:{keep.__code__.co_firstlineno + 1}"
    assert first.stays
    assert first.bytes_per_min > 20_000 * 60 * 10


def test_a_look_does_not_end_what_somebody_else_is_tracing() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PitstopError, match="on already"):
            grown_by_line(0.1)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("seconds", [0, -1, 121, float("nan")])
def test_a_look_of_an_impossible_length_is_refused(seconds: float) -> None:
    with pytest.raises(SettingError, match="seconds"):
        grown_by_line(seconds)
    with pytest.raises(SettingError, match="soon"):
        answer_look({"seconds": "soon"})


def test_the_function_that_takes_memory_of_c_is_found_in_another_thread() -> None:
    threshold = gc.get_threshold()
    with Busy(take, use):
        line, why = grown_lines()
    where, _, number = line.rpartition(":")
    assert where == __file__
    first = take.__code__.co_firstlineno
    assert int(number) in range(first, first + 3)  # the very line where no other tracer, as coverage's, is at work
    assert "no Python object shows" in why
    assert gc.get_threshold() == threshold


def test_where_nothing_is_taken_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with Busy(use):
        assert grown_lines(0.6) == ("", "")
    monkeypatch.setattr("pitstop.tune.memory.ledger.malloc_books", lambda: None)
    assert grown_lines() == ("", "")


def test_a_burst_ends_when_it_has_cost_what_it_may() -> None:
    books = malloc_books()
    assert books is not None
    ledger = Ledger(books, 0.01)
    with Busy(use):
        began_s = time.monotonic()
        _run(ledger, "profile", ledger.profiled, time.sleep, 30.0)
    assert time.monotonic() - began_s < 20
    assert ledger.spent_s < 0.02


def test_malloc_tells_what_it_has_given_out() -> None:
    books = malloc_books()
    assert books is not None
    before = books()
    address = LIBC.malloc(ctypes.c_size_t(5_000_000))
    assert books() - before >= 5_000_000
    LIBC.free(address)
    assert books() - before < 100_000


def test_optimize_gives_back_what_a_cache_held_and_says_so_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizing, "_shrinkers", [])
    KEPT.extend(b"x" * 100_000 + str(n).encode() for n in range(400))
    can_shrink("the cache", KEPT.clear)
    done = optimize()
    assert done.freed_bytes is not None
    assert done.freed_bytes > 20_000_000
    assert done.before_bytes is not None
    assert done.before_bytes - done.freed_bytes == done.after_bytes
    assert sum(step.freed_bytes for step in done.steps) == done.freed_bytes
    assert done.steps[0].name == "the cache"


def test_optimize_is_honest_when_there_is_nothing_to_free() -> None:
    optimize()
    again = optimize()
    assert again.freed_bytes is not None
    assert abs(again.freed_bytes) < 2_000_000


def test_a_step_that_fails_is_told_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizing, "_shrinkers", [])

    def fails() -> None:
        raise OSError("no")

    assert optimize([("broken", fails)]).steps[0].note == "failed: OSError('no')"
    assert re.compile("a+").match("aa")


def test_what_was_frozen_stays_frozen() -> None:
    gc.freeze()
    answer = answer_optimize({})
    assert gc.get_freeze_count() > 0
    gc.unfreeze()
    assert {"before_bytes", "after_bytes", "freed_bytes", "took_s", "steps"} == answer.keys()


def test_types_and_containers_are_answered_the_most_first() -> None:
    KEPT.extend(range(3000))
    answer = answer_types({})
    types = answer["types"]
    assert isinstance(types, list)
    assert types[0]["count"] >= types[-1]["count"] > 0
    containers = answer["containers"]
    assert isinstance(containers, list)
    assert {"where", "length"} == containers[0].keys()


def test_a_look_answers_lines_and_what_is_outside_in_the_time_it_was_given() -> None:
    began_s = time.monotonic()
    with Busy(keep, take):
        answer = answer_look({"seconds": 3})
    assert time.monotonic() - began_s < 3 + 5  # what the asking side waits beyond it
    outside = answer["outside"]
    assert isinstance(outside, dict)
    assert outside["line"].startswith(__file__)
    with Busy(keep):
        answer = answer_look({"seconds": 0.4, "outside": False})
    assert answer["outside"] is None
    lines = answer["lines"]
    assert isinstance(lines, list)
    assert lines[0]["line"].startswith(__file__)


def test_all_of_it_starts_once_answers_and_ends() -> None:
    tuned = tune_memory()
    assert tune_memory() is tuned
    assert {"memory.optimize", "memory.look", "memory.types"} <= ANSWERS.keys()
    tuned.stop()
    again = tune_memory()
    assert again is not tuned
    again.stop()
    for name in ("optimize", "look", "types"):
        cannot_answer(f"memory.{name}")
    answer_memory()
