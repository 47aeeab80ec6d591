from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pitstop.store.memory import MemoryStore
from pitstop.watch.budgets import slo_states
from pitstop.watch.calendar import budget_window
from pitstop.watch.objectives import Objective

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Service

    from pitstop.model import Store

DAY_S, HOUR_S = 86_400, 3600


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("text", "moment", "start", "end"),
    [
        ("week", "2026-11-21T17:00:00", "2026-11-16", "2026-11-23"),
        ("week", "2026-11-16T00:00:00", "2026-11-16", "2026-11-23"),
        ("month", "2026-11-21T17:00:00", "2026-11-01", "2026-12-01"),
        ("month", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("month", "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
        ("quarter", "2026-11-21T17:00:00", "2026-10-01", "2027-01-01"),
        ("quarter", "2026-01-01T00:00:00", "2026-01-01", "2026-04-01"),
        ("7d", "2026-11-21T17:00:00", "2026-11-14T17:00:00", "2026-11-21T17:00:00"),
    ],
)
def test_a_window_is_the_calendars_or_ends_now(text: str, moment: str, start: str, end: str) -> None:
    assert budget_window(text, at(moment)) == (at(start), at(end))


class Fixed:
    def now_s(self) -> float:
        return at("2026-11-21T00:00:13")

    def monotonic_ns(self) -> int:
        return 0


def test_a_months_budget_is_the_whole_months_with_the_rest_as_busy_as_the_last_week(
    service_in: Callable[[Store], Service],
) -> None:
    store = MemoryStore("month", clock=Fixed())
    happened = service_in(store)
    for ts in range(at("2026-10-25"), at("2026-11-21"), HOUR_S):
        happened.add(ts, {0.02: 100 if ts < at("2026-11-14") else 200})
    happened.add(at("2026-11-05T10:00:00"), {0.02: 31}, outcome="500")
    happened.write()
    (state,) = slo_states(store, [Objective("up", "availability", 0.999, "shop", window="month")], Fixed().now_s())
    so_far = 13 * 24 * 100 + 7 * 24 * 200 + 31
    to_come = 10 * 24 * 200
    assert (state.total, state.window) == (so_far, (at("2026-11-01"), at("2026-12-01")))
    assert state.budget_left == pytest.approx(1 - 31 / ((so_far + to_come) * 0.001), rel=1e-3)
    happened.add(at("2026-11-20T23:30:00"), {0.02: 1}, outcome="500")
    happened.write()
    (burning,) = slo_states(store, [Objective("up", "availability", 0.999, "shop", window="month")], Fixed().now_s())
    left = (so_far + to_come) * 0.001 - 32
    assert burning.runs_out_s == pytest.approx(at("2026-11-21T00:00:00") + left * HOUR_S, abs=40)
    store.close()


def test_a_budget_that_lasts_until_the_month_is_over_does_not_run_out(service_in: Callable[[Store], Service]) -> None:
    store = MemoryStore("lasts", clock=Fixed())
    happened = service_in(store)
    for ts in range(at("2026-11-01"), at("2026-11-21"), HOUR_S):
        happened.add(ts, {0.02: 10_000})
    happened.add(at("2026-11-20T23:30:00"), {0.02: 1}, outcome="500")
    happened.write()
    (state,) = slo_states(store, [Objective("up", "availability", 0.999, "shop", window="month")], Fixed().now_s())
    assert state.runs_out_s is None
    store.close()
