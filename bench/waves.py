"""Waves: how much of three equal tasks is gained, and what scheduling costs a task, beside what there is without it.

Run: ``python bench/waves.py``. The best of several runs; recording on, below a request.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

from pitstop.record import RECORDER, Operation
from pitstop.record.operation import set_current
from pitstop.tune.waves import Task, Waves

if TYPE_CHECKING:
    from collections.abc import Callable

EQUAL_S = 0.05
TASKS = 50  # short enough for one turn on a busy machine
RUNS = 150


def sleeps() -> None:
    """A call that waits for something else."""
    time.sleep(EQUAL_S)


async def asleep() -> None:
    """The same, async."""
    await asyncio.sleep(EQUAL_S)


def nothing() -> None:
    """A task of no length: all its time is the scheduler's."""


async def anothing() -> None:
    """The same, async."""


def chain(function: Callable[..., object], *, inline: bool = False) -> list[Task]:
    """Tasks that each need two before, which is most bookkeeping and least to do at once."""
    return [
        Task(f"t{i}", function, needs=[f"t{one}" for one in (i - 1, i - 2) if one >= 0], inline=inline)
        for i in range(TASKS)
    ]


def wide(function: Callable[..., object], *, inline: bool = False) -> list[Task]:
    """Tasks that need nothing."""
    return [Task(f"t{i}", function, inline=inline) for i in range(TASKS)]


def best_s(run: Callable[[], object], runs: int = RUNS) -> float:
    """Seconds of one run, the best of some, below a request each time."""
    best = float("inf")
    for _ in range(runs):
        root = Operation("http", time.perf_counter_ns())
        root.name = "GET /"
        set_current(root)
        start_s = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start_s)
        set_current(None)
        RECORDER.finish(root, time.perf_counter_ns())
        RECORDER.drain()
    return best


def print_gain(waves: Waves) -> None:
    """Three equal tasks."""
    for name, function in (("threads", sleeps), ("async", asleep)):
        three = [Task(f"t{i}", function) for i in range(3)]
        took_s = best_s(lambda three=three: waves.run(three), 5)  # type: ignore[misc]  # bound at once
        print(f"{'3 equal tasks of 50 ms, ' + name:<44} × {3 * EQUAL_S / took_s:.3f}")


def print_cost(waves: Waves) -> None:
    """Tasks of no length, a task."""

    def row(name: str, seconds: float) -> None:
        print(f"{name:<44} {seconds / TASKS * 1e6:8.1f} µs a task")

    with ThreadPoolExecutor(8) as pool:
        row("ThreadPoolExecutor, no dependencies", best_s(lambda: wait([pool.submit(nothing) for _ in range(TASKS)])))

    async def gathered() -> None:
        await asyncio.gather(*(asyncio.create_task(anothing()) for _ in range(TASKS)))

    row("asyncio.gather, no dependencies", best_s(lambda: asyncio.run(gathered())))
    for shape, tasks in (("wide", wide), ("chain", chain)):
        row(f"waves, threads, {shape}", best_s(lambda tasks=tasks: waves.run(tasks(nothing))))  # type: ignore[misc]
        row(f"waves, async, {shape}", best_s(lambda tasks=tasks: waves.run(tasks(anothing))))  # type: ignore[misc]
        row(f"waves, inline, {shape}", best_s(lambda tasks=tasks: waves.run(tasks(nothing, inline=True))))  # type: ignore[misc]


def print_peer() -> None:
    """The same by Dask's threaded scheduler, where it is installed."""
    try:
        threaded = importlib.import_module("dask.threaded")
    except ImportError:
        print("Dask is not installed: pip install dask")
        return
    shapes = {
        "wide": {f"t{i}": (swallow,) for i in range(TASKS)},
        "chain": {f"t{i}": (swallow, *(f"t{one}" for one in (i - 1, i - 2) if one >= 0)) for i in range(TASKS)},
    }
    with ThreadPoolExecutor(8) as pool:
        for shape, graph in shapes.items():
            took_s = best_s(lambda graph=graph: threaded.get(graph, list(graph), pool=pool, num_workers=8))  # type: ignore[misc]
            print(f"{'Dask, threads, ' + shape:<44} {took_s / TASKS * 1e6:8.1f} µs a task")


def swallow(*_: object) -> None:
    """A task of no length that is given results."""


def main() -> None:
    """Print the table."""
    RECORDER.on = True
    waves = Waves(max_parallel=8)
    print_gain(waves)
    print_cost(waves)
    print_peer()


if __name__ == "__main__":
    main()
