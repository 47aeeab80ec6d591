"""How often somebody may try to sign in."""

from __future__ import annotations

from pitstop.dashboard.auth import Throttle
from pitstop.dashboard.auth.throttle import MOST_ADDRESSES, REFILL_ADDRESS_S, TRIES_GLOBAL, TRIES_PER_ADDRESS


class Hand:
    at_s = 0.0

    def __call__(self) -> float:
        return self.at_s


def test_an_address_has_a_few_tries_and_then_waits_for_each() -> None:
    hand = Hand()
    throttle = Throttle(hand)
    assert [throttle.take("a") for _ in range(TRIES_PER_ADDRESS)] == [0] * TRIES_PER_ADDRESS
    wait_s = throttle.take("a")
    assert 0 < wait_s <= REFILL_ADDRESS_S
    assert throttle.take("b") == 0
    hand.at_s += wait_s
    assert throttle.take("a") == 0
    assert throttle.take("a") > 0


def test_trying_while_it_waits_does_not_lengthen_the_wait() -> None:
    hand = Hand()
    throttle = Throttle(hand)
    for _ in range(TRIES_PER_ADDRESS):
        throttle.take("a")
    waits = [throttle.take("a") for _ in range(100)]
    assert len(set(waits)) == 1


def test_all_addresses_together_are_bounded_too() -> None:
    throttle = Throttle(Hand())
    allowed = sum(throttle.take(f"10.0.0.{i}") == 0 for i in range(200))
    assert allowed == TRIES_GLOBAL


def test_a_right_password_forgives() -> None:
    throttle = Throttle(Hand())
    for _ in range(TRIES_PER_ADDRESS):
        throttle.take("a")
    throttle.forgive("a")
    assert throttle.take("a") == 0


def test_the_memory_of_addresses_is_bounded() -> None:
    hand = Hand()
    throttle = Throttle(hand)
    for i in range(MOST_ADDRESSES + 100):
        hand.at_s += 60
        throttle.take(str(i))
    assert len(throttle._by_address) == MOST_ADDRESSES
