from __future__ import annotations

from typing import Any

from pitstop.analyze import overview
from pitstop.model import Window

WINDOW = Window(1000, 1100)


def test_errors_are_statuses_from_500_on_and_clients_that_left_are_counted_apart(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.01] * 90)
    recorded.add(1001, "GET /a", [0.01] * 4, outcome="404")
    recorded.add(1002, "GET /a", [0.01] * 3, outcome="499")
    recorded.add(1003, "GET /b", [0.01] * 2, outcome="500")
    recorded.add(1003, "GET /b", [0.01] * 1, outcome="503")
    seen = overview(recorded.store, WINDOW, "shop")
    assert (seen.stats.requests, seen.stats.errors, seen.clients_left) == (100, 3, 3)
    assert seen.stats.error_ratio == 0.03
    assert seen.uptime_ratio == 0.97
    assert seen.stats.rate_per_s == 1.0
    assert seen.stats.bytes == 10_000


def test_routes_counts_templates_and_not_what_no_route_answers(recorded: Any) -> None:
    for name in ("GET /a", "POST /a", "(unmatched)", "GET (unmatched)", "__other__"):
        recorded.add(1000, name, [0.01])
    assert overview(recorded.store, WINDOW, "shop").routes == 2


def test_nothing_recorded_is_no_data_and_not_zero(recorded: Any) -> None:
    seen = overview(recorded.store, WINDOW, "shop")
    assert seen.stats.requests == 0
    assert (seen.stats.mean_s, seen.stats.p95_s, seen.stats.error_ratio, seen.stats.bytes) == (None,) * 4
    assert (seen.cache_hit_ratio, seen.uptime_ratio) == (None, None)


def test_the_cache_ratio_is_hits_over_lookups(recorded: Any) -> None:
    recorded.add(1000, "prices", [0.001] * 3, kind="cache", outcome="hit")
    recorded.add(1000, "prices", [0.001], kind="cache", outcome="miss")
    seen = overview(recorded.store, WINDOW, "shop")
    assert (seen.cache_hit_ratio, seen.cache_lookups, seen.stats.requests) == (0.75, 4, 0)


def test_other_services_are_left_out_unless_all_are_asked_for(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.01])
    recorded.add(1000, "GET /a", [0.01], service="bank")
    assert overview(recorded.store, WINDOW, "shop").stats.requests == 1
    assert overview(recorded.store, WINDOW).stats.requests == 2
