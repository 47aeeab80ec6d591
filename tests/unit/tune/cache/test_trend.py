"""The TTL that follows from changes, cost and demand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.cache.rules import Adaptive
from pitstop.tune.cache.trend import Trend, choose_ttl_s


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0, 1e6), st.integers(0, 10**6)), max_size=30), st.floats(0, 1e4),
)  # fmt: skip
def test_it_stays_within_its_limits_and_says_why(visits: list[tuple[bool, float, int]], cost_s: float) -> None:
    trend = Trend()
    for changed, after_s, hits in visits:
        trend = trend.visited(changed=changed, after_s=after_s, hits=hits)
    ttl_s, why = choose_ttl_s(trend, cost_s, Adaptive())
    assert 30 <= ttl_s <= 3600
    assert why


@pytest.mark.parametrize("every_s", [100.0, 1000.0])
def test_the_rate_of_random_changes_is_found(every_s: float) -> None:
    rng, trend, found = random.Random(5), Trend(), []
    for _ in range(400):
        changed = rng.random() < 1 - 2.718281828 ** (-50 / every_s)
        trend = trend.visited(changed=changed, after_s=50, hits=10)
        found.append(trend.rate_per_s)
    mean = sum(found[50:]) / len(found[50:])
    assert 0.6 / every_s < mean < 1.6 / every_s


def ttl_s(cost_s: float, hits: int, changes: int) -> float:
    """For a value visited 20 times in 200 s each."""
    trend = Trend()
    for visit in range(20):
        trend = trend.visited(changed=visit % 20 >= 20 - changes, after_s=200, hits=hits)
    return choose_ttl_s(trend, cost_s, Adaptive(1e-3, 1e6))[0]


def test_it_is_longer_for_what_is_dear_and_shorter_for_what_is_asked_for_or_changes_often() -> None:
    assert ttl_s(0.4, 1000, 5) == pytest.approx(2 * ttl_s(0.1, 1000, 5))
    assert ttl_s(0.1, 4003, 5) == pytest.approx(ttl_s(0.1, 1000, 5) / 2)
    assert ttl_s(0.1, 1000, 10) < ttl_s(0.1, 1000, 5)
    assert ttl_s(1e9, 1000, 5) < 200  # most would be outdated
