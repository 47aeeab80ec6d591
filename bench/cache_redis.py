"""A get from the Redis level beside a plain GET by redis-py, sync and asyncio, of one server, alternating in one run.

    python bench/cache_redis.py [--rounds 30]

Ours finds no tags to ask for, so both are one command on the wire; the budget is 1.2 of redis-py's time. The last rows
are a whole lookup in a cache whose memory level holds nothing: key, GET, unsealing, checking the tags.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
import redis.asyncio

from pitstop.tune.cache import Cache
from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

CALLS = 500  # in one piece of a round
TASKS = 50
BUDGET = 1.2
BLOB = os.urandom(500)


@contextmanager
def server() -> Iterator[int]:
    """A Redis on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    folder = tempfile.mkdtemp()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.01)
        yield port
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def piece(call: Callable[[], object]) -> float:
    """µs a call."""
    start_ns = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - start_ns) / CALLS / 1e3


async def apiece(call: Callable[[], Awaitable[object]]) -> float:
    """µs a call, one after the other."""
    start_ns = time.perf_counter_ns()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter_ns() - start_ns) / CALLS / 1e3


async def crowd(call: Callable[[], Awaitable[object]]) -> float:
    """µs a call with many tasks at once."""

    async def one() -> None:
        for _ in range(CALLS // TASKS):
            await call()

    start_ns = time.perf_counter_ns()
    await asyncio.gather(*(one() for _ in range(TASKS)))
    return (time.perf_counter_ns() - start_ns) / CALLS / 1e3


def told(what: str, ours_us: list[float], plain_us: list[float]) -> None:
    """A row: medians, and the median of the rounds' ratios."""
    ratio = statistics.median(one / other for one, other in zip(ours_us, plain_us, strict=True))
    print(f"{what:42} {statistics.median(ours_us):8.1f} {statistics.median(plain_us):10.1f} {ratio:7.2f}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with server() as port:
        url = f"redis://127.0.0.1:{port}"
        level = RedisLevel(url)
        cache = Cache(redis=RedisLevel(url), max_entries=0)
        level.save("k", BLOB, 600)
        cache.set("k", {"id": 7, "name": "a name", "blob": BLOB.hex()})
        plain = redis.Redis(port=port)
        assert plain.get("pitstop:{k}")[8:] == BLOB
        assert level.load("k", ()).blob == BLOB
        sync: dict[str, list[float]] = {"ours": [], "plain": [], "whole": []}
        gc.disable()
        for _ in range(rounds):
            sync["ours"].append(piece(lambda: level.load("k", ())))
            sync["plain"].append(piece(lambda: plain.get("pitstop:{k}")))
            sync["whole"].append(piece(lambda: cache.get("k")))

        async def asyncs() -> dict[str, list[float]]:
            client: Any = redis.asyncio.Redis(port=port)
            rows: dict[str, list[float]] = {"ours": [], "plain": [], "whole": [], "crowd": [], "plain crowd": []}
            await crowd(lambda: client.get("pitstop:{k}"))
            for _ in range(rounds):
                rows["ours"].append(await apiece(lambda: level.aload("k", ())))
                rows["plain"].append(await apiece(lambda: client.get("pitstop:{k}")))
                rows["whole"].append(await apiece(lambda: cache.aget("k")))
                rows["crowd"].append(await crowd(lambda: level.aload("k", ())))
                rows["plain crowd"].append(await crowd(lambda: client.get("pitstop:{k}")))
            await client.aclose()
            return rows

        rows = asyncio.run(asyncs())
        gc.enable()
        print(f"{'µs a call, medians of ' + str(rounds) + ' rounds':42} {'ours':>8} {'redis-py':>10} {'ratio':>7}")
        told("level get, sync", sync["ours"], sync["plain"])
        told("level get, asyncio", rows["ours"], rows["plain"])
        told(f"level get, asyncio, {TASKS} tasks", rows["crowd"], rows["plain crowd"])
        told("whole lookup through Cache, sync", sync["whole"], sync["plain"])
        told("whole lookup through Cache, asyncio", rows["whole"], rows["plain"])
        print(f"budget: {BUDGET} for a level's get")
        level.close()
        cache.close()


if __name__ == "__main__":
    main()
