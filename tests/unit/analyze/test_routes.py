from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze import routes, severity
from pitstop.model import Window

WINDOW = Window(1000, 1100)


def test_the_route_that_takes_most_of_the_users_time_comes_first(recorded: Any) -> None:
    recorded.add(1000, "GET /often", [0.01] * 50)  # 0.5 s
    recorded.add(1000, "GET /slow", [0.75] * 2)  # 1.5 s
    recorded.add(1000, "GET /rare", [0.001])
    rows = routes(recorded.store, WINDOW, "shop")
    assert [row.route for row in rows] == ["GET /slow", "GET /often", "GET /rare"]
    assert [row.popularity for row in rows] == [2, 1, 3]
    assert rows[0].time_ratio == pytest.approx(1.5 / 2.001)
    assert [row.severity for row in rows] == ["slow", "good", "good"]


def test_routes_with_equally_many_requests_share_a_rank(recorded: Any) -> None:
    for name, number in (("a", 3), ("b", 3), ("c", 1)):
        recorded.add(1000, name, [0.01] * number)
    assert {row.route: row.popularity for row in routes(recorded.store, WINDOW)} == {"a": 1, "b": 1, "c": 3}


@pytest.mark.parametrize(
    ("p95_s", "word"),
    [
        (None, "no data"),
        (0.0, "good"),
        (0.0999, "good"),
        (0.1, "warning"),
        (0.4999, "warning"),
        (0.5, "slow"),
        (0.9999, "slow"),
        (1.0, "critical"),
        (60.0, "critical"),
    ],
)
def test_severity_has_the_borders_of_r19(p95_s: float | None, word: str) -> None:
    assert severity(p95_s) == word


def test_nothing_recorded_is_no_rows(recorded: Any) -> None:
    assert routes(recorded.store, WINDOW, "shop") == []
