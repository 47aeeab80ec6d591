"""Silence is news where there was traffic, and only there."""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model import Batch, Rollups, Series
from pitstop.store.memory import MemoryStore
from pitstop.watch.conditions import KINDS
from pitstop.watch.rules import parse_rule
from pitstop.watch.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from conftest import Clock, Recorded

    from pitstop.watch.conditions.reading import Reading

HOUR_S, DAY_S = 3600, 86_400
START_S = 1_790_000_000 // DAY_S * DAY_S


def traffic(recorded: Recorded, start_s: int, end_s: int, number: int = 10, service: str = "shop") -> None:
    """`number` requests a minute."""
    for ts in range(start_s, end_s, 60):
        recorded.add(ts, [0.1] * number, service=service)


def test_a_service_that_stops_is_missed_after_five_minutes(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    traffic(recorded, end_s - 2 * HOUR_S, end_s)
    [running] = look(recorded.store, end_s, kind="no_data")
    hot = [look(recorded.store, end_s + later_s, kind="no_data")[0].hot for later_s in range(0, 600, 30)]
    [silent] = look(recorded.store, end_s + 600, kind="no_data")

    assert (running.hot, running.calm, running.value) == (False, True, 50.0)
    assert hot == [later_s > 240 for later_s in range(0, 600, 30)]
    assert silent.text == "shop is silent for 10 m; it had 50 requests in 5m"


def test_it_stays_news_for_a_day_and_ends_with_the_next_request(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    traffic(recorded, end_s - 2 * HOUR_S, end_s)
    later = [look(recorded.store, end_s + hours * HOUR_S, kind="no_data")[0].hot for hours in (1, 6, 23, 25)]
    recorded.add(end_s + HOUR_S - 60, [0.1])
    [back] = look(recorded.store, end_s + HOUR_S, kind="no_data")

    assert later == [True, True, True, False]
    assert back.calm


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_quiet_service_may_be_silent(
    number: int, look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    traffic(recorded, end_s - 2 * HOUR_S, end_s, number)
    recorded.add(end_s - 7 * HOUR_S, [0.1])  # it is known

    assert [one.hot for one in look(recorded.store, end_s + HOUR_S, kind="no_data")] == [False]


def test_a_single_burst_is_no_traffic(look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock) -> None:
    end_s = int(clock.at_s)
    traffic(recorded, end_s - 300, end_s, 500)
    assert not look(recorded.store, end_s + HOUR_S, kind="no_data")[0].hot


def test_what_is_silent_each_evening_or_each_weekend_is_so_on_purpose(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    midnight_s = int(clock.at_s)
    for day in range(-11, 1):  # eight to six, and nothing on two days of the week
        if day % 7 not in {5, 6}:
            traffic(recorded, midnight_s + day * DAY_S + 8 * HOUR_S, midnight_s + day * DAY_S + 18 * HOUR_S)
    friday_s = midnight_s - 3 * DAY_S
    evening = [look(recorded.store, midnight_s + hour * HOUR_S + 600, kind="no_data")[0].hot for hour in (18, 19, 22)]
    weekend = [look(recorded.store, friday_s + hours * HOUR_S + 600, kind="no_data")[0].hot for hours in (18, 30, 33)]

    assert evening == [False] * 3
    assert weekend == [False] * 3


def test_it_is_missed_at_an_hour_at_which_it_is_never_silent(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    midnight_s = int(clock.at_s)
    for day in range(-8, 0):
        traffic(recorded, midnight_s + day * DAY_S + 8 * HOUR_S, midnight_s + day * DAY_S + 18 * HOUR_S)
    traffic(recorded, midnight_s + 8 * HOUR_S, midnight_s + 11 * HOUR_S)

    assert look(recorded.store, midnight_s + 11 * HOUR_S + 600, kind="no_data")[0].hot


def test_a_route_that_falls_silent_is_missed_where_the_rule_is_about_it(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    for ts in range(end_s - 2 * HOUR_S, end_s + 600, 60):
        recorded.add(ts, [0.1] * 10, route="GET /a")
        if ts < end_s:
            recorded.add(ts, [0.1] * 10, route="POST /pay")
    found = [look(recorded.store, end_s + 600, kind="no_data", routes=routes)[0].hot for routes in ("POST *", "GET *")]

    assert found == [True, False]


def test_only_the_services_of_the_rule_are_missed(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    for service in ("shop", "billing"):
        traffic(recorded, end_s - 2 * HOUR_S, end_s, service=service)
    found = look(recorded.store, end_s + 600, kind="no_data", service="bill*")

    assert [(one.labels["service"], one.hot) for one in found] == [("billing", True)]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), busy=st.sampled_from([0.2, 1.0, 4.0, 8.0, 30.0]), steep=st.sampled_from([1, 3, 8]))
def test_a_healthy_service_is_never_missed_however_quiet_its_nights_are(seed: int, busy: float, steep: int) -> None:
    """Poisson's traffic of `busy` requests a minute at noon, falling to almost none at night, more or less steeply."""
    chance = random.Random(seed)
    store = MemoryStore("quiet")
    kind = KINDS["no_data"]
    rule = parse_rule({"name": "tested", "kind": "no_data"}, "test")
    kept: dict[Hashable, object] = {}
    for ts in range(START_S, START_S + DAY_S, 300):
        noon = 0.5 - 0.5 * math.cos(2 * math.pi * (ts % DAY_S) / DAY_S)
        expected = 5 * busy * noon**steep
        spread = chance.gauss(expected, expected**0.5) if expected > 30 else _poisson(chance, expected)
        if number := max(0, round(spread)):
            series = Series("shop", "", "http", "GET /a", "", "200")
            store.append(Batch("w", ts, Rollups([ts], [series], [number], [1], [1], [1], [0], [b""])))
        found = kind.read(rule, Sight(store, ts + 300, kept=kept))
        assert not any(one.hot for one in found), (ts - START_S, expected)


def _poisson(chance: random.Random, expected: float) -> int:
    """Knuth's: The Art of Computer Programming, volume 2, 3.4.1."""
    number, product = 0, chance.random()
    while product > math.exp(-expected):
        number, product = number + 1, product * chance.random()
    return number
