"""Caches beside ours: hit ratios on four traces, ns of get, set and evict, a decorated hit, callers on one cold key.

Run: ``python bench/cache.py``. Traces are of 100,000 keys, caches hold 10,000. The budget: within .01 of the best
cache on every trace, a get of 300 ns where a dict takes 20, a decorated hit of 2 µs, one call for 50 callers.
"""

from __future__ import annotations

import asyncio
import collections
import functools
import heapq
import logging
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pitstop.tune.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KEYS = 100_000
CAPACITY = 10_000
REQUESTS = 1_000_000
SHUFFLED_EVERY = 100_000
SEED = 7


class OrderedLru:
    """Least recently used, what `functools.lru_cache` does, with a get."""

    def __init__(self) -> None:
        self.kept: collections.OrderedDict[str, int] = collections.OrderedDict()

    def get(self, key: str) -> int | None:
        """The value, which becomes the newest."""
        value = self.kept.get(key)
        if value is not None:
            self.kept.move_to_end(key)
        return value

    def set(self, key: str, value: int) -> None:
        """Keep it instead of the oldest."""
        self.kept[key] = value
        if len(self.kept) > CAPACITY:
            self.kept.popitem(last=False)


class Sieve:
    """SIEVE (Zhang and others, NSDI 2024) as short as it goes: a hand over a list that spares what was visited."""

    def __init__(self) -> None:
        self.kept: dict[str, list[Any]] = {}  # [value, visited, older, newer]
        self.ends: list[Any] = [None, None, None, None]  # a ring through this: its newer is the oldest
        self.ends[2] = self.ends[3] = self.ends
        self.hand = self.ends

    def get(self, key: str) -> int | None:
        """The value, visited."""
        entry = self.kept.get(key)
        if entry is None:
            return None
        entry[1] = True
        return entry[0]  # type: ignore[no-any-return]  # a list of many types

    def set(self, key: str, value: int) -> None:
        """Keep it instead of the next one that nobody visited; the hand stays where it was."""
        known = self.kept.get(key)
        if known is not None:
            known[0] = value
            return
        if len(self.kept) >= CAPACITY:
            hand = self.hand
            while hand is self.ends or hand[1]:
                hand[1] = False
                hand = hand[3]
            self.hand = hand[3]
            hand[2][3], hand[3][2] = hand[3], hand[2]
            del self.kept[hand[4]]
        newest = self.ends[2]
        entry = self.kept[key] = [value, False, newest, self.ends, key]
        newest[3] = self.ends[2] = entry


