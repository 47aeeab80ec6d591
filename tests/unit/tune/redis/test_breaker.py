"""When a server is asked, and when it is left alone."""

from __future__ import annotations

import pytest

from pitstop.tune.cache.redis.breaker import COOL_S, FAILURES, LONGEST_S, Breaker


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock=clock)
    for _ in range(FAILURES):
        assert breaker.allows()
        breaker.failed()
    return breaker


def test_it_opens_after_failures_in_a_row_only(clock: Clock) -> None:
    breaker = Breaker(clock=clock)
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    assert breaker.state == "closed"
    assert opened(clock).state == "open"


def test_while_open_nobody_asks_and_then_one_does(clock: Clock) -> None:
    breaker = opened(clock)
    assert not breaker.allows()
    clock.now_s += COOL_S
    assert breaker.state == "half-open"
    assert [breaker.allows() for _ in range(5)] == [True, False, False, False, False]
    breaker.succeeded()
    assert breaker.state == "closed"
    assert breaker.allows()


def test_each_trial_that_fails_makes_the_pause_longer_up_to_a_limit(clock: Clock) -> None:
    breaker = opened(clock)
    pauses = []
    for _ in range(10):
        pause_s = 0.0
        while not breaker.allows():
            clock.now_s += COOL_S / 8
            pause_s += COOL_S / 8
        pauses.append(pause_s)
        breaker.failed()
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(COOL_S)
    assert pauses[-1] == pytest.approx(LONGEST_S, abs=COOL_S)
    assert breaker.opened == 11


def test_a_trial_whose_caller_was_cancelled_is_left_to_the_next(clock: Clock) -> None:
    breaker = opened(clock)
    clock.now_s += COOL_S
    assert breaker.allows()
    breaker.abandoned()
    assert breaker.allows()


def test_late_failures_do_not_make_the_pause_longer(clock: Clock) -> None:
    """Calls that were under way when it opened end while it is open."""
    breaker = opened(clock)
    for _ in range(50):
        breaker.failed()
    clock.now_s += COOL_S
    assert breaker.allows()
