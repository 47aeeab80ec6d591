from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pitstop.model.watching import FIRING, NO_DATA, OK
from pitstop.watch.bins import Kept
from pitstop.watch.budgets import slo_states
from pitstop.watch.burn import settled_s
from pitstop.watch.objectives import Objective

if TYPE_CHECKING:
    from conftest import Service

DAY_S, HOUR_S = 86_400, 3600
NOW_S = int(time.time())
END_S = settled_s(NOW_S)
ORDERS = Objective("orders arrive", "freshness", 0.99, "shop", ("POST /orders",), threshold_s=600.0)


def orders(happened: Service, start_s: int, end_s: int, every_s: int = 60) -> None:
    for ts in range(start_s, end_s, every_s):
        happened.add(ts, {0.02: 2}, name="POST /orders")


def test_what_comes_in_time_is_fresh_and_other_routes_do_not_make_it_so(happened: Service) -> None:
    orders(happened, END_S - 20 * HOUR_S, END_S)
    (state,) = slo_states(happened.write(), [ORDERS], NOW_S)
    assert (state.state, state.good) == (OK, state.total)
    assert 20 * HOUR_S <= state.total <= 20 * HOUR_S + 60
    happened.add(NOW_S - 10, {0.02: 2}, name="GET /")
    (nothing,) = slo_states(happened.write(), [ORDERS._replace(routes=("POST /nothing",))], NOW_S)
    assert nothing.state == NO_DATA


def test_a_gap_is_stale_from_the_threshold_on_until_the_next_event(happened: Service) -> None:
    orders(happened, END_S - 30 * HOUR_S, END_S - 20 * HOUR_S)
    orders(happened, END_S - 18 * HOUR_S, END_S)
    (state,) = slo_states(happened.write(), [ORDERS], NOW_S)
    assert state.total - state.good == pytest.approx(2 * HOUR_S - 600, abs=130)
    assert "not; " in state.summary


def test_silence_now_burns_and_fires(happened: Service) -> None:
    orders(happened, END_S - 20 * HOUR_S, END_S - 2 * HOUR_S)
    (state,) = slo_states(happened.write(), [ORDERS], NOW_S)
    assert state.total - state.good == pytest.approx(2 * HOUR_S - 600, abs=130)
    assert state.state == FIRING
    assert state.burns[0].short_rate == pytest.approx(100.0)


def test_gaps_of_hours_are_seen_however_old_they_are(happened: Service) -> None:
    orders(happened, END_S - 28 * DAY_S, END_S - 20 * DAY_S, HOUR_S // 2)
    orders(happened, END_S - 20 * DAY_S + 12 * HOUR_S, END_S, HOUR_S // 2)
    slow = ORDERS._replace(threshold_s=2.0 * HOUR_S)
    (state,) = slo_states(happened.write(), [slow], NOW_S)
    assert state.total - state.good == pytest.approx(10 * HOUR_S, abs=1.5 * HOUR_S)


def test_a_nightly_job_is_fresh_for_a_day(happened: Service) -> None:
    nightly = Objective("backup", "freshness", 0.9, "shop", series="task", threshold_s=26.0 * HOUR_S)
    for day in range(10):
        if day != 5:
            happened.add(NOW_S - day * DAY_S - HOUR_S, {60.0: 1}, name="backup", kind="task", outcome="ok")
    (state,) = slo_states(happened.write(), [nightly], NOW_S)
    assert state.total - state.good == pytest.approx(22 * HOUR_S, abs=1.1 * HOUR_S)


def test_any_request_of_a_service_may_be_what_keeps_it_fresh(happened: Service) -> None:
    """Many names: minutes lately, hours of long ago; a budget for each route where that is asked."""
    for ts in range(END_S - 5 * DAY_S, END_S - 4 * HOUR_S, HOUR_S // 4):
        happened.add(ts, {0.02: 1}, name=f"GET /{ts % 7}")
    for ts in range(END_S - 3 * HOUR_S, END_S, 60):
        happened.add(ts, {0.02: 1}, name="GET /")
    wide = ORDERS._replace(routes=(), threshold_s=1800.0)
    store = happened.write()
    kept = Kept()
    (state,) = slo_states(store, [wide], NOW_S, kept=kept)
    assert state.total - state.good == pytest.approx(
        HOUR_S - 1800, abs=16 * 60
    )  # the last before the gap is up to 15 min old
    assert slo_states(store, [wide], NOW_S, kept=kept) == [state]
    routes = slo_states(store, [wide._replace(by=("route",))], NOW_S)
    asked = {f"GET /{ts % 7}" for ts in range(END_S - 5 * DAY_S, END_S - 4 * HOUR_S, HOUR_S // 4)}
    assert {one.labels["route"] for one in routes} == {"GET /", *asked}
