"""Pools of objects: bounded, for threads, and honest about their gain."""

from __future__ import annotations

import threading
import time

import pytest

from pitstop.model.errors import SettingError
from pitstop.model.tuned import OBJECTS_REPORT
from pitstop.tune.memory.pools import ObjectPool


def dear() -> bytearray:
    end_s = time.perf_counter() + 0.0005
    while time.perf_counter() < end_s:
        pass
    return bytearray(10)


def test_what_was_given_back_is_taken_again_the_last_one_first() -> None:
    pool = ObjectPool("test", object)
    first, second = pool.take(), pool.take()
    pool.give(first)
    pool.give(second)
    assert pool.take() is second
    assert (pool.taken, pool.made) == (3, 2)
    pool.close()


def test_no_more_than_its_size_are_idle() -> None:
    pool = ObjectPool("test", object, size=3)
    for each in [pool.take() for _ in range(10)]:
        pool.give(each)
    assert len(pool._idle) == 3
    pool.shrink()
    assert len(pool._idle) == 0
    pool.close()


def test_one_that_cannot_be_reset_or_was_in_a_failing_block_is_thrown_away() -> None:
    def reset(_each: object) -> None:
        raise ValueError

    pool = ObjectPool("test", object, reset=reset)
    pool.give(pool.take())
    assert pool.reset_failed == 1
    assert len(pool._idle) == 0
    sound = ObjectPool("sound", object)
    with pytest.raises(ZeroDivisionError), sound.borrow():
        raise ZeroDivisionError
    assert len(sound._idle) == 0
    with sound.borrow() as each:
        pass
    assert sound.take() is each
    pool.close()
    sound.close()


def test_nobody_gets_what_another_thread_has() -> None:
    pool = ObjectPool("test", lambda: [0], size=4)
    wrong = []

    def work() -> None:
        for _ in range(5000):
            each = pool.take()
            each[0] += 1
            if each[0] != 1:
                wrong.append(each)
            each[0] -= 1
            pool.give(each)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    pool.close()


def test_a_pool_of_what_is_dear_saves_and_one_of_what_is_cheap_says_it_is_a_loss() -> None:
    saves, loses = ObjectPool("dear", dear), ObjectPool("cheap", list, reset=list.clear)
    for pool in (saves, loses):
        assert "too early" in pool.verdict
        for each in [pool.take() for _ in range(10)]:  # type: ignore[attr-defined]  # each its own
            pool.give(each)
        for _ in range(300):
            pool.give(pool.take())  # type: ignore[arg-type]  # each its own
    assert saves.saved_s == pytest.approx(300 * 0.0005, rel=0.5)
    assert saves.verdict.startswith("saves")
    assert loses.saved_s < 0
    assert "make them anew" in loses.verdict
    [report] = loses.reports()
    assert (report.kind, report.name) == (OBJECTS_REPORT, "cheap")
    assert report.body["reset_s"] > 0
    saves.close()
    loses.close()


def test_a_pool_without_room_is_refused() -> None:
    with pytest.raises(SettingError, match="size = 0"):
        ObjectPool("test", object, size=0)
