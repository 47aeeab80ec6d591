"""Memory levels of several workers agree: what one changes, the others forget."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Ring, Server

Worker = tuple[Cache, RedisLevel]
SOON_S = 2.0


@pytest.fixture
def workers(server: Server, until: Callable[..., Any]) -> Iterator[list[Worker]]:
    """Two caches of one Redis that hear each other."""
    found = begin(server.url, until)
    yield found
    for cache, _ in found:
        cache.close()


def begin(url: str, until: Callable[..., Any], count: int = 2) -> list[Worker]:
    levels = [RedisLevel(url, deadline_s=2) for _ in range(count)]
    found = [(Cache(redis=level), level) for level in levels]
    for cache, level in found:
        cache.get("first use")
        until(lambda level=level: level.tells, "changes are heard")
    return found


def from_memory(cache: Cache) -> int:
    return cache.default.stats.hits["memory"].total


def test_a_value_that_one_worker_sets_replaces_the_others(workers: list[Worker], until: Callable[..., Any]) -> None:
    """Within moments, though the other had it in memory for 300 s."""
    (one, _), (other, _) = workers
    one.set("price", 1)
    assert other.get("price") == 1
    assert other.get("price") == 1
    one.set("price", 2)
    until(lambda: other.get("price") == 2, "the other hears of it", SOON_S)
    other.delete("price")
    until(lambda: one.get("price") is None, "the deletion is heard", SOON_S)


def test_a_worker_keeps_in_memory_what_it_saved_itself(workers: list[Worker]) -> None:
    """Its own writing is pushed back to it, and recognized."""
    (one, _), (other, _) = workers
    for turn in range(20):
        one.set("mine", turn)
        other.set("yours", turn)
    time.sleep(0.3)  # whatever is pushed has come by now
    start = from_memory(one)
    assert one.get("mine") == 19
    assert from_memory(one) == start + 1


def test_the_first_values_with_a_new_tag_are_kept(workers: list[Worker]) -> None:
    """The tag's beginning is pushed to both workers while they make their values; it voids neither."""
    computed: Counter[int] = Counter()

    async def worker(number: int, cache: Cache) -> None:
        @cache.cached(tags=["fresh tag"], region=f"region {number}")
        async def make() -> int:
            computed[number] += 1
            await asyncio.sleep(0.1)
            return number

        for _ in range(3):
            assert await make() == number

    async def both() -> None:
        await asyncio.gather(*(worker(number, cache) for number, (cache, _) in enumerate(workers)))
        for cache, _ in workers:
            await cache.aset("last", 1)

    asyncio.run(both())
    assert computed == {0: 1, 1: 1}


def test_a_tag_that_one_worker_voids_is_void_for_all(workers: list[Worker], until: Callable[..., Any]) -> None:
    """Values that carry it are made anew, others stay."""
    made: Counter[str] = Counter()

    def counted(cache: Cache) -> Callable[[int], str]:
        @cache.cached(tags=["user:{number}"], region="names", ttl_s=600)
        def name(number: int) -> str:
            made[f"{number}"] += 1
            return f"name {made[f'{number}']}"

        found: Callable[[int], str] = name
        return found

    (one, _), (other, _) = workers
    name_one, name_other = counted(one), counted(other)
    assert [name_one(1), name_other(1), name_one(2), name_other(2)] == ["name 1"] * 4
    one.invalidate("user:1")
    assert name_one(1) == "name 2"
    until(lambda: name_other(1) == "name 2", "the other hears of it", SOON_S)
    assert name_other(2) == "name 1"
    assert made == {"1": 2, "2": 1}


def test_when_the_hearing_was_lost_memory_is_forgotten(
    workers: list[Worker], server: Server, until: Callable[..., Any]
) -> None:
    """What changed in between is unknown: after the connection is back, everything is asked for again."""
    (one, level), (other, _) = workers
    other.set("stock", 1)
    assert one.get("stock") == 1
    lost = level.ears.lost
    server.say("CLIENT", "KILL", "TYPE", "normal")  # all connections, and with them the ears'
    server.say("DEL", "pitstop:{pitstop:default::stock}")
    until(lambda: level.ears.lost > lost and level.tells, "it hears again", 5)
    assert one.get("stock") is None


