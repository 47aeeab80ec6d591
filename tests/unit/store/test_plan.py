"""Which tiers answer a window."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pitstop.model import Window
from pitstop.store.sqlite.tiers import DAY_S, FOREVER_S, HOUR_S, ROLLUP_TIERS, Reach, Segment, plan

NOW = 20_000 * DAY_S + 45_296  # 12:34:56
UNITS = [tier.step_s for tier in ROLLUP_TIERS]


def reaches(now_s: int, lags_s: list[int], kept_s: list[int]) -> list[Reach]:
    """Tiers as folding and retention leave them: marks fall, floors fall, each on its border."""
    marks = [FOREVER_S]
    for unit, lag in zip(UNITS[1:], lags_s, strict=True):
        marks.append(min(marks[-1], now_s - lag) // unit * unit)
    floors: list[int] = []
    for i, kept in enumerate(kept_s):
        unit = UNITS[min(i + 1, len(UNITS) - 1)]
        floors.append(min(now_s - kept, *marks[i + 1 : i + 2], marks[i]) // unit * unit)
    for i in range(len(floors) - 2, -1, -1):
        floors[i] = max(floors[i], floors[i + 1])
    return [Reach(*parts) for parts in zip(ROLLUP_TIERS, floors, marks, strict=True)]


def usual() -> list[Reach]:
    return reaches(NOW, [20] * 5, [tier.kept_s or 90 * DAY_S for tier in ROLLUP_TIERS])


def covered(segments: list[Segment]) -> int:
    return sum(segment.end_s - segment.start_s for segment in segments)


def test_a_day_is_answered_by_hours_with_finer_edges() -> None:
    segments = plan(Window(NOW - DAY_S, NOW), None, usual())
    assert [(s.tier.step_s, (s.end_s - s.start_s) // s.tier.step_s) for s in segments] == [
        (10, 1),  # 12:34:56 … is widened to 12:34:50, for seconds are kept an hour
        (300, 5),
        (HOUR_S, 23),
        (300, 6),
        (60, 4),
        (10, 3),
        (1, 26),
    ]
    assert covered(segments) == DAY_S + 6


def test_no_interval_spans_more_than_one_step() -> None:
    for step_s in (10, 15, 60, 90, 3600):
        for segment in plan(Window(NOW - 1800, NOW), step_s, usual()):
            assert step_s % segment.tier.step_s == 0


def test_where_only_hours_are_kept_the_window_is_widened_to_hours() -> None:
    old = NOW - 60 * DAY_S
    (segment,) = plan(Window(old, old + 60), 60, usual())
    assert segment == Segment(ROLLUP_TIERS[4], old // HOUR_S * HOUR_S, old // HOUR_S * HOUR_S + HOUR_S)


def test_what_is_older_than_everything_kept_is_nowhere() -> None:
    assert plan(Window(0, 1000), None, usual()) == []
    assert plan(Window(NOW, NOW), None, usual()) == []


@given(
    lags=st.lists(st.integers(0, 4 * DAY_S), min_size=5, max_size=5),
    kept=st.lists(st.integers(0, 100 * DAY_S), min_size=6, max_size=6),
    start=st.integers(0, 110 * DAY_S),
    length=st.integers(1, 110 * DAY_S),
    step=st.sampled_from([None, 1, 7, 10, 15, 60, 90, 600, 3600, 7200, DAY_S]),
)
def test_every_kept_moment_is_covered_once_and_only_edges_are_widened(
    lags: list[int], kept: list[int], start: int, length: int, step: int | None
) -> None:
    tiers = reaches(NOW, lags, kept)
    window = Window(NOW - start, NOW - start + length)
    segments = plan(window, step, tiers)
    for segment in segments:
        assert segment.start_s % segment.tier.step_s == 0
        assert segment.end_s % segment.tier.step_s == 0
        reach = tiers[UNITS.index(segment.tier.step_s)]
        assert reach.floor_s <= segment.start_s < segment.end_s <= reach.mark_s
    for before, after in pairwise(segments):
        assert before.end_s == after.start_s
    if segments:
        wide = window.aligned(DAY_S)
        assert wide.start_s <= segments[0].start_s
        assert segments[-1].end_s <= wide.end_s
        assert segments[-1].end_s >= window.end_s
        assert segments[0].start_s <= max(window.start_s, tiers[-1].floor_s)
    else:
        assert window.end_s <= tiers[-1].floor_s
