"""The histogram against exact arithmetic and exact percentiles."""

from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.rollup.histogram import (
    BORDERS_NS,
    OTEL_OFFSET,
    POSITIONS,
    merged,
    position_of,
    quantile_ns,
    value_ns,
)

RELATIVE_ERROR = 0.011
durations = st.integers(min_value=1_000, max_value=10**13)


def exact_index(duration_ns: int) -> int:
    """OpenTelemetry's index, ceil(log2(seconds)·32) − 1, by whole numbers."""
    i = math.ceil(math.log2(duration_ns / 1e9) * 32) - 1
    for candidate in (i - 1, i, i + 1):
        if Fraction(duration_ns, 10**9) ** 32 <= Fraction(2) ** (candidate + 1):
            return candidate
    raise AssertionError


@given(durations)
def test_every_duration_is_in_the_bucket_opentelemetry_gives_it(duration_ns: int) -> None:
    assert position_of(duration_ns) - OTEL_OFFSET == exact_index(duration_ns)


def test_durations_on_either_side_of_every_border_are_in_the_right_bucket() -> None:
    for position, border in enumerate(BORDERS_NS[:-1]):
        assert position_of(border) == position
        assert position_of(border + 1) == position + 1
        if position:
            assert exact_index(border) == position - OTEL_OFFSET
            assert exact_index(border + 1) == position + 1 - OTEL_OFFSET


def test_powers_of_two_seconds_are_upper_inclusive() -> None:
    for power in range(-9, 14):
        ns = 10**9 * 2**power if power >= 0 else 10**9 // 2**-power
        assert position_of(ns) - OTEL_OFFSET == 32 * power - 1


def test_the_range_is_a_microsecond_to_ten_thousand_seconds() -> None:
    assert position_of(0) == 0
    assert position_of(995) == 0
    assert position_of(1_000) == 1
    assert position_of(10**13) < POSITIONS
    assert position_of(10**18) == POSITIONS - 1


@given(durations)
def test_a_buckets_value_is_within_the_promised_error(duration_ns: int) -> None:
    assert abs(value_ns(position_of(duration_ns)) - duration_ns) <= duration_ns * 0.010_84


def counted(values: list[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for value in values:
        position = position_of(value)
        counts[position] = counts.get(position, 0) + 1
    return counts


def distribution(name: str, n: int, rng: random.Random) -> list[int]:
    draw = {
        "uniform": lambda: rng.uniform(1e4, 1e9),
        "exponential": lambda: rng.expovariate(1 / 5e6) + 1000,
        "lognormal": lambda: rng.lognormvariate(16, 1.5),
        "pareto": lambda: rng.paretovariate(1.1) * 1e6,
        "normal": lambda: abs(rng.gauss(5e7, 1e7)) + 1000,
        "bimodal": lambda: rng.gauss(2e6, 1e5) if rng.random() < 0.9 else rng.gauss(9e8, 1e7),
        "constant": lambda: 12_345_678,
        "weibull": lambda: rng.weibullvariate(3e7, 0.6) + 1000,
        "triangular": lambda: rng.triangular(1e3, 1e8, 2e7),
        "log-uniform": lambda: 10 ** rng.uniform(3, 12.9),
    }[name]
    return [min(10**13, max(1000, int(draw()))) for _ in range(n)]


NAMES = (
    "uniform", "exponential", "lognormal", "pareto", "normal",
    "bimodal", "constant", "weibull", "triangular", "log-uniform",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [1, 3, 50, 1000, 5000])
def test_quantiles_are_within_the_error_of_exact_ones_however_it_was_merged(name: str, n: int) -> None:
    rng = random.Random(f"{name}{n}")
    values = distribution(name, n, rng)
    parts = [counted(values[i::7]) for i in range(7)]
    rng.shuffle(parts)
    pairwise: dict[int, int] = {}
    for part in parts:
        pairwise = merged([part, pairwise])
    assert pairwise == merged(parts) == counted(values)
    values.sort()
    for q in (0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1):
        exact = values[max(1, math.ceil(q * n - 1e-9)) - 1]
        estimate = quantile_ns(pairwise, q)
        assert estimate is not None
        assert abs(estimate - exact) <= RELATIVE_ERROR * exact


@given(st.lists(st.lists(durations, max_size=20), max_size=8), st.randoms(use_true_random=False))
def test_merging_gives_the_same_in_every_order_and_grouping(parts: list[list[int]], rng: random.Random) -> None:
    whole = counted([value for part in parts for value in part])
    histograms = [counted(part) for part in parts]
    rng.shuffle(histograms)
    while len(histograms) > 1:
        i, j = rng.sample(range(len(histograms)), 2)
        both = merged([histograms[i], histograms[j]])
        histograms = [h for k, h in enumerate(histograms) if k not in (i, j)] + [both]
    assert (histograms[0] if histograms else {}) == whole


def test_nothing_has_no_quantile() -> None:
    assert quantile_ns({}, 0.5) is None
