from __future__ import annotations

import gc

from pitstop.tune import giving
from pitstop.tune.cache import Cache
from pitstop.tune.memory.limits import Room
from pitstop.tune.memory.pressure import KEPT, Level, Pressure


def filled(entries: int = 100) -> Cache:
    cache = Cache(max_entries=1000)
    for number in range(entries):
        cache.set(str(number), "x" * 100)
    return cache


def held(cache: Cache) -> int:
    return sum(1 for number in range(1000) if cache.get(str(number)) is not None)


def test_caches_give_up_more_the_shorter_memory_is_and_nothing_when_it_is_not() -> None:
    cache = filled()
    used = 10
    pressure = Pressure(read=lambda: Room(used, 100, "test"))
    pressure.step()
    assert held(cache) == 100
    used = 99
    pressure.step()
    assert pressure.level == Level.CRITICAL
    assert held(cache) == 100 * KEPT[Level.CRITICAL]
    assert "caches" in pressure._shed
    used = 10
    for _ in range(20):
        pressure.step()
    assert pressure.level == Level.NONE
    assert held(cache) == 50


def test_a_cache_that_is_gone_is_asked_no_more() -> None:
    cache = filled()
    kept = filled()
    assert giving.shrink_all(0.9) > 0
    assert (held(cache), held(kept)) == (90, 90)
    known = len(giving._known)
    del cache
    gc.collect()
    assert len(giving._known) < known
