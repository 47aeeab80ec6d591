from __future__ import annotations

import time
from typing import Any

import pytest

from pitstop.analyze import automatic_step_s, heatmap, sparklines, trend
from pitstop.model import Window

NOW = int(time.time()) // 3600 * 3600
HOUR = 3600
DAY = 86_400


@pytest.mark.parametrize(
    ("length_s", "step_s"),
    [(60, 1), (900, 5), (1800, 10), (HOUR, 30), (6 * HOUR, 300), (DAY, 900), (7 * DAY, HOUR), (30 * DAY, 21_600),
     (90 * DAY, DAY), (730 * DAY, 604_800)],
)  # fmt: skip
def test_the_automatic_step_gives_a_chart_that_is_neither_coarse_nor_crowded(length_s: int, step_s: int) -> None:
    assert automatic_step_s(Window(NOW - length_s, NOW), now_s=NOW) == step_s
    assert 45 <= length_s / step_s <= 180


def test_the_automatic_step_is_never_finer_than_what_is_still_kept() -> None:
    for age_s, kept_s in ((2 * HOUR, 10), (3 * DAY, 60), (20 * DAY, HOUR), (100 * DAY, DAY)):
        window = Window(NOW - age_s, NOW - age_s + 60)
        assert automatic_step_s(window, now_s=NOW) >= kept_s


def test_a_window_longer_than_any_step_fits_takes_the_longest_step() -> None:
    assert automatic_step_s(Window(0, 180 * 604_800 + 1), now_s=NOW) == 604_800


def test_gaps_stay_gaps(recorded: Any) -> None:
    recorded.add(NOW - 60, "GET /a", [0.1] * 4)
    recorded.add(NOW - 60, "GET /a", [0.3], outcome="500")
    recorded.add(NOW - 10, "GET /b", [0.2])
    seen = trend(recorded.store, Window(NOW - 60, NOW), "shop", step_s=10)
    assert seen.ts == tuple(range(NOW - 60, NOW, 10))
    assert seen.requests == (5, None, None, None, None, 1)
    assert seen.errors == (1, None, None, None, None, 0)
    assert seen.rate_per_s == (0.5, None, None, None, None, 0.1)
    assert seen.mean_s[0] == pytest.approx(0.14)
    assert seen.p95_s[1] is None
    assert seen.max_s == (0.3, None, None, None, None, 0.2)


def test_a_step_that_the_window_cuts_has_its_rate_over_the_part_inside(recorded: Any) -> None:
    recorded.add(NOW + 3, "GET /a", [0.1] * 4)
    seen = trend(recorded.store, Window(NOW, NOW + 14), "shop", step_s=10)
    recorded.add(NOW + 12, "GET /a", [0.1] * 4)
    again = trend(recorded.store, Window(NOW, NOW + 14), "shop", step_s=10)
    assert seen.rate_per_s == (0.4, None)
    assert again.rate_per_s == (0.4, 1.0)


def test_one_route_leaves_the_others_out(recorded: Any) -> None:
    recorded.add(NOW, "GET /a", [0.1])
    recorded.add(NOW, "GET /b", [0.1] * 3)
    assert trend(recorded.store, Window(NOW, NOW + 10), "shop", "GET /b", 10).requests == (3,)


def test_nothing_recorded_is_a_trend_of_gaps(recorded: Any) -> None:
    seen = trend(recorded.store, Window(NOW, NOW + 30), "shop", step_s=10)
    assert (seen.requests, seen.p99_s) == ((None,) * 3, (None,) * 3)


def test_a_heatmap_counts_every_request_in_the_cell_of_its_time_and_duration(recorded: Any) -> None:
    recorded.add(NOW, "GET /a", [0.001, 0.001, 0.1])
    recorded.add(NOW + 20, "GET /a", [5.0])
    seen = heatmap(recorded.store, Window(NOW, NOW + 30), "shop", step_s=10)
    assert [sum(column) for column in seen.counts] == [3, 0, 1]
    assert all(len(column) == len(seen.upper_s) == len(seen.lower_s) for column in seen.counts)
    assert seen.lower_s[1:] == seen.upper_s[:-1]

    def row_of(seconds: float) -> int:
        return next(
            i for i, (low, high) in enumerate(zip(seen.lower_s, seen.upper_s, strict=True)) if low < seconds <= high
        )

    assert seen.counts[0][row_of(0.001)] == 2
    assert seen.counts[0][row_of(0.1)] == 1
    assert seen.counts[2][row_of(5.0)] == 1
    ratio = seen.upper_s[1] / seen.lower_s[1]
    assert ratio == pytest.approx(2 ** (5 / 32))


def test_a_heatmap_holds_durations_at_both_ends_of_the_range(recorded: Any) -> None:
    recorded.add(NOW, "GET /a", [0.0000001, 20_000.0])
    seen = heatmap(recorded.store, Window(NOW, NOW + 10), "shop", step_s=10)
    assert (seen.counts[0][0], seen.counts[0][-1], sum(seen.counts[0])) == (1, 1, 2)
    assert seen.lower_s[0] == 0.0


def test_a_heatmap_of_nothing_has_no_rows(recorded: Any) -> None:
    seen = heatmap(recorded.store, Window(NOW, NOW + 30), "shop", step_s=10)
    assert (seen.upper_s, seen.counts) == ((), ((), (), ()))


def test_every_route_has_its_sparkline(recorded: Any) -> None:
    recorded.add(NOW, "GET /a", [0.1])
    recorded.add(NOW + 230, "GET /a", [0.2, 0.2])
    recorded.add(NOW + 100, "GET /b", [0.3])
    seen = sparklines(recorded.store, Window(NOW, NOW + 240), "shop")
    assert set(seen) == {"GET /a", "GET /b"}
    line = seen["GET /a"]
    assert (line.step_s, len(line.ts)) == (10, 24)
    assert (line.requests[0], line.requests[1], line.requests[-1]) == (1, None, 2)
    assert line.p95_s[1] is None
    assert line.p95_s[-1] == pytest.approx(0.2, rel=0.011)
    assert seen["GET /b"].requests[10] == 1


def test_no_routes_no_sparklines(recorded: Any) -> None:
    assert sparklines(recorded.store, Window(NOW, NOW + 240), "shop") == {}
