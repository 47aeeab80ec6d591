from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import trace_histogram, traces
from pitstop.model import TraceMatch, Window

WINDOW = Window(1000, 1100)


def fill(recorded: Any) -> None:
    for i, (name, took_s, fields) in enumerate(
        [
            ("GET /a", 0.1, {"reason": "sample", "weight": 40}),
            ("GET /a", 1.5, {"reason": "slow"}),
            ("GET /b", 0.3, {"reason": "failed", "outcome": "500", "fingerprint": "f" * 16}),
            ("GET /c", 3.0, {"service": "other"}),
        ]
    ):
        recorded.trace(1000.25 + i, name, took_s, trace_id=f"{i:032x}", **fields)


def test_the_newest_come_first_and_filters_of_all_kinds_hold(recorded: Any) -> None:
    fill(recorded)
    assert [row.route for row in traces(recorded.store, WINDOW, "shop")] == ["GET /b", "GET /a", "GET /a"]
    (failed,) = traces(recorded.store, WINDOW, None, TraceMatch(outcome="500"))
    assert (failed.route, failed.reason, failed.fingerprint) == ("GET /b", "failed", "f" * 16)
    assert failed.started_at == pytest.approx(1002.25)
    assert failed.duration_s == pytest.approx(0.3)
    between = TraceMatch(min_ns=200_000_000, max_ns=2_000_000_000)
    assert [row.duration_s for row in traces(recorded.store, WINDOW, "shop", between)] == [0.3, 1.5]
    slowest = traces(recorded.store, WINDOW, limit=2, slowest=True)
    assert [row.duration_s for row in slowest] == [3.0, 1.5]


def test_the_service_asked_for_goes_before_the_one_of_the_filter(recorded: Any) -> None:
    fill(recorded)
    rows = traces(recorded.store, WINDOW, "other", TraceMatch(service="shop"))
    assert [row.service for row in rows] == ["other"]


def test_every_kept_trace_is_in_the_bar_that_its_duration_says(recorded: Any) -> None:
    fill(recorded)
    found = trace_histogram(recorded.store, WINDOW, "shop")
    assert (sum(found.counts), sum(found.weights), found.complete) == (3, 42, True)
    assert len(found.edges_s) == len(found.counts) + 1
    for took_s in (0.1, 0.3, 1.5):
        bar = next(i for i, upper in enumerate(found.edges_s[1:]) if took_s <= upper)
        assert found.edges_s[bar] < took_s
        assert found.counts[bar] == 1


def test_a_duration_on_an_edge_belongs_to_the_bar_below_it(recorded: Any) -> None:
    recorded.trace(1000, "GET /a", 0.5)
    found = trace_histogram(recorded.store, WINDOW)
    assert found.counts == (1,)
    assert found.edges_s[1] == pytest.approx(0.5)


def test_no_traces_are_no_bars(recorded: Any) -> None:
    assert trace_histogram(recorded.store, WINDOW).counts == ()
    assert traces(recorded.store, WINDOW) == []