def zipf(exponent: float, count: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Ranks drawn with probability rank^-exponent."""
    cumulated = np.cumsum(1 / np.arange(1, KEYS + 1) ** exponent)
    return np.searchsorted(cumulated / cumulated[-1], rng.random(count))


def traces() -> dict[str, list[str]]:
    """The four of performance.md."""
    rng = np.random.default_rng(SEED)
    ranked = rng.permutation(KEYS)
    steady = ranked[zipf(1.0, REQUESTS, rng)]
    scans: list[int] = []
    for start in range(0, REQUESTS * 2 // 3, 20_000):
        scans += steady[start : start + 20_000].tolist()
        scans += range(KEYS + start // 2, KEYS + start // 2 + 10_000)
    ranks = zipf(1.0, REQUESTS, rng)
    shuffled = np.concatenate(
        [rng.permutation(KEYS)[ranks[at : at + SHUFFLED_EVERY]] for at in range(0, REQUESTS, SHUFFLED_EVERY)]
    )
    found = {
        "Zipf .9": ranked[zipf(0.9, REQUESTS, rng)].tolist(),
        "Zipf 1": steady.tolist(),
        "scans": scans[:REQUESTS],
        "shuffled": shuffled.tolist(),
    }
    return {name: [f"k{key}" for key in trace] for name, trace in found.items()}


def belady(trace: Sequence[str]) -> float:
    """Hit ratio of who knows the future."""
    following, last = [0] * len(trace), dict[str, int]()
    for at in range(len(trace) - 1, -1, -1):
        following[at] = last.get(trace[at], len(trace) + at)
        last[trace[at]] = at
    kept: dict[str, int] = {}
    farthest: list[tuple[int, str]] = []
    hits = 0
    for key, when in zip(trace, following, strict=True):
        if key in kept:
            hits += 1
        elif len(kept) >= CAPACITY:
            while kept.get((top := heapq.heappop(farthest))[1]) != -top[0]:
                pass
            del kept[top[1]]
        kept[key] = when
        heapq.heappush(farthest, (-when, key))
    return hits / len(trace)


def hit_ratio(made: tuple[Callable[[str], Any], Callable[[str, Any], Any]], trace: Sequence[str]) -> float:
    """Hits over lookups, where what misses is set."""
    get, put = made
    misses = 0
    for key in trace:
        if get(key) is None:
            misses += 1
            put(key, 1)
    return 1 - misses / len(trace)


def makers() -> dict[str, Callable[[], tuple[Callable[[str], Any], Callable[[str, Any], Any]]]]:
    """Each cache as ``(get, set)``, new and empty."""
    import cachebox  # noqa: PLC0415  peers are for benchmarks only
    import cachetools  # noqa: PLC0415
    import moka_py  # noqa: PLC0415
    import theine  # noqa: PLC0415

    def ours() -> tuple[Any, Any]:
        cache = Cache(max_entries=CAPACITY, ttl_s=3600)
        return cache.get, cache.set

    def plain(made: Any) -> tuple[Any, Any]:
        return made.get, made.set

    def boxed(made: Any) -> tuple[Any, Any]:
        return made.get, made.insert

    def locked() -> tuple[Any, Any]:
        made: Any = cachetools.LRUCache(CAPACITY)
        lock = threading.Lock()

        def get(key: str) -> Any:
            with lock:
                return made.get(key)

        def put(key: str, value: int) -> None:
            with lock:
                made[key] = value

        return get, put

    def tiny() -> tuple[Any, Any]:
        made = theine.Cache(CAPACITY)
        return (lambda key: made.get(key)[0]), made.set

    return {
        "ours": ours,
        "LRU, OrderedDict": lambda: plain(OrderedLru()),
        "cachebox LRU": lambda: boxed(cachebox.LRUCache(CAPACITY)),
        "cachebox LFU": lambda: boxed(cachebox.LFUCache(CAPACITY)),
        "cachetools LRU, lock": locked,
        "SIEVE": lambda: plain(Sieve()),
        "moka-py (TinyLFU)": lambda: plain(moka_py.Moka(CAPACITY)),
        "theine (W-TinyLFU)": tiny,
    }


def best_ns(run: Callable[[], object], calls: int, rounds: int = 7) -> float:
    """CPU of one call, the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        start_ns = time.thread_time_ns()
        run()
        best = min(best, (time.thread_time_ns() - start_ns) / calls)
    return best


def speed(made: tuple[Callable[[str], Any], Callable[[str, Any], Any]]) -> tuple[float, float, float]:
    """Nanoseconds of a get that hits, a set where there is room, and a set that has to make room."""
    get, put = made
    kept = [f"k{at}" for at in range(CAPACITY // 2)]
    fresh = iter([[f"n{turn}.{at}" for at in range(CAPACITY)] for turn in range(8)])
    for key in kept:
        put(key, 1)

    def gets() -> None:
        for key in kept:
            get(key)

    def sets() -> None:
        for key in kept:
            put(key, 1)

    def evicts() -> None:
        for key in next(fresh):
            put(key, 1)

    found = best_ns(gets, len(kept)), best_ns(sets, len(kept))
    evicts()
    return (*found, best_ns(evicts, CAPACITY, 6))


def policies() -> None:
    """Hit ratios and ns."""
    costs = {name: speed(make()) for name, make in makers().items()}  # before the traces fill the processor's caches
    plain: dict[str, int] = {}
    base = speed((plain.get, plain.__setitem__))
    known = traces()
    print("hit ratio" + " " * 15 + "".join(f"{name:>10}" for name in known) + "      get     set   evict, ns")
    print(f"{'best possible (Belady)':<24}" + "".join(f"{belady(trace):10.3f}" for trace in known.values()))
    rows = {}
    for name, make in makers().items():
        rows[name] = [hit_ratio(make(), trace) for trace in known.values()]
        cost = costs[name]
        print(f"{name:<24}" + "".join(f"{ratio:10.3f}" for ratio in rows[name]) + "".join(f"{ns:8.0f}" for ns in cost))
    print(f"{'a dict':<64}" + "".join(f"{ns:8.0f}" for ns in base[:2]))
    ours, peers = rows.pop("ours"), rows.values()
    behind = max(max(column) - own for own, column in zip(ours, zip(*peers, strict=True), strict=True))
    print(f"ours is at most {max(behind, 0):.3f} behind the best peer of any trace (budget .010)")


def slowly(seen: list[int]) -> Callable[[int], int]:
    """A function that takes 10 ms, and notes its calls."""

    def work(number: int) -> int:
        seen.append(number)
        time.sleep(0.01)
        return number + 1

    return work


def slowly_async(seen: list[int]) -> Callable[[int], Any]:
    """The same as a coroutine function."""

    async def work(number: int) -> int:
        seen.append(number)
        await asyncio.sleep(0.01)
        return number + 1

    return work


def decorators(folder: str) -> dict[str, tuple[Callable[[Any], Any], bool]]:
    """Each cache's decorator, and whether it is for coroutine functions."""
    import aiocache  # noqa: PLC0415
    import async_lru  # noqa: PLC0415
    import cachebox  # noqa: PLC0415
    import cachetools  # noqa: PLC0415
    import cashews  # noqa: PLC0415
    import diskcache  # noqa: PLC0415
    import dogpile.cache  # noqa: PLC0415
    import theine  # noqa: PLC0415

    cashews.cache.setup("mem://")
    region = dogpile.cache.make_region().configure("dogpile.cache.memory")
    disk = diskcache.Cache(folder)
    return {
        "ours": (Cache().cached, False),
        "ours, async": (Cache().cached, True),
        "functools.lru_cache": (functools.lru_cache, False),
        "cachebox": (cachebox.cached(cachebox.LRUCache(CAPACITY)), False),
        "cachetools, lock": (cachetools.cached(cachetools.LRUCache(CAPACITY), lock=threading.Lock()), False),
        "theine": (theine.Memoize(CAPACITY, None), False),
        "dogpile.cache": (region.cache_on_arguments(), False),
        "diskcache": (disk.memoize(), False),
        "async-lru": (async_lru.alru_cache, True),
        "cashews": (cashews.cache(ttl="1h"), True),
        "aiocache": (aiocache.cached(ttl=3600), True),
    }


def decorated() -> None:
    """A hit, and how often a function runs for 50 callers of a cold key."""
    print(f"\n{'decorated':<24}{'hit, µs':>10}{'calls for 50 callers':>24}")
    with tempfile.TemporaryDirectory() as folder:
        for name, (decorate, is_async) in decorators(folder).items():
            seen: list[int] = []
            function = decorate((slowly_async if is_async else slowly)(seen))
            calls = 2000
            hit_ns, together = (async_hit if is_async else sync_hit)(function, seen, calls)
            print(f"{name:<24}{hit_ns / 1e3:10.2f}{together:24d}")


def sync_hit(function: Callable[[int], Any], seen: list[int], calls: int) -> tuple[float, int]:
    """Nanoseconds of a hit; calls that 50 threads at once cost."""
    threads = [threading.Thread(target=function, args=(1,)) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = len(seen)
    return best_ns(lambda: [function(1) for _ in range(calls)], calls), together


def async_hit(function: Callable[[int], Any], seen: list[int], calls: int) -> tuple[float, int]:
    """The same for tasks."""

    async def run() -> tuple[float, int]:
        await asyncio.gather(*(function(1) for _ in range(50)))
        together, best = len(seen), float("inf")
        for _ in range(5):
            start_ns = time.thread_time_ns()
            for _ in range(calls):
                await function(1)
            best = min(best, (time.thread_time_ns() - start_ns) / calls)
        return best, together

    return asyncio.run(run())


def main() -> None:
    """Print both tables."""
    logging.disable()
    policies()
    decorated()


if __name__ == "__main__":
    main()
