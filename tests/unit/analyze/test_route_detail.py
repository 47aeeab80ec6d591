from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import route_detail
from pitstop.model import Window

WINDOW = Window(1000, 1100)


def test_a_route_has_its_statuses_with_their_own_percentiles(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [0.01] * 8)
    recorded.add(1000, "GET /a", [0.2] * 2, outcome="500")
    recorded.add(1000, "GET /b", [9.0])
    seen = route_detail(recorded.store, WINDOW, "shop", "GET /a")
    assert [(row.status, row.stats.requests, row.ratio, row.is_error) for row in seen.statuses] == [
        ("200", 8, 0.8, False),
        ("500", 2, 0.2, True),
    ]
    assert seen.statuses[1].stats.p50_s == pytest.approx(0.2, rel=0.011)
    assert (seen.stats.requests, seen.severity, seen.first_byte) == (10, "warning", None)


def test_a_streamed_route_says_when_its_first_byte_left(recorded: Any) -> None:
    recorded.add(1000, "GET /a", [3.0])
    recorded.add(1000, "first byte", [0.05], kind="stage", parent="GET /a")
    recorded.add(1000, "first byte", [0.9], kind="stage", parent="GET /b")
    first_byte = route_detail(recorded.store, WINDOW, "shop", "GET /a").first_byte
    assert first_byte is not None
    assert (first_byte.requests, first_byte.max_s) == (1, 0.05)


def test_a_route_nobody_asked_for_is_empty(recorded: Any) -> None:
    seen = route_detail(recorded.store, WINDOW, "shop", "GET /nowhere")
    assert (seen.stats.requests, seen.stats.p95_s, seen.severity, seen.statuses) == (0, None, "no data", ())
