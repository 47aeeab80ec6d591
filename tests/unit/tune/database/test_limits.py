"""A worker's share of what a server takes, and how many workers there are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.tune.database.limits import SHARE, fit, workers_of


def test_the_defaults_stay_where_the_server_takes_them() -> None:
    found = fit(20, 40, 3600, limit=97, workers=1)
    assert found[:3] == (20, 40, 3600)
    assert "1 × 60 connections are within 90% of the 97" in found.advice


def test_four_workers_share_what_the_server_takes() -> None:
    found = fit(20, 40, 3600, limit=97, workers=4)
    assert (found.size, found.overflow) == (7, 14)
    assert found.advice.startswith("cut from 20 + 40: 4 × 60 connections")


def test_without_a_word_of_workers_one_is_assumed_and_said() -> None:
    assert "WEB_CONCURRENCY" in fit(20, 40, 3600, limit=97, workers=None).advice


def test_a_server_that_tells_nothing_and_a_pool_without_bound_are_left_alone() -> None:
    assert fit(20, 40, 3600, limit=None, workers=4)[:2] == (20, 40)
    assert fit(20, -1, 3600, limit=97, workers=4)[:2] == (20, -1)


def test_connections_are_let_go_of_before_the_server_drops_them() -> None:
    assert fit(20, 40, 3600, limit=500, workers=1, idle_s=600).recycle_s == 540
    assert fit(20, 40, 3600, limit=500, workers=1, idle_s=28_800).recycle_s == 3600
    assert fit(20, 40, 3600, limit=500, workers=1, idle_s=10).recycle_s == 1


@given(
    st.integers(1, 100), st.integers(0, 200), st.integers(1, 5000), st.integers(1, 200)
)  # fmt: skip
def test_all_workers_together_stay_within_the_share_and_each_has_a_connection(
    size: int, overflow: int, limit: int, workers: int
) -> None:
    found = fit(size, overflow, 3600, limit=limit, workers=workers)
    assert found.size >= 1
    assert 0 <= found.overflow <= max(overflow, found.size * 3)
    assert found.size <= size
    assert found.size + found.overflow <= max(limit * SHARE / workers, 1)


@pytest.mark.parametrize(
    ("environment", "argv", "workers"),
    [
        ({}, ["app.py"], None),
        ({"WEB_CONCURRENCY": "3"}, ["gunicorn"], 3),
        ({"WEB_CONCURRENCY": "3"}, ["gunicorn", "-w", "4", "app:app"], 4),
        ({}, ["uvicorn", "--workers=2", "app:app"], 2),
        ({}, ["uvicorn", "--workers"], None),
        ({"WEB_CONCURRENCY": "many"}, ["x"], None),
        ({"WEB_CONCURRENCY": "0"}, ["x"], None),
    ],
)
def test_the_number_of_workers_is_what_the_server_was_started_with(
    environment: dict[str, str], argv: list[str], workers: int | None
) -> None:
    assert workers_of(environment, argv) == workers
