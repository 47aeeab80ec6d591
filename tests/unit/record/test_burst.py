from __future__ import annotations

import json
import time

import pytest

from pitstop.model.errors import PitstopError
from pitstop.record import burst
from pitstop.record.burst import answering, sampled
from pitstop.record.tally import WALL, Tally


class Text:
    text = "main (shop.py:1);view (shop.py:2)"


class Sampling:
    """Stands for the profiler: takes note of what it is asked for, and samples one stack."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []
        self.slept: list[float] = []
        self.finished = 0

    def burst(self, seconds: float, hz: float) -> Tally:
        self.asked.append((seconds, hz))
        tally = Tally("shop")
        tally.add([(None, WALL, Text(), 5_000_000)], time.time())  # type: ignore[list-item]  # stands for a stack
        return tally

    def finish(self) -> None:
        self.finished += 1


def test_what_was_sampled_comes_back_whole() -> None:
    sampling = Sampling()
    answer = answering(sampling.burst, sampling.finish, sampling.slept.append)
    found = sampled(json.loads(json.dumps(answer({"seconds": 0.5, "hz": 300}))))
    assert (found.stack, found.weight_ns, found.service) == ([Text.text], [5_000_000], ["shop"])
    assert (sampling.asked, sampling.slept, sampling.finished) == ([(0.5, 300.0)], [0.5], 1)


def test_how_long_and_how_fast_is_bounded() -> None:
    sampling = Sampling()
    answering(sampling.burst, sampling.finish, sampling.slept.append)({"seconds": 1e9, "hz": 1e9})
    assert sampling.asked == [(burst.LONGEST_S, burst.FASTEST_HZ)]


def test_one_look_at_a_time() -> None:
    sampling = Sampling()
    problems: list[str] = []

    def again(_seconds: float) -> None:
        with pytest.raises(PitstopError, match="being looked at already") as raised:
            answer({"seconds": 1, "hz": 1})
        problems.append(str(raised.value))

    answer = answering(sampling.burst, sampling.finish, again)
    answer({"seconds": 1, "hz": 1})
    assert len(problems) == len(sampling.asked) == 1


def test_a_request_without_sense_changes_nothing() -> None:
    sampling = Sampling()
    answer = answering(sampling.burst, sampling.finish, sampling.slept.append)
    with pytest.raises((KeyError, ValueError)):
        answer({"seconds": "long", "hz": 1})
    assert sampling.asked == []
