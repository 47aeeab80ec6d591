"""Courses of memory over simulated hours: what is called a leak, and what is not."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest

from pitstop.tune.memory.course import Course, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1e6
STEP_S = 5.0


def verdicts(minutes: int, held: Callable[[float], float], noise: float = 0.5 * MB) -> list[Verdict]:
    """What is judged at the end of each minute, with readings every five seconds, `held` bytes at a minute."""
    course, rng, found = Course(), random.Random(7), []
    for step in range(int(minutes * 60 / STEP_S)):
        minute = step * STEP_S / 60
        if course.add(step * STEP_S, 200 * MB + held(minute) + rng.uniform(0, noise)):
            found.append(course.judge())
    return found


@pytest.mark.parametrize(
    ("what", "held"),
    [
        ("steady", lambda m: 2 * MB * m),
        ("with a saw-tooth of seconds", lambda m: 2 * MB * m + 40 * MB * ((m * 7) % 1)),
        ("with an hour's saw-tooth that is smaller", lambda m: 3 * MB * m + 40 * MB * ((m / 47) % 1)),
        ("after a warm-up", lambda m: 2 * MB * m + 80 * MB * (1 - math.exp(-m / 5))),
        ("that gets faster", lambda m: 0.02 * MB * m * m),
        ("in steps of ten minutes", lambda m: 20 * MB * (m // 10)),
    ],
)
def test_growth_that_goes_on_is_found(what: str, held: Callable[[float], float]) -> None:
    found = verdicts(300, held)
    assert any(each.sure for each in found), what
    if what == "steady":
        first = next(each for each in found if each.sure)
        assert found.index(first) < 65
        assert first.bytes_per_min == pytest.approx(2 * MB, rel=0.1)


@pytest.mark.parametrize(
    ("what", "held"),
    [
        ("noise", lambda _m: 0.0),
        ("a cache that fills for half an hour", lambda m: 3 * MB * min(m, 30)),
        ("a cache that fills more and more slowly", lambda m: 200 * MB * (1 - math.exp(-m / 25))),
        ("a batch every twenty minutes", lambda m: 5 * MB * (m % 20)),
        ("a batch every forty-five minutes", lambda m: 5 * MB * (m % 45)),
        ("a slow leak below the limit", lambda m: 0.8 * MB * m),
        ("traffic that comes and goes", lambda m: 100 * MB * math.sin(m / 20) ** 2),
        ("one great answer", lambda m: 500 * MB if 60 < m < 64 else 0.0),
        ("imports for ten minutes", lambda m: 10 * MB * min(m, 10)),
    ],
)
def test_growth_that_ends_is_none(what: str, held: Callable[[float], float]) -> None:
    assert not any(each.sure for each in verdicts(600, held)), what


def test_a_batch_longer_than_an_hour_is_known_from_its_second_time_on() -> None:
    found = verdicts(720, lambda m: 5 * MB * (m % 120))
    assert not any(each.sure for each in found[125:])


def test_a_gap_is_bridged() -> None:
    course = Course()
    course.add(0, 100)
    course.add(600, 200)
    course.add(660, 300)
    assert course.floors == [100] * 10 + [200]


def test_a_note_out_of_its_slot_waits_for_nobody() -> None:
    course = Course()
    course.add(0, 100)
    course.note(30, 40)
    course.note(90, 1)
    course.add(61, 70)
    assert course.floors == [40]
