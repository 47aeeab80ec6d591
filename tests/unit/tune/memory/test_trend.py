"""Slopes and their certainty against known values and plain definitions."""

from __future__ import annotations

import random
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.memory.trend import largest_fall, trend

VALUES = st.lists(st.integers(-1000, 1000), min_size=3, max_size=30)


@given(VALUES)
def test_the_slope_is_the_median_of_all_slopes(values: list[int]) -> None:
    slopes = [(b - a) / (j - i) for i, a in enumerate(values) for j, b in enumerate(values) if j > i]
    assert trend(values).slope == median(slopes)


@given(VALUES)
def test_a_course_and_its_reverse_have_opposite_trends(values: list[int]) -> None:
    there, back = trend(values), trend(values[::-1])
    assert there.tau == -back.tau
    assert there.z == -back.z


def test_the_score_counts_ties_as_kendalls_book_does() -> None:
    # by hand: S = 23 rises - 2 falls = 21; var = (8·7·21 - 3·(2·1·9)) / 18 = 62.33; z = 20 / 7.895
    found = trend([10, 22, 21, 30, 22, 30, 40, 40])
    assert round(found.tau * 28) == 21
    assert round(found.z, 3) == 2.533


def test_a_quarter_of_wild_readings_does_not_move_the_slope() -> None:
    rng = random.Random(1)
    values = [100.0 * n for n in range(40)]
    for n in rng.sample(range(40), 10):
        values[n] += rng.choice((-1, 1)) * 100_000
    assert 80 < trend(values).slope < 120


def test_noise_alone_is_hardly_ever_a_trend() -> None:
    rng = random.Random(2)
    found = [trend([rng.gauss(0, 1) for _ in range(30)]) for _ in range(400)]
    assert sum(each.z > 3.09 for each in found) <= 3


@given(VALUES)
def test_the_largest_fall_is_the_most_that_a_later_value_is_below_an_earlier_one(values: list[int]) -> None:
    falls = [a - b for i, a in enumerate(values) for b in values[i + 1 :]]
    assert largest_fall(values) == max(0, *falls)
