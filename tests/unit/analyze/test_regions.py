from __future__ import annotations

import json
from typing import Any

import pytest

from pitstop.analyze import cache_effect, overview, region_course, regions
from pitstop.model import Batch, Window
from pitstop.model.columns import Reports

WINDOW = Window(1000, 1100)


def lookups(recorded: Any, region: str, **outcomes: tuple[int, float]) -> None:
    for outcome, (times, seconds) in outcomes.items():
        recorded.add(1000, region, [seconds] * times, kind="region", parent="GET /a", outcome=outcome, nbytes=0)


def report(recorded: Any, worker: str, name: str, ts: int = 1095, **body: Any) -> None:
    said = Reports()
    row = {"ts": ts, "service": "shop", "worker": worker, "kind": "cache", "name": name, "body": json.dumps(body)}
    for column, value in row.items():
        getattr(said, column).append(value)
    recorded.store.append(Batch(worker, 1, reports=said))


def test_saved_is_what_hits_would_have_cost_less_what_all_lookups_took(recorded: Any) -> None:
    lookups(recorded, "product", hit=(90, 0.001), miss=(10, 0.051))
    (row,) = regions(recorded.store, WINDOW, "shop")
    assert (row.hits, row.misses, row.hit_ratio, row.effect) == (90, 10, 0.9, "high")
    assert row.lookup_s == pytest.approx(0.001)
    assert row.recompute_s == pytest.approx(0.05)
    assert row.saved_s == pytest.approx(90 * 0.05 - 90 * 0.001 - 10 * 0.001)
    assert [one.route for one in row.routes] == ["GET /a"]


def test_a_cache_of_what_is_cheap_to_make_costs_more_than_it_saves(recorded: Any) -> None:
    lookups(recorded, "cheap", hit=(90, 0.002), miss=(10, 0.0025))
    (row,) = regions(recorded.store, WINDOW, "shop")
    assert row.effect == "high"
    assert row.saved_s is not None
    assert row.saved_s < 0


def test_stale_answers_are_hits_and_errors_are_no_lookups(recorded: Any) -> None:
    lookups(recorded, "product", hit=(4, 0.001), stale=(3, 0.001), miss=(3, 0.1), error=(5, 1.0))
    (row,) = regions(recorded.store, WINDOW, "shop")
    assert (row.hits, row.stale, row.lookups, row.errors, row.hit_ratio) == (7, 3, 10, 5, 0.7)
    assert row.effect == "high", "70 % is high, as R21 has it"


def test_without_a_miss_the_workers_say_what_making_a_value_costs(recorded: Any) -> None:
    lookups(recorded, "product", hit=(10, 0.001))
    assert regions(recorded.store, WINDOW)[0].saved_s is None, "nobody knows"
    report(recorded, "a:1:x", "product", recompute_s=0.04, misses=1)
    report(recorded, "b:1:x", "product", recompute_s=0.02, misses=3)
    (row,) = regions(recorded.store, WINDOW)
    assert row.recompute_s == pytest.approx(0.025)
    assert row.saved_s == pytest.approx(10 * 0.025 - 10 * 0.001)


def test_what_workers_hold_is_added_up_while_they_live(recorded: Any) -> None:
    hot = {"key": "aa", "hits": 5, "ttl_s": 1.0, "age_s": 1.0, "cost_s": 1.0}
    report(recorded, "a:1:x", "product", entries=3, hits={"memory": 4}, breaker="closed", tenants={"t": [3, 1]},
           hottest=[hot], max_bytes=10, invalidations={"tag": 1}, levels=["memory"])  # fmt: skip
    report(recorded, "b:1:x", "product", entries=2, hits={"memory": 1, "redis": 1}, breaker="open",
           tenants={"t": [1, 0]}, hottest=[hot], max_bytes=10, invalidations={"tag": 2},
           levels=["memory", "redis"])  # fmt: skip
    report(recorded, "gone:1:x", "product", ts=1001, entries=100)
    (row,) = regions(recorded.store, WINDOW)
    held = row.held
    assert held is not None
    assert (row.effect, held.workers, held.entries, held.max_bytes, held.breaker) == ("no data", 2, 5, 20, "open")
    assert (held.level_hits, held.invalidations) == ({"memory": 5, "redis": 1}, {"tag": 3})
    assert (held.hottest[0].hits, held.tenants, held.levels) == (10, (("t", 4, 1),), ("memory", "redis"))


def test_r21_names_regions_by_how_often_they_hit(recorded: Any) -> None:
    lookups(recorded, "high", hit=(8, 0.001), miss=(2, 0.1))
    lookups(recorded, "low", hit=(1, 0.001), miss=(9, 0.1))
    lookups(recorded, "none", miss=(5, 0.1))
    seen = cache_effect(regions(recorded.store, WINDOW))
    assert (seen.high, seen.low, seen.none) == (("high",), ("low",), ("none",))
    assert (seen.lookups, seen.hit_ratio) == (25, pytest.approx(9 / 25))
    nothing = cache_effect([])
    assert (nothing.hit_ratio, nothing.saved_s, nothing.lookups) == (None, None, 0)


def test_the_course_tells_nothing_asked_from_nothing_found(recorded: Any) -> None:
    recorded.add(1000, "r", [0.1] * 3, kind="region", outcome="miss")
    recorded.add(1020, "r", [0.1], kind="region", outcome="hit")
    course = region_course(recorded.store, WINDOW, step_s=10)
    assert course.hits[:3] == (0, None, 1)
    assert course.misses[:3] == (3, None, 0)
    assert course.hit_ratio[:3] == (0, None, 1)


def test_the_overview_counts_regions_and_wire_commands_of_services_without_any(recorded: Any) -> None:
    lookups(recorded, "product", hit=(3, 0.001), stale=(1, 0.001), miss=(4, 0.1))
    recorded.add(1000, "GET", [0.001] * 4, kind="cache", outcome="miss")
    assert overview(recorded.store, WINDOW, "shop").cache_lookups == 8
    assert overview(recorded.store, WINDOW, "shop").cache_hit_ratio == 0.5
    recorded.add(1000, "GET", [0.001] * 8, kind="cache", outcome="hit", service="old")
    both = overview(recorded.store, WINDOW)
    assert (both.cache_lookups, both.cache_hit_ratio) == (16, 0.75)
