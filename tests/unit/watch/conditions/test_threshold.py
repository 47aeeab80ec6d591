"""A figure beyond its limit, of exactly those requests that the rule is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock, Recorded

    from pitstop.watch.conditions.reading import Reading

Look = "Callable[..., list[Reading]]"


@pytest.mark.parametrize(
    ("metric", "value"),
    [("p50", 0.2), ("p90", 0.9), ("p95", 0.9), ("mean", 0.34), ("error_ratio", 0.2), ("rate", 10 / 300), ("count", 10)],
)
def test_every_figure_is_that_of_the_window(
    metric: str, value: float, look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    at_s = int(clock.at_s)
    recorded.add(at_s - 300, [0.2] * 8)
    recorded.add(at_s - 10, [0.9] * 2, outcome="500")
    recorded.add(at_s - 310, [5.0] * 50)  # before the window
    recorded.add(at_s, [5.0] * 50)  # after it
    [reading] = look(recorded.store, at_s, kind="threshold", metric=metric, above=value * 0.95)

    assert reading.value == pytest.approx(value, rel=0.011)
    assert (reading.hot, reading.calm) == (True, False)
    assert reading.labels == {"service": "shop"}
    assert metric.replace("_", " ") in reading.text.lower()


def test_filters_are_globs_and_each_route_may_stand_for_itself(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    at_s = int(clock.at_s)
    for route, service, tenant in (
        ("GET /a", "shop", "acme"), ("GET /b", "shop", "acme"), ("POST /a", "shop", "acme"),
        ("GET /a", "billing", "acme"), ("GET /a", "shop-2", ""),
    ):  # fmt: skip
        recorded.add(at_s - 60, [1.0] * 4, route=route, service=service, tenant=tenant)
    found = look(
        recorded.store, at_s, kind="threshold", metric="count", above=1, service="shop*", routes=["GET *"],
        tenant="acme", by=["service", "route", "tenant", "outcome"],
    )  # fmt: skip

    assert [dict(one.labels) for one in found] == [
        {"service": "shop", "route": route, "tenant": "acme", "outcome": "200"} for route in ("GET /a", "GET /b")
    ]
    assert {one.value for one in found} == {4.0}


def test_few_events_say_nothing_and_are_calm(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    recorded.add(int(clock.at_s) - 60, [9.0] * 19)
    rule = {"kind": "threshold", "metric": "p95", "above": "500ms", "least_events": 20}
    [few] = look(recorded.store, clock.at_s, **rule)
    recorded.add(int(clock.at_s) - 60, [9.0])
    [enough] = look(recorded.store, clock.at_s, **rule)

    assert (few.hot, few.calm, few.value) == (False, True, None)
    assert enough.hot


def test_silence_counts_as_zero_where_it_is_known_who_is_silent(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    [reading] = look(recorded.store, clock.at_s, kind="threshold", metric="rate", below=1, service="shop")

    assert (reading.hot, reading.value) == (True, 0.0)
    assert look(recorded.store, clock.at_s, kind="threshold", metric="rate", below=1) == []
    assert look(recorded.store, clock.at_s, kind="threshold", metric="p95", above=1, service="shop") == []


def test_statements_belong_to_the_route_that_ran_them(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    recorded.add(int(clock.at_s) - 60, [0.5], kind="db", route="SELECT ?", parent="GET /a", outcome="ok")
    [reading] = look(recorded.store, clock.at_s, kind="threshold", metric="p50", above=0.1, series="db", by=["route"])

    assert reading.labels == {"service": "shop", "route": "GET /a"}


def test_gauges_are_means_of_each_worker_and_the_worst_counts(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    for back_s in range(10, 310, 10):
        for worker, value in (("a", 1e8), ("b", 3e8 if back_s % 20 else 1e8)):
            recorded.gauge(int(clock.at_s) - back_s, "process.memory.rss_bytes", value, worker=worker)
    rule = {"kind": "threshold", "metric": "sample:process.memory.rss_bytes", "above": "150MB"}
    [worst] = look(recorded.store, clock.at_s, **rule)
    by_worker = look(recorded.store, clock.at_s, by=["worker"], **rule)

    assert (worst.value, worst.unit) == (2e8, "bytes")
    assert worst.text == "process.memory.rss_bytes of shop is 200 MB, above 150 MB"
    assert {one.labels["worker"]: one.hot for one in by_worker} == {"a": False, "b": True}
