from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import PART_NAMES, breakdown, breakdown_trend, breakdowns, routes
from pitstop.model import Window

WINDOW = Window(1000, 1100)


def part(recorded: Any, name: str, durations_s: list[float], *, route: str = "GET /a", ts: int = 1000) -> None:
    recorded.add(ts, name, durations_s, kind="part", parent=route, outcome="")


def test_the_parts_of_a_route_and_its_own_code_add_up_to_what_its_requests_took(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.1, 0.3])
    part(recorded, "db", [0.05, 0.15])
    part(recorded, "gc", [0.01])
    found = breakdown(recorded.store, WINDOW, "shop", "GET /a")
    assert [one.name for one in found.parts] == list(PART_NAMES)
    assert (found.requests, found.total_s, found.mean_s) == (2, pytest.approx(0.4), pytest.approx(0.2))
    seconds = found.seconds()
    assert seconds["db_s"] == pytest.approx(0.1)
    assert seconds["gc_s"] == pytest.approx(0.005)
    assert seconds["own_s"] == pytest.approx(0.095)
    assert seconds["cache_s"] == 0
    assert sum(one.total_s for one in found.parts) == pytest.approx(found.total_s)
    assert sum(one.ratio for one in found.parts) == pytest.approx(1)
    assert {one.name: one.requests for one in found.parts}["gc"] == 1


def test_all_routes_together_are_the_sum_of_each_and_leave_tasks_out(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.1])
    recorded.add(1000, "GET /b", [0.2, 0.2, 0.2])
    part(recorded, "db", [0.06])
    part(recorded, "http_client", [0.1, 0.1], route="GET /b")
    part(recorded, "db", [9.0], route="nightly")
    every = breakdowns(recorded.store, WINDOW)
    assert set(every) == {"GET /a", "GET /b"}
    assert every["GET /b"].seconds()["http_client_s"] == pytest.approx(0.2 / 3)
    together = breakdown(recorded.store, WINDOW)
    assert (together.route, together.requests) == (None, 4)
    assert together.seconds()["db_s"] == pytest.approx(0.06 / 4)
    assert together.seconds()["own_s"] == pytest.approx((0.7 - 0.26) / 4)


def test_own_code_is_never_negative_where_a_part_was_folded_without_its_request(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.1])
    part(recorded, "db", [0.3])
    assert breakdown(recorded.store, WINDOW, None, "GET /a").seconds()["own_s"] == 0


def test_without_requests_there_is_no_breakdown_rather_than_one_of_zeros(recorded: Any) -> None:
    found = breakdown(recorded.store, WINDOW)
    assert (found.requests, found.mean_s, found.parts) == (0, None, ())
    assert set(found.seconds().values()) == {None}


def test_the_course_has_a_gap_where_nothing_was_asked_for_and_adds_up_elsewhere(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.1])
    part(recorded, "db", [0.04])
    recorded.add(1020, "GET /a", [0.2, 0.4])
    part(recorded, "cache", [0.3], ts=1020)
    found = breakdown_trend(recorded.store, Window(1000, 1030), "shop", "GET /a", step_s=10)
    assert found.ts == (1000, 1010, 1020)
    assert found.requests == (1, None, 2)
    assert found.mean_s == (pytest.approx(0.1), None, pytest.approx(0.3))
    assert found.parts["db"] == (pytest.approx(0.04), None, 0)
    assert found.parts["cache"] == (0, None, pytest.approx(0.15))
    assert found.parts["own"] == (pytest.approx(0.06), None, pytest.approx(0.15))
    assert list(found.parts) == list(PART_NAMES)


def test_rows_of_routes_carry_their_breakdown(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.1])
    part(recorded, "db", [0.04])
    (row,) = routes(recorded.store, WINDOW)
    assert row.breakdown is not None
    assert row.breakdown.seconds()["db_s"] == pytest.approx(0.04)
