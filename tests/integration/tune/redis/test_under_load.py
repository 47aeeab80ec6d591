"""Kill, hang, restart and failover under load: no request is lost, late or given another's answer."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from conftest import Guarded, Ring, Server

DEADLINE_S = 0.25
LATEST_S = 4 * DEADLINE_S + 1.5  # a miss asks up to four times before the breaker opens; and the machine is busy
KEYS = 300


class Load:
    """Two workers, each with a cache of its own, threads and tasks; every answer is checked against its key."""

    def __init__(self, url: str, until: Callable[..., Any]) -> None:
        self.until = until
        self.levels = [RedisLevel(url, deadline_s=DEADLINE_S) for _ in range(2)]
        self.caches = [Cache(redis=level, max_entries=30, ttl_s=1.0, early=0.0) for level in self.levels]
        self.answered = 0
        self.computed = 0
        self.latest_s = 0.0
        self.wrong: list[object] = []
        self._over = threading.Event()
        self._threads = [
            *(threading.Thread(target=self._ask, args=(cache, seed)) for cache in self.caches for seed in (1, 2)),
            *(threading.Thread(target=asyncio.run, args=(self._loop(cache),)) for cache in self.caches),
        ]

    def hits(self) -> int:
        """From Redis."""
        return sum(cache.default.stats.hits["redis"].total for cache in self.caches)

    def _make(self, key: str) -> str:
        self.computed += 1
        return f"value of {key} at {time.monotonic()}"

    def _check(self, key: str, answer: object, began_s: float) -> None:
        self.latest_s = max(self.latest_s, time.monotonic() - began_s)
        self.answered += 1
        if not str(answer).startswith(f"value of {key} "):
            self.wrong.append((key, answer))

    def _ask(self, cache: Cache, seed: int) -> None:
        chosen = random.Random(seed)
        while not self._over.is_set():
            key = f"k{chosen.randrange(KEYS)}"
            began_s = time.monotonic()
            try:
                answer = cache.get_or_set(key, lambda key=key: self._make(key))
                if chosen.random() < 0.02:
                    cache.delete(key)
            except BaseException as error:  # noqa: BLE001  whatever it is: the request is lost
                answer = error
            self._check(key, answer, began_s)
            time.sleep(0.002)

    async def _loop(self, cache: Cache) -> None:
        async def ask(seed: int) -> None:
            chosen = random.Random(seed)
            while not self._over.is_set():
                key = f"k{chosen.randrange(KEYS)}"
                began_s = time.monotonic()
                try:
                    answer: object = await cache.aget_or_set(key, lambda key=key: self._make(key))
                except BaseException as error:  # noqa: BLE001  as above
                    answer = error
                self._check(key, answer, began_s)
                await asyncio.sleep(0.005)

        await asyncio.gather(*(ask(seed) for seed in range(4)))

    def goes_on(self) -> None:
        """Redis answers again, to each worker, in both colours."""
        for cache in self.caches:
            start = cache.default.stats.hits["redis"].total
            self.until(
                lambda cache=cache, start=start: cache.default.stats.hits["redis"].total > start + 50,
                "Redis is used again",
            )
        self.until(
            lambda: all(level.tells and level.breaker == "closed" for level in self.levels), "changes are heard again"
        )


@contextmanager
def load(url: str, until: Callable[..., Any]) -> Iterator[Load]:
    under = Load(url, until)
    for thread in under._threads:
        thread.start()
    try:
        under.goes_on()
        yield under
        under.goes_on()
    finally:
        under._over.set()
        for thread in under._threads:
            thread.join(20)
        for cache in under.caches:
            cache.close()
    assert under.wrong == []
    assert under.latest_s < LATEST_S
    assert under.answered > 500


def while_away(under: Load, seconds: float) -> None:
    """Requests are answered all the while."""
    start = under.answered
    time.sleep(seconds)
    assert under.answered > start + 100 * seconds


def test_a_server_that_hangs_dies_and_restarts_loses_no_request(server: Server, until: Callable[..., Any]) -> None:
    """First it hangs for a second, then it is killed, and comes back empty."""
    with load(server.url, until) as under:
        server.freeze()
        while_away(under, 1.2)
        server.thaw()
        under.goes_on()
        server.kill()
        while_away(under, 1.0)
        server.start()


def test_a_failover_by_sentinels_loses_no_request(guarded: Guarded, until: Callable[..., Any]) -> None:
    """The primary hangs and a replica takes over; then that one is killed, and the other takes over."""
    with load(guarded.url, until) as under:
        first = guarded.primary()
        first.freeze()
        until(lambda: guarded.primary() is not first, "the sentinels fail over")
        under.goes_on()
        first.thaw()
        second = guarded.primary()
        third = next(server for server in guarded.servers if server not in {first, second})
        until(lambda: third.info("replication").get("master_port") == str(second.port), "the third follows the second")
        second.kill()
        until(lambda: guarded.primary() is not second, "the sentinels fail over again", 20)


def test_a_failover_in_a_cluster_loses_no_request(ring: Ring, until: Callable[..., Any]) -> None:
    """One primary hangs, another is killed; their replicas take over, and both come back as replicas."""
    with load(ring.url, until) as under:
        hung, killed = ring.servers[:2]
        hung.freeze()
        until(lambda: ring.servers[3].info("replication")["role"] == "master", "the replica takes over")
        under.goes_on()
        hung.thaw()
        until(ring.whole, "the cluster is whole")
        killed.kill()
        until(lambda: ring.servers[4].info("replication")["role"] == "master", "the replica takes over")
        under.goes_on()
        killed.start()
        until(ring.whole, "the cluster is whole")
