from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.model import Window

from pitstop.model.watching import PAGE, TICKET
from pitstop.watch.burn import PAIRS, STEP_S, Outcomes, burn_rate, burns, factors, settled_s, window_to


class Budget(NamedTuple):
    target: float = 0.999
    least_events: int = 100


def reading(bad_share_by_age: dict[int, float], per_s: float = 10.0) -> Callable[[Window], Outcomes]:
    """Outcomes of windows that end at 0: the share of bad ones by age, seconds, up to each key."""

    def read(window: Window) -> Outcomes:
        total = bad = 0.0
        begin = 0
        for age, share in bad_share_by_age.items():
            seconds = max(0, min(age, -window.start_s) - begin)
            total += seconds * per_s
            bad += seconds * per_s * share
            begin = age
        return Outcomes(round(total - bad), round(total))

    return read


ALWAYS = 10**7


def test_a_service_that_spends_exactly_its_budget_burns_at_one() -> None:
    assert burn_rate(999_000, 1_000_000, 0.999) == pytest.approx(1.0)


def test_a_total_failure_fires_the_first_page_and_a_good_hour_fires_nothing() -> None:
    down = burns(reading({300: 1.0, ALWAYS: 0.0}), Budget(), 0)
    assert [(burn.severity, burn.factor, burn.long_s, burn.short_s) for burn in down] == [tuple(pair) for pair in PAIRS]
    assert down[0].firing
    assert down[0].short_rate == pytest.approx(1000.0)
    assert not any(burn.firing for burn in burns(reading({ALWAYS: 0.0}), Budget(), 0))


def test_a_failure_that_is_over_no_longer_pages_though_the_hour_is_still_bad() -> None:
    over = burns(reading({600: 0.0, 3600: 0.5, ALWAYS: 0.0}), Budget(), 0)
    assert over[0].long_rate > 14.4
    assert over[0].short_rate == 0.0
    assert not over[0].firing


def test_a_slow_leak_of_the_budget_is_a_ticket_and_no_page() -> None:
    found = burns(reading({ALWAYS: 0.004}), Budget(), 0)
    assert {burn.severity for burn in found if burn.firing} == {TICKET}
    assert {burn.severity for burn in burns(reading({ALWAYS: 0.02}), Budget(), 0) if burn.firing} == {PAGE, TICKET}


def test_no_events_is_no_data_and_fires_nothing() -> None:
    found = burns(lambda _: Outcomes(0, 0), Budget(least_events=1), 0)
    assert {(burn.long_rate, burn.short_rate, burn.firing) for burn in found} == {(None, None, False)}


@pytest.mark.parametrize("an_hour", [1, 5, 20, 99, 100, 300, 1000])
def test_one_error_at_night_pages_nobody_however_few_asked(an_hour: int) -> None:
    """The error is in every window; where it is one of few, each of them burns fast."""

    def read(window: Window) -> Outcomes:
        total = max(1, window.duration_s * an_hour // 3600)
        return Outcomes(total - 1, total)

    for least in (1, 100):
        assert not any(burn.firing for burn in burns(read, Budget(least_events=least), 0))


def test_below_the_least_number_of_events_nothing_fires_even_when_all_fail() -> None:
    def read(window: Window) -> Outcomes:
        return Outcomes(0, window.duration_s // 60)  # one a minute: 60 in the hour

    assert not burns(read, Budget(least_events=100), 0)[0].firing
    assert burns(read, Budget(least_events=60), 0)[0].firing


def test_a_small_service_that_fails_is_told_after_a_handful_of_errors() -> None:
    def fired(bad: int) -> bool:
        return burns(lambda _: Outcomes(100 - bad, 100), Budget(), 0)[0].firing

    assert next(bad for bad in range(20) if fired(bad)) == 6


def test_a_low_target_fires_when_nearly_all_fails() -> None:
    low = Budget(target=0.8)
    assert factors(low) == [pytest.approx(4.5), pytest.approx(4.5), 3.0, 1.0]
    assert burns(reading({ALWAYS: 0.95}), low, 0)[0].firing
    assert not burns(reading({ALWAYS: 0.85}), low, 0)[0].firing


def test_windows_begin_where_every_store_has_a_border_and_are_hardly_longer_than_they_say() -> None:
    for now_s in (1_700_000_000.0, 1_700_003_599.9, 1_699_999_213.4):
        end_s = settled_s(now_s)
        assert end_s % STEP_S == 0
        assert 5 <= now_s - end_s < 5 + STEP_S + 1
        for pair in PAIRS:
            for length_s in (pair.long_s, pair.short_s):
                window = window_to(end_s, length_s)
                assert length_s <= window.duration_s <= length_s * 1.017
