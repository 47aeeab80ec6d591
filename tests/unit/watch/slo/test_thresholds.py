from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import BORDERS_NS, position_of
from pitstop.store.memory import MemoryStore
from pitstop.watch.budgets import slo_states
from pitstop.watch.objectives import Objective
from pitstop.watch.thresholds import border_of

NOW_S = int(time.time())
BORDERS = st.integers(100, 1000).map(BORDERS_NS.__getitem__)
NEAR = st.tuples(BORDERS, st.sampled_from([-1, 0, 1])).map(sum)


@pytest.mark.parametrize("threshold_s", [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 64.0, 4096.0])
def test_halves_and_doubles_of_a_second_are_borders(threshold_s: float) -> None:
    border = border_of(threshold_s)
    assert (border.read_s, border.off_ratio) == (threshold_s, 0.0)
    assert position_of(round(threshold_s * 1e9)) == border.position
    assert position_of(round(threshold_s * 1e9) + 1) == border.position + 1


@given(st.floats(1e-6, 10_000))
def test_any_other_threshold_is_read_at_most_1_1_percent_away(threshold_s: float) -> None:
    border = border_of(threshold_s)
    assert abs(border.off_ratio) <= 0.011
    assert border.read_s == pytest.approx(threshold_s * (1 + border.off_ratio), abs=1e-9)  # whole ns


@given(
    st.lists(st.lists(NEAR, min_size=1, max_size=8), min_size=1, max_size=6), st.lists(BORDERS, min_size=1, max_size=3)
)
@settings(max_examples=60, deadline=None)
def test_at_or_below_a_border_is_counted_exactly_whatever_lies_next_to_it(
    rows: list[list[int]], borders: list[int]
) -> None:
    """Rows on one side of all borders, rows across them, and several thresholds at once."""
    store = MemoryStore("thresholds")
    rollups = Rollups()
    for at, durations_ns in enumerate(rows):
        counts: dict[int, int] = {}
        for ns in durations_ns:
            counts[position_of(ns)] = counts.get(position_of(ns), 0) + 1
        row = (
            NOW_S - 600 + at * 60, Series("shop", "", "http", f"GET /{at % 2}", "", "200"), len(durations_ns),
            sum(durations_ns), min(durations_ns), max(durations_ns), 0, encode(counts),
        )  # fmt: skip
        columns = ("ts", "series", "count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist")
        for column, value in zip(columns, row, strict=True):
            getattr(rollups, column).append(value)
    store.append(Batch("test:1:1", 0, rollups))
    objectives = [
        Objective(f"{n}", "latency", 0.9, "shop", threshold_s=border_ns / 1e9) for n, border_ns in enumerate(borders)
    ]
    every = [ns for durations_ns in rows for ns in durations_ns]
    for state in slo_states(store, objectives, NOW_S):
        border_ns = borders[int(state.name)]
        assert (state.good, state.total) == (sum(ns <= border_ns for ns in every), len(every))