def test_what_redis_evicts_or_expires_is_forgotten_in_memory(
    workers: list[Worker], server: Server, until: Callable[..., Any]
) -> None:
    """The server tells of it as of any change."""
    (one, _), _ = workers
    one.set("gone", 1)
    until(lambda: server.say("PEXPIRE", "pitstop:{pitstop:default::gone}", 1) in {0, 1}, "it ends")
    until(lambda: one.get("gone") is None, "its end is heard", SOON_S)
    one.set("gone", 2)
    server.say("FLUSHALL")
    until(lambda: one.get("gone") is None, "that all is gone is heard", SOON_S)


def test_a_counter_that_redis_lost_never_brings_old_values_back(
    workers: list[Worker], server: Server, until: Callable[..., Any]
) -> None:
    """A tag's version is gone, as by eviction, while the blob stayed: the blob is void."""
    (one, _), (other, _) = workers
    versions = one.core.links[0].level.versions(["pitstop:*"])
    one.invalidate(everything=True)
    one.set("x", "kept")
    assert other.get("x") == "kept"
    server.say("DEL", "pitstop:tag:pitstop:*")
    until(lambda: other.get("x") is None, "it is void", SOON_S)
    assert one.core.links[0].level.versions(["pitstop:*"]) > versions


def test_all_servers_of_a_cluster_are_heard(quiet_ring: Ring, until: Callable[..., Any]) -> None:
    """Whichever of them has the key."""
    (one, level), (other, _) = begin(quiet_ring.url, until)
    for number in range(30):
        one.set(f"key {number}", 1)
        assert other.get(f"key {number}") == 1
        one.set(f"key {number}", 2)
    for number in range(30):
        until(lambda number=number: other.get(f"key {number}") == 2, "the other hears of it", SOON_S)
    one.set("a", 1, tags=["some tag"])
    other.invalidate("some tag")
    until(lambda: one.get("a") is None, "the tag is void", SOON_S)
    assert len(level.client.route.writers()) == 3
    one.close()
    other.close()


def test_a_forked_worker_hears_for_itself(workers: list[Worker]) -> None:
    """A child of a process that used the cache does not rely on its parent's thread."""
    (one, level), (other, _) = workers
    one.set("shared", 1)
    assert other.get("shared") == 1
    child = os.fork()
    if not child:
        code = 1
        try:
            end_s = time.monotonic() + 5
            other.get("first use in the child")
            while not other.core.links[0].level.tells and time.monotonic() < end_s:
                time.sleep(0.01)
            other.set("shared", 2)
            code = 0 if other.get("shared") == 2 else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    end_s = time.monotonic() + SOON_S
    while one.get("shared") != 2 and time.monotonic() < end_s:
        time.sleep(0.01)
    assert one.get("shared") == 2
    assert level.tells


def test_without_anybody_who_holds_it_the_thread_ends(server: Server, until: Callable[..., Any]) -> None:
    """A cache that was thrown away leaves no thread behind."""
    cache = Cache(redis=server.url)
    cache.get("x")
    assert any(thread.name == "pitstop cache ears" for thread in threading.enumerate())
    del cache

    def ended() -> bool:
        gc.collect()
        return not any(thread.name == "pitstop cache ears" for thread in threading.enumerate())

    until(ended, "the thread ends", 5)


def test_where_redis_may_not_tell_memory_asks_again(server: Server, until: Callable[..., Any]) -> None:
    """An account without CLIENT TRACKING: everything works, nobody is told, and the reason is."""
    server.say("ACL", "SETUSER", "plain", "on", ">word", "~*", "&*", "+@all", "-client|tracking")
    level = RedisLevel(f"redis://plain:word@127.0.0.1:{server.port}", deadline_s=2)
    cache = Cache(redis=level)
    cache.set("x", 1)
    assert cache.get("x") == 1
    until(lambda: "tracking" in level.ears.error, "the reason is told")
    assert not level.tells
    assert level.breaker == "closed"
    cache.close()


def test_what_a_new_process_does_first_is_kept(server: Server) -> None:
    """Nothing is thrown away because changes began to be heard only then."""

    def first() -> bool:
        cache = Cache(redis=RedisLevel(server.url, deadline_s=2))
        cache.set("first", 1)
        start = from_memory(cache)
        kept = cache.get("first") == 1 and from_memory(cache) == start + 1
        cache.close()
        return kept

    async def afirst() -> bool:
        cache = Cache(redis=RedisLevel(server.url, deadline_s=2))
        await cache.aset("first", 1)
        start = from_memory(cache)
        kept = await cache.aget("first") == 1 and from_memory(cache) == start + 1
        cache.close()
        return kept

    assert all(first() for _ in range(10))
    assert all(asyncio.run(afirst()) for _ in range(10))
