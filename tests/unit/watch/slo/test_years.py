"""Years of outcomes, looked at every ten seconds or every minute: when it fires, when it stops, and that luck does not.

The arithmetic under test is what live looks use (`judged`, which `burns` calls); only the looks are many at once.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

from pitstop.model.watching import PAGE
from pitstop.watch.burn import PAIRS, Judged, Outcomes, burns, judged, window_to

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pitstop.model import Window

DAY_S = 86_400
YEAR_S = 365 * DAY_S
DOCS = Path(__file__).parents[4] / "docs" / "slos.md"
PAGES = np.array([pair.severity == PAGE for pair in PAIRS])


class Budget(NamedTuple):
    target: float = 0.999
    least_events: int = 100


class Stream:
    """Good and total of every `step_s` from the epoch on, and what a look at each step's end sees."""

    def __init__(self, bad: NDArray[np.int64], total: NDArray[np.int64], step_s: int) -> None:
        self.step_s = step_s
        self._good = np.concatenate([[0], np.cumsum(total - bad)])
        self._total = np.concatenate([[0], np.cumsum(total)])

    def looks(self, first_s: int) -> NDArray[np.int64]:
        return np.arange(first_s, (len(self._total) - 1) * self.step_s + 1, self.step_s)

    def judged(self, looks: NDArray[np.int64], budget: Budget) -> Judged:
        columns = []
        for lengths in ([pair.long_s for pair in PAIRS], [pair.short_s for pair in PAIRS]):
            starts = np.stack([self._starts(looks, length_s) for length_s in lengths], axis=1) // self.step_s
            ends = (looks // self.step_s)[:, None]
            columns += [self._good[ends] - self._good[starts], self._total[ends] - self._total[starts]]
        return judged(*columns, budget)

    def read(self, window: Window) -> Outcomes:
        first, last = max(0, window.start_s) // self.step_s, window.end_s // self.step_s
        return Outcomes(int(self._good[last] - self._good[first]), int(self._total[last] - self._total[first]))

    @staticmethod
    def _starts(looks: NDArray[np.int64], length_s: int) -> NDArray[np.int64]:
        grain_s = next(
            grain for grain in (3600, 60, 10) if window_to(3590, length_s).start_s % grain == 0
        )  # 3590 s ends on the finest border only
        return np.maximum((looks - length_s) // grain_s * grain_s, 0)


def incident(error_ratio: float, lasts_s: int, *, per_s: int = 1000, step_s: int = 10, days: int = 4) -> Stream:
    """A steady service that fails `error_ratio` of its requests for `lasts_s`, after `days` that were fine."""
    steps = (days * DAY_S + lasts_s + 4 * DAY_S) // step_s
    total = np.full(steps, per_s * step_s)
    bad = np.zeros(steps, dtype=np.int64)
    begin = days * DAY_S // step_s
    bad[begin : begin + lasts_s // step_s] = round(per_s * step_s * error_ratio)
    return Stream(bad, total, step_s)


def detection_and_reset_s(error_ratio: float, lasts_s: int) -> list[tuple[int | None, int | None]]:
    """For every pair: seconds from the incident's begin until it fires, and from its end until it no longer does."""
    stream = incident(error_ratio, lasts_s)
    begin = 4 * DAY_S
    looks = stream.looks(begin)
    firing = stream.judged(looks, Budget()).firing
    out: list[tuple[int | None, int | None]] = []
    for column in firing.T:
        at = looks[column]
        out.append((int(at[0]) - begin, int(at[-1]) - begin - lasts_s) if len(at) else (None, None))
    return out


def test_a_look_at_one_moment_is_the_same_as_many_at_once() -> None:
    stream = incident(0.05, 7200)
    looks = stream.looks(4 * DAY_S)[::97]
    many = stream.judged(looks, Budget())
    for place, end_s in enumerate(looks.tolist()):
        one = burns(stream.read, Budget(), end_s)
        assert [burn.firing for burn in one] == many.firing[place].tolist()
        assert [burn.long_rate for burn in one] == pytest.approx(many.long_rate[place].tolist())
        assert [burn.short_rate for burn in one] == pytest.approx(many.short_rate[place].tolist())


@pytest.mark.parametrize(("error_ratio", "lasts_s"), [(1.0, 1800), (0.5, 3600), (0.1, 6 * 3600), (0.02, DAY_S)])
def test_detection_takes_what_the_workbook_says(error_ratio: float, lasts_s: int) -> None:
    """Its chapter 5: (1 − objective) / error ratio × long window × burn rate, or never when that is longer than it."""
    found = detection_and_reset_s(error_ratio, lasts_s)
    for pair, (detected_s, _) in zip(PAIRS, found, strict=True):
        expected_s = 0.001 / error_ratio * pair.long_s * pair.factor
        short_s = 0.001 / error_ratio * pair.short_s * pair.factor
        if expected_s > pair.long_s:
            assert detected_s is None
        elif expected_s <= lasts_s:
            assert detected_s is not None
            assert expected_s <= detected_s <= max(expected_s, short_s) * 1.02 + 10  # a look is every 10 s


@pytest.mark.parametrize(("error_ratio", "lasts_s"), [(1.0, 1800), (0.5, 3600), (0.1, 6 * 3600)])
def test_reset_takes_no_longer_than_the_short_window(error_ratio: float, lasts_s: int) -> None:
    """The workbook: it ends with the short window, a twelfth of the long one; less what that holds below the factor."""
    for pair, (detected_s, reset_s) in zip(PAIRS, detection_and_reset_s(error_ratio, lasts_s), strict=True):
        if detected_s is None:
            continue
        filled_s = min(pair.short_s, lasts_s)
        needed_s = 0.001 * pair.factor / error_ratio * pair.short_s
        expected_s = pair.short_s - needed_s if filled_s >= needed_s else 0
        assert reset_s is not None
        assert reset_s <= pair.short_s
        assert expected_s - 10 <= reset_s <= expected_s * 1.02 + 70


def test_the_workbooks_table_comes_out_as_the_documentation_has_it() -> None:
    """Every pair and six error ratios, to the look: the workbook's formula in brackets."""
    rows = []
    for error_ratio, lasts_s in ((1.0, 4), (0.5, 8), (0.1, 24), (0.02, 48), (0.01, 72), (0.005, 72)):
        cells = [f"{error_ratio * 100:g} %"]
        for pair, (detected_s, _) in zip(PAIRS, detection_and_reset_s(error_ratio, lasts_s * 3600), strict=True):
            formula_s = 0.001 / error_ratio * pair.long_s * pair.factor
            cells.append("never" if detected_s is None else f"{detected_s} s ({formula_s:.0f} s)")
        rows.append(f"| {' | '.join(cells)} |")
    text = DOCS.read_text("utf-8")
    assert "\n".join(rows) in text, "docs/slos.md should have\n" + "\n".join(rows)
    resets_s = [reset_s for _, reset_s in detection_and_reset_s(1.0, 4 * 3600)]
    assert resets_s == [290, 1780, 7190, 21_590]
    assert "290 s, 1,780 s, 7,190 s and 21,590 s" in text
    assert [pair.factor * pair.long_s / (30 * DAY_S) for pair in PAIRS] == pytest.approx([0.02, 0.05, 0.1, 0.1])


def healthy_year(seed: int, per_s: float, error_ratio: float) -> Stream:
    """A year of minutes: busy days, quiet nights and week ends, errors by chance, now and then three at once."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(YEAR_S // 60)
    day = 1 + 0.9 * np.sin(2 * math.pi * (minutes % 1440) / 1440)
    week = np.where(minutes // 1440 % 7 >= 5, 0.4, 1.0)
    total = rng.poisson(per_s * 60 * day * week)
    bad = rng.binomial(total, error_ratio * 0.7)
    together = rng.random(len(minutes)) < total * error_ratio * 0.1
    return Stream(np.minimum(bad + 3 * together, total), total, 60)


@pytest.mark.parametrize("per_s", [0.01, 0.05, 0.3, 2.0, 50.0])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_healthy_year_pages_nobody(per_s: float, share: float) -> None:
    """Any traffic from 36 requests an hour on, errors at a share of what the target allows, looked at every minute."""
    for seed in range(2):
        stream = healthy_year(seed, per_s, 0.001 * share)
        firing = stream.judged(stream.looks(60), Budget()).firing
        assert not firing[:, PAGES].any()
        if share <= 0.5:
            assert not firing.any()  # nor is there a ticket


@pytest.mark.parametrize("budget", [Budget(0.95), Budget(0.99), Budget(0.9999), Budget(0.8)])
def test_nor_does_one_with_another_target(budget: Budget) -> None:
    for per_s in (0.02, 3.0):
        stream = healthy_year(7, per_s, (1 - budget.target) * 0.6)
        assert not stream.judged(stream.looks(60), budget).firing[:, PAGES].any()


def test_a_probe_that_fails_now_and_then_pages_nobody_in_a_year_and_six_failures_on_end_do() -> None:
    """Every 30 s, and 1 of 2,000 runs fails by chance, for a budget of 1 in 1,000."""
    bad = np.random.default_rng(3).binomial(1, 0.0005, YEAR_S // 30)
    total = np.ones_like(bad)
    probe = Budget(least_events=10)
    quiet = Stream(bad, total, 30)
    assert not quiet.judged(quiet.looks(30), probe).firing[:, PAGES].any()
    bad[-200:] = 0
    bad[-150:-144] = 1
    failed = Stream(bad, total, 30)
    looks = failed.looks(YEAR_S - DAY_S)
    assert looks[failed.judged(looks, probe).firing[:, 0]][0] == YEAR_S - 144 * 30


def test_without_the_proof_that_it_is_no_chance_the_same_years_would_have_paged() -> None:
    """So the year above is no year in which nothing could have fired."""
    paged = 0
    for seed in range(2):
        stream = healthy_year(seed, 0.05, 0.0005)
        found = stream.judged(stream.looks(60), Budget())
        both = (found.long_rate >= [14.4, 6, 3, 1]) & (found.short_rate >= [14.4, 6, 3, 1])
        paged += int(both[:, PAGES].any(axis=1).sum())
    assert paged > 100


def test_in_a_year_of_single_errors_at_night_nobody_is_woken_and_a_failure_on_its_last_day_is_seen() -> None:
    step_s = 60
    steps = YEAR_S // step_s
    total = np.where(np.arange(steps) % 1440 < 360, 0, 30)
    total[np.arange(steps) % 1440 < 360] = np.arange(steps)[np.arange(steps) % 1440 < 360] % 20 == 0  # 3 an hour
    bad = np.zeros(steps, dtype=np.int64)
    bad[np.arange(180, steps, 1440)] = 1  # at three every night
    total = np.maximum(total, bad)
    quiet = Stream(bad, total, step_s)
    assert not quiet.judged(quiet.looks(60), Budget()).firing[:, PAGES].any()
    failing = steps - 600
    bad[failing : failing + 120] = total[failing : failing + 120]
    seen = Stream(bad, total, step_s)
    looks = seen.looks(60)
    first_s = int(looks[seen.judged(looks, Budget()).firing[:, 0]][0])
    assert 0 < first_s - failing * step_s <= 300


def test_a_failure_that_flickers_every_other_minute_does_not_let_go_between() -> None:
    """Half of the requests fail, in turns of a minute: one long page, not sixty."""
    stream = incident(0.0, 0)
    steps = 8 * DAY_S // 10
    total = np.full(steps, 1000)
    bad = np.zeros(steps, dtype=np.int64)
    begin = 4 * DAY_S // 10
    for minute in range(0, 120, 2):
        bad[begin + minute * 6 : begin + minute * 6 + 6] = 1000
    stream = Stream(bad, total, 10)
    firing = stream.judged(stream.looks(4 * DAY_S), Budget()).firing[:, 0]
    assert int((np.diff(firing.astype(int)) == 1).sum()) == 1
