"""Warming, what is predicted, and what the process answers when it is asked."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.errors import SettingError
from pitstop.record.asks import ANSWERS
from pitstop.record.reports import take
from pitstop.tune.cache.demand import Demand
from pitstop.tune.cache.reporting import invalidate, reports, stats, warm
from pitstop.tune.cache.warming import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache import Cache

    MakeCache = Callable[..., Cache]

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


def call(number: int) -> tuple[tuple[int], tuple[()]]:
    return ((number,), ())


def test_what_was_asked_for_at_this_hour_of_the_day_is_predicted_for_it() -> None:
    demand = Demand()
    for day in range(5):
        for number, hour in ((1, 9), (2, 15), (3, 9)):
            demand.add(str(number), call(number), day * DAY_S + hour * HOUR_S, times=10 * number)
    assert demand.predict(5 * DAY_S + 9 * HOUR_S, 1) == [call(3)]
    assert demand.predict(5 * DAY_S + 15 * HOUR_S, 1) == [call(2)]
    assert demand.predict(5 * DAY_S + 14.9 * HOUR_S, 1) == [call(2)]  # it is nearly three


def test_demand_is_bounded_keeps_what_is_asked_for_most_and_fades() -> None:
    demand = Demand(most=20)
    for turn in range(200):
        demand.add("hot", call(0), 1000.0, times=5)
        demand.add(str(turn), call(turn), 1000.0)
    assert len(demand) == 20
    assert demand.predict(1000.0, 1) == [call(0)]
    for _ in range(60):
        demand.add("new", call(1), 1000.0 + 20 * DAY_S, times=30)
    assert demand.predict(1000.0 + 20 * DAY_S, 1) == [call(1)]


def test_demand_survives_its_plain_form_and_refuses_any_other() -> None:
    demand, other = Demand(), Demand()
    demand.add("k", ((1, "x"), (("by", 2),)), 5.0)
    other.load(demand.dump())
    assert other.dump() == demand.dump()
    for wrong in ([["k"]], [["k", [1], [], 0]], 7):
        with pytest.raises((ValueError, TypeError)):
            other.load(wrong)  # type: ignore[arg-type]  # that is the point


def test_given_and_predicted_calls_are_made_before_they_end(make_cache: MakeCache, clock: Any) -> None:
    cache, calls = make_cache(ttl_s=100, early=0), []

    @cache.cached(warm=[1, (2,)])
    def double(number: int) -> int:
        calls.append(number)
        return number * 2

    assert cache.warm() == 2
    assert calls == [1, 2]
    assert [double(1), double(2), double(5)] == [2, 4, 10]
    assert calls == [1, 2, 5]
    assert cache.warm() == 0
    clock.move(70)
    schedule = Schedule(cache.warmers, 60.0)
    from pitstop.tune.cache import steps  # noqa: PLC0415  only here

    assert steps.run(schedule.round(coroutines=False)) == 3
    clock.move(70)
    assert [double(1), double(2), double(5)] == [2, 4, 10]
    assert len(calls) == 6
    assert cache.get_metrics()["misses"] == 1


def test_a_schedule_warms_in_a_thread_until_it_is_stopped(cache: Cache) -> None:
    made = threading.Event()

    @cache.cached(warm=lambda: [(1,)])
    def wanted(number: int) -> int:
        made.set()
        return number

    schedule = cache.keep_warm(every_s=60)
    assert made.wait(10)
    schedule.stop()
    assert not schedule._thread.is_alive()  # type: ignore[union-attr]  # it was started
    with pytest.raises(SettingError, match="every_s=0"):
        cache.keep_warm(every_s=0)


def test_coroutine_functions_are_warmed_where_their_loop_runs(cache: Cache) -> None:
    calls = []

    @cache.cached(warm=[1])
    async def wanted(number: int) -> int:
        calls.append(number)
        return number

    @cache.cached(warm=[1])
    def fails(number: int) -> int:
        raise OSError(number)

    async def run() -> None:
        assert await cache.awarm() == 1
        task = asyncio.create_task(cache.akeep_warm(60))
        await asyncio.sleep(0)
        task.cancel()
        assert await wanted(1) == 1

    assert cache.warm() == 0
    with pytest.raises(SettingError, match="awarm"):
        wanted.cache.warmer.warm([call(1)])
    asyncio.run(run())
    assert calls == [1]
    assert fails.cache.region.stats.misses.total == 0


def test_what_cannot_be_warmed_is_said(cache: Cache) -> None:
    with pytest.raises(SettingError, match="where there are tenants"):
        cache.cached(warm=True, tenant=lambda: "a")(call)

    @cache.cached(warm=[object()])
    def wrong(number: object) -> None:
        """Take what no key can hold."""

    with pytest.raises(SettingError, match="cannot be warmed"):
        wrong.cache.warmer.due()
    assert cache.warm() == 0


def test_reports_show_keys_only_as_hashes(cache: Cache) -> None:
    cache.set("secret-key-4711", "secret-value")
    for _ in range(3):
        cache.get("secret-key-4711")
    (report,) = reports(cache)
    assert report.kind == "cache"
    assert report.name == "test/default"
    assert "secret" not in repr(report)
    (hot,) = report.body["hottest"]  # type: ignore[misc]  # a body is a mapping to anything
    assert (hot["hits"], hot["ttl_s"], len(hot["key"])) == (3, 300.0, 16)
    assert ("cache", "test/default") in {each[:2] for each in take(pytest.fail, everybody=True)}


def test_asked_to_invalidate_it_names_what_goes_and_in_a_dry_run_only_that(cache: Cache) -> None:
    cache.region("r").set("a", 1, tags=["t"])
    cache.region("r").set("b", 1, tenant="x")
    assert invalidate([cache], {"tags": ["t"], "dry_run": True}) == {"entries": 1, "regions": {"r": 1}, "dry_run": True}
    assert cache.region("r").get("a") == 1
    assert invalidate([cache], {"tags": ["t"]})["entries"] == 1
    assert cache.region("r").get("a") is None
    assert invalidate([cache], {"tenant": "x"})["entries"] == 1
    assert cache.region("r").get("b", tenant="x") is None
    assert invalidate([cache], {"region": "r"})["entries"] == 0
    assert invalidate([cache], {"everything": True})["entries"] == 0
    for wrong in ({}, {"tags": "t"}, {"tenant": 7}, {"region": ""}):
        with pytest.raises(SettingError):
            invalidate([cache], wrong)
    assert {"cache.invalidate", "cache.warm", "cache.stats"} <= ANSWERS.keys()


def test_asked_to_warm_it_warms(cache: Cache) -> None:
    @cache.cached(region="doubles", warm=[1])
    def double(number: int) -> int:
        return number * 2

    @cache.cached(region="others", warm=[1])
    async def other(number: int) -> int:
        return number

    assert warm([cache], {"dry_run": True})["regions"] == {"doubles": 1, "others": 1}
    answer = warm([cache], {"region": "doubles"})
    assert answer == {"calls": 1, "regions": {"doubles": 1}, "left_out": [], "dry_run": False}
    answer = warm([cache], {})
    assert answer["regions"] == {"doubles": 0}
    assert "others: " in answer["left_out"][0]
    assert double.cache.region.in_memory(double.cache.key_of("", (1,), {})).value == 2
    assert other.cache.region.used is False
    assert set(stats([cache])) == set()
    double(1)
    assert set(stats([cache])) == {"test/doubles"}

    async def run() -> dict[str, Any]:
        await other(2)  # now its loop is known
        return await asyncio.to_thread(warm, [cache], {})

    assert asyncio.run(run())["regions"] == {"doubles": 0, "others": 1}
