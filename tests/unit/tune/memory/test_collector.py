"""Thresholds from the rate of allocation, what is frozen, and that everything is put back."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.errors import SettingError
from pitstop.model.tuned import GC_REPORT
from pitstop.tune.memory import collector
from pitstop.tune.memory.collector import LEAST_YOUNG, MOST_YOUNG, THAW_S, GcTuning, tune_gc

if TYPE_CHECKING:
    from collections.abc import Iterator


class World:
    now_s = 0.0


@pytest.fixture
def world() -> Iterator[World]:
    """A clock, and the collector as it was, whatever a test has done."""
    before = gc.get_threshold()
    yield World()
    while collector._tuning:
        collector._tuning.pop().stop()
    gc.unfreeze()
    gc.enable()
    gc.set_threshold(*before)


def tuning(world: World, **options: Any) -> GcTuning:
    return GcTuning(now_s=lambda: world.now_s, every_s=3600.0, **options)


def rounds(each: GcTuning, world: World, count: int, containers_per_s: float, pause_s: float = 0.0) -> None:
    """Steps of ten seconds with that many young collections as the threshold then makes of it."""
    for _ in range(count):
        world.now_s += 10.0
        collections = int(containers_per_s * 10 / gc.get_threshold()[0])
        each.collections[0] += collections
        each._round_young_s = pause_s * collections
        each.step()


def test_the_threshold_is_such_that_the_young_are_collected_twenty_times_a_second(world: World) -> None:
    each = tuning(world).start()
    rounds(each, world, 10, containers_per_s=200_000)
    assert gc.get_threshold()[0] == pytest.approx(10_000, rel=0.15)
    assert each.allocations_per_s == pytest.approx(200_000, rel=0.1)
    assert "20 are enough" in each.why
    each.stop()


def test_it_never_leaves_its_bounds_and_never_grows_by_more_than_twice_at_once(world: World) -> None:
    each = tuning(world).start()
    before = gc.get_threshold()[0]
    rounds(each, world, 1, containers_per_s=1e9)
    assert gc.get_threshold()[0] == 2 * before
    rounds(each, world, 20, containers_per_s=1e9)
    assert gc.get_threshold()[0] == MOST_YOUNG
    rounds(each, world, 5, containers_per_s=0)
    assert gc.get_threshold()[0] == MOST_YOUNG
    rounds(each, world, 20, containers_per_s=1e9, pause_s=0.1)
    assert gc.get_threshold()[0] == max(before, LEAST_YOUNG)
    each.stop()


def test_young_collections_that_take_long_are_made_smaller(world: World) -> None:
    each = tuning(world).start()
    rounds(each, world, 20, containers_per_s=1e6)
    large = gc.get_threshold()[0]
    rounds(each, world, 2, containers_per_s=1e6, pause_s=0.005)
    assert gc.get_threshold()[0] <= large / 2
    assert "5.0 ms" in each.why
    each.stop()


def test_what_lives_is_frozen_and_everything_is_put_back(world: World) -> None:
    gc.disable()
    before = gc.get_threshold()
    each = tuning(world).start()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
    rounds(each, world, 5, containers_per_s=500_000)
    each.stop()
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
    assert not gc.isenabled()
    assert each._collected not in gc.callbacks


def test_what_has_survived_a_long_collection_is_frozen_too(world: World) -> None:
    each = tuning(world, pause_s=1e-9).start()
    frozen = gc.get_freeze_count()
    kept = [[n] for n in range(5000)]
    gc.collect()
    assert gc.get_freeze_count() >= frozen + len(kept)
    assert each.collections[2] == 1
    each.stop()


def test_garbage_among_the_frozen_is_collected_once_an_hour(world: World) -> None:
    each = tuning(world)
    cycle: list[Any] = []
    cycle.append(cycle)
    finalized = []

    class Node:
        def __del__(self) -> None:
            finalized.append(1)

    cycle.append(Node())
    each.start()
    del cycle
    gc.collect()
    assert not finalized
    world.now_s += THAW_S
    each.step()
    assert finalized
    each.stop()


def test_pauses_are_reported(world: World) -> None:
    each = tuning(world, freeze=False).start()
    assert gc.get_freeze_count() == 0
    gc.collect()
    [report] = each.reports()
    assert report.kind == GC_REPORT
    assert report.body["collections"] == [0, 0, 1]
    assert 0 < report.body["pause_s"] == report.body["longest_s"]
    each.stop()


@pytest.mark.usefixtures("world")
def test_tuning_again_ends_the_first() -> None:
    first = tune_gc()
    second = tune_gc(freeze=False)
    assert first._collected not in gc.callbacks
    assert second._collected in gc.callbacks


@pytest.mark.parametrize("options", [{"most_young": 0}, {"pause_s": 0.0}])
def test_a_collector_that_never_runs_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="not tuned but off"):
        GcTuning(**options)
