"""Callers that are cancelled at any moment: nobody gets another's value, and nobody waits for them."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from conftest import Server


def test_a_storm_of_cancelled_lookups_mixes_no_values_and_leaves_no_lease(server: Server) -> None:  # noqa: C901  one storm
    """2,400 lookups of tagged values from two workers, half of them cancelled while they load, wait, make or save."""
    chosen = random.Random(7)

    async def storm() -> tuple[int, int]:
        caches = [Cache(redis=RedisLevel(server.url, deadline_s=5), max_entries=8, ttl_s=0.2) for _ in range(2)]
        made = right = 0

        async def lookup(cache: Cache, key: str) -> None:
            nonlocal made, right

            async def make() -> str:
                nonlocal made
                made += 1
                await asyncio.sleep(chosen.random() * 0.004)
                return f"value of {key}"

            assert await cache.aget_or_set(key, make, tags=[f"tag of {key}"]) == f"value of {key}"
            right += 1

        cancelled = 0
        for turn in range(24):
            tasks = [
                asyncio.create_task(lookup(chosen.choice(caches), f"key {chosen.randrange(30)}")) for _ in range(100)
            ]
            for task in tasks:
                if chosen.random() < 0.5:
                    asyncio.get_running_loop().call_later(chosen.random() * 0.03, task.cancel)
            if turn % 4 == 0:
                await caches[0].ainvalidate(f"tag of key {chosen.randrange(30)}")
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(outcome, asyncio.CancelledError):
                    cancelled += 1
                else:
                    assert outcome is None
        assert cancelled > 100
        assert right + cancelled == 2400
        began_s = time.monotonic()
        await asyncio.gather(*(lookup(cache, f"key {number}") for cache in caches for number in range(30)))
        assert time.monotonic() - began_s < 2  # a lease that was left behind would hold one up for 3 s
        for cache in caches:
            assert cache.default.stats.errors.total == 0, cache.default.stats.last_error
            cache.close()
        return made, right

    made, right = asyncio.run(storm())
    assert made < right
