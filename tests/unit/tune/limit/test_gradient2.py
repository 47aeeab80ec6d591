"""The limit, against a plain transcription of Netflix' class and on simulated latencies."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model.errors import SettingError
from pitstop.tune.limit.gradient2 import Gradient2

WINDOWS = st.lists(st.tuples(st.floats(1e-4, 30.0), st.integers(0, 300)), min_size=1, max_size=200)


class Reference:
    """`Gradient2Limit._update` and `ExpAvgMeasurement.add`, line by line."""

    def __init__(self, initial: float, least: float, most: float) -> None:
        self.estimated_limit, self.min_limit, self.max_limit = float(initial), least, most
        self.value = self.sum = 0.0
        self.count = 0

    def add(self, sample: float) -> float:
        if self.count < 10:
            self.count += 1
            self.sum += sample
            self.value = self.sum / self.count
        else:
            factor = 2.0 / (600 + 1)
            self.value = self.value * (1 - factor) + sample * factor
        return self.value

    def update(self, rtt: float, inflight: int) -> float:
        queue_size = max(1, int(math.sqrt(int(self.estimated_limit))))
        short_rtt, long_rtt = rtt, self.add(rtt)
        if long_rtt / short_rtt > 2:
            self.value = self.value * 0.95
        if inflight < self.estimated_limit / 2:
            return self.estimated_limit
        gradient = max(0.5, min(1.0, 1.5 * long_rtt / short_rtt))
        new_limit = self.estimated_limit * gradient + queue_size
        new_limit = self.estimated_limit * (1 - 0.2) + new_limit * 0.2
        self.estimated_limit = max(self.min_limit, min(self.max_limit, new_limit))
        return self.estimated_limit


@given(WINDOWS)
def test_it_is_netflix_gradient2_window_by_window(windows: list[tuple[float, int]]) -> None:
    ours, theirs = Gradient2(initial=20, least=4, most=200), Reference(20, 4, 200)
    for latency_s, in_flight in windows:
        assert ours.update(latency_s, in_flight) == pytest.approx(theirs.update(latency_s, in_flight), rel=1e-9)


@given(WINDOWS)
def test_the_limit_stays_within_its_bounds(windows: list[tuple[float, int]]) -> None:
    limit = Gradient2(initial=10, least=2, most=50)
    for latency_s, in_flight in windows:
        before = limit.limit
        after = limit.update(latency_s, in_flight)
        assert 2 <= after <= 50
        assert after >= before * 0.9 - 1e-9  # half of it, smoothed by 0.2


def test_it_grows_while_latency_stays_the_same() -> None:
    limit = Gradient2()
    for _ in range(400):
        limit.update(0.05, int(limit.limit))
    assert limit.limit == 200


def test_without_load_it_learns_nothing() -> None:
    limit = Gradient2()
    for _ in range(100):
        limit.update(0.05, 3)
    assert limit.limit == 20
    assert "nothing to learn" in limit.why


def test_it_shrinks_under_load_and_comes_back() -> None:
    limit = Gradient2(initial=100)
    for _ in range(60):
        limit.update(0.05, 100)
    for _ in range(30):
        limit.update(0.5, 200)
    assert limit.limit < 40
    assert "times the usual" in limit.why
    for _ in range(200):
        limit.update(0.05, int(limit.limit))
    assert limit.limit > 150


@pytest.mark.parametrize(
    "options",
    [
        {"initial": 3, "least": 4},
        {"initial": 300},
        {"least": 0},
        {"tolerance": 0.9},
        {"smoothing": 0},
        {"smoothing": 2},
    ],
)
def test_impossible_settings_are_refused_with_the_value(options: dict[str, float]) -> None:
    with pytest.raises(SettingError, match=str(next(iter(options.values())))):
        Gradient2(**options)  # type: ignore[arg-type]  # by name
