from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pitstop.analyze import NO_DATA, compare, overview, verdict
from pitstop.model import Window

if TYPE_CHECKING:
    from pitstop.analyze import Comparison

BEFORE, NOW = Window(1000, 1100), Window(1100, 1200)
RNG = np.random.default_rng(7)


def compared(recorded: Any) -> Comparison:
    return compare(overview(recorded.store, NOW).stats, overview(recorded.store, BEFORE).stats)


def test_two_draws_from_one_distribution_are_noise_nearly_always(recorded: Any) -> None:
    alarms = 0
    for round_ in range(100):
        name = f"r{round_}"
        recorded.add(1000, name, RNG.lognormal(-3, 1, 400).tolist(), service=name)
        recorded.add(1100, name, RNG.lognormal(-3, 1, 400).tolist(), service=name)
        change = compare(overview(recorded.store, NOW, name).stats, overview(recorded.store, BEFORE, name).stats)
        alarms += any(delta.beyond_noise for delta in (change.p50, change.p95, change.p99))
    assert alarms <= 3


def test_twice_as_slow_is_beyond_noise(recorded: Any) -> None:
    recorded.add(1000, "a", RNG.lognormal(-3, 0.5, 400).tolist())
    recorded.add(1100, "a", RNG.lognormal(-3 + np.log(2), 0.5, 400).tolist())
    change = compared(recorded)
    assert change.p50.beyond_noise is change.p95.beyond_noise is change.mean.beyond_noise is True
    assert change.p50.change_ratio == pytest.approx(1.0, abs=0.25)
    assert change.rate.beyond_noise is False


def test_a_change_too_small_to_matter_is_no_finding_however_certain(recorded: Any) -> None:
    recorded.add(1000, "a", [0.100] * 100_000)
    recorded.add(1100, "a", [0.103] * 100_000)
    change = compared(recorded)
    assert change.mean.beyond_noise is False
    assert change.p95.beyond_noise is False
    assert change.mean.difference == pytest.approx(0.003)


def test_more_errors_are_beyond_noise_only_with_enough_requests(recorded: Any) -> None:
    recorded.add(1000, "a", [0.1] * 1000)
    recorded.add(1100, "a", [0.1] * 950)
    recorded.add(1100, "a", [0.1] * 50, outcome="500")
    assert compared(recorded).errors.beyond_noise is True
    recorded.add(1000, "b", [0.1] * 5, service="tiny")
    recorded.add(1100, "b", [0.1] * 5, service="tiny", outcome="500")
    tiny = compare(overview(recorded.store, NOW, "tiny").stats, overview(recorded.store, BEFORE, "tiny").stats)
    assert tiny.errors.beyond_noise is None


def test_a_doubled_rate_is_beyond_noise_and_a_few_more_requests_are_not(recorded: Any) -> None:
    recorded.add(1000, "a", [0.1] * 1000)
    recorded.add(1100, "a", [0.1] * 2000)
    assert compared(recorded).rate.beyond_noise is True
    recorded.add(1000, "b", [0.1] * 100, service="even")
    recorded.add(1100, "b", [0.1] * 115, service="even")
    even = compare(overview(recorded.store, NOW, "even").stats, overview(recorded.store, BEFORE, "even").stats)
    assert even.rate.beyond_noise is False


def test_without_a_base_there_is_no_change_to_speak_of(recorded: Any) -> None:
    recorded.add(1100, "a", [0.1] * 100)
    for delta in compare(overview(recorded.store, NOW).stats, NO_DATA).deltas:
        assert (delta.base, delta.change_ratio, delta.difference, delta.beyond_noise) == (None,) * 4


def test_the_verdict_names_failing_routes_before_slow_ones(recorded: Any) -> None:
    recorded.add(1000, "POST /pay", [0.05] * 200)
    recorded.add(1100, "POST /pay", [0.05] * 150)
    recorded.add(1100, "POST /pay", [0.05] * 50, outcome="502")
    recorded.add(1000, "GET /search", [0.1] * 200)
    recorded.add(1100, "GET /search", [0.4] * 200)
    recorded.add(1100, "GET /report", [3.0] * 40)
    seen = verdict(recorded.store, NOW)
    assert seen.tone == "bad"
    assert seen.routes == ("POST /pay", "GET /report")
    assert seen.text == (
        "POST /pay fails 25 % of requests (50 of 200), 0 % before. "
        "GET /report is critical: P95 3 s over 40 requests; 1 more route needs a look."
    )


def test_the_verdict_says_what_became_slower(recorded: Any) -> None:
    recorded.add(1000, "GET /search", [0.1] * 200)
    recorded.add(1100, "GET /search", [0.4] * 200)
    assert verdict(recorded.store, NOW).text.startswith("GET /search became slower: P95 4")
    assert verdict(recorded.store, NOW).tone == "warning"


def test_the_verdict_never_invents(recorded: Any) -> None:
    assert verdict(recorded.store, NOW).tone == "no data"
    recorded.add(1100, "GET /a", [0.01] * 50)
    assert "no earlier window" in verdict(recorded.store, NOW).text
    recorded.add(1000, "GET /a", [0.01] * 50)
    calm = verdict(recorded.store, NOW)
    assert (calm.tone, calm.routes) == ("fine", ())
    assert calm.text == "Nothing stands out: the route answered 95 % of requests within 10 ms and none failed."
    recorded.add(1100, "GET /b", [0.01] * 50)
    recorded.add(1100, "GET /b", [0.01], outcome="500")
    assert "0.99 % failed" in verdict(recorded.store, NOW).text


def test_one_failure_or_a_handful_of_slow_requests_is_no_state_of_the_service(recorded: Any) -> None:
    recorded.add(1100, "GET /a", [0.01] * 10)
    recorded.add(1100, "GET /a", [0.01] * 2, outcome="500")
    recorded.add(1100, "GET /b", [5.0] * 19)
    assert verdict(recorded.store, NOW).tone == "fine"


def test_no_percentile_of_a_handful_of_requests_is_quoted_as_if_it_were_solid(recorded: Any) -> None:
    recorded.add(NOW.start_s, "GET /rare", [0.9] * 3)
    assert verdict(recorded.store, NOW).text.startswith("Too few requests to tell: 3, ")
    recorded.add(NOW.start_s, "GET /often", [0.01] * 100)
    text = verdict(recorded.store, NOW).text
    assert text.startswith("Nothing stands out: the route with 20 requests or more answered 95 % of requests within 10")
    assert "900" not in text
