from __future__ import annotations

import pytest

from pitstop.analyze import NO_DATA, RouteRow
from pitstop.dashboard.pages.routes import ordered

TIMES = {"GET /b": 0.2, "GET /a": 0.2, "GET /c": 0.9}


def rows() -> list[RouteRow]:
    """Two of them took equally much of the time; none has percentiles."""
    return [RouteRow(name, NO_DATA, "good", time_ratio, 1) for name, time_ratio in TIMES.items()]


@pytest.mark.parametrize(
    ("sort", "descending", "names"),
    [
        ("time", True, ["GET /c", "GET /a", "GET /b"]),
        ("time", False, ["GET /a", "GET /b", "GET /c"]),
        ("route", False, ["GET /a", "GET /b", "GET /c"]),
        ("route", True, ["GET /c", "GET /b", "GET /a"]),
        ("p95", True, ["GET /a", "GET /b", "GET /c"]),  # nobody has one: by name
    ],
)
def test_routes_are_ordered_by_a_column_and_equals_by_name(sort: str, descending: bool, names: list[str]) -> None:
    assert [row.route for row in ordered(rows(), sort, descending=descending)] == names
