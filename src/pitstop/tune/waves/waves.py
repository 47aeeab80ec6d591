"""`Waves`: tasks with dependencies, run as early as their inputs allow, from sync and async code."""

from __future__ import annotations

import asyncio
import random
from time import perf_counter_ns
from typing import TYPE_CHECKING

from pitstop.model.errors import SettingError, TaskError
from pitstop.tune.waves.drivers import InThread, OnLoop
from pitstop.tune.waves.graph import Graph
from pitstop.tune.waves.recording import Recording
from pitstop.tune.waves.running import Run
from pitstop.tune.waves.schedule import Schedule
from pitstop.tune.waves.task import SKIP, OnFailure, Task, check_policy
from pitstop.tune.waves.threads import THREADS, Threads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.tune.waves.result import WavesResult

MOST_PARALLEL = 1000
_RNG = random.Random()  # noqa: S311  retries that do not come back all at once need no secrecy


class Waves:
    """Runs tasks side by side, each as soon as what it needs has ended: ``Waves(max_parallel=8).run([Task(…), …])``.

    At most `max_parallel` of a run at once. `timeout_s` is for a run as a whole; what has not ended then is cancelled.
    `on_failure` is what a failure means where a task does not say it: see `ON_FAILURE`. `by_wave`: a task waits until
    every task of the wave before has ended, whether it needs them or not. `name` is what the run is called in a trace.
    Plain functions run in `threads`, by default the process's own 64.

    One object may be used by any number of threads and tasks at once, and within its own tasks.

    Raises SettingError for a value that cannot be used.
    """

    def __init__(
        self,
        max_parallel: int = 8,
        *,
        name: str = "waves",
        timeout_s: float | None = None,
        on_failure: OnFailure = SKIP,
        by_wave: bool = False,
        threads: Threads = THREADS,
        rng: random.Random = _RNG,
    ) -> None:
        if not 1 <= max_parallel <= MOST_PARALLEL:
            raise SettingError(f"max_parallel={max_parallel}: write 1 … {MOST_PARALLEL}")
        check_policy(on_failure, "Waves")
        self.max_parallel = max_parallel
        self.name = name
        self.timeout_s = _checked(timeout_s)
        self.on_failure: OnFailure = on_failure
        self.by_wave = by_wave
        self._threads = threads
        self._rng = rng

    def run(self, tasks: Iterable[Task], *, timeout_s: float | None = None) -> WavesResult:
        """Run `tasks` and wait for all; `timeout_s` here goes before the one of the object.

        What a task raises is in the result, and raised by it where it is asked for. Only KeyboardInterrupt and
        SystemExit pass through. Where some tasks are async a loop is made for the run; connections that belong to
        another loop cannot be used in it.

        Raises SettingError for a graph that cannot be run, before anything starts; TaskError within a running loop.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise TaskError("Waves.run would block the event loop that runs here: write `await waves.arun(tasks)`")
        graph = Graph(tasks)
        if any(graph.native):
            return asyncio.run(self._arun(graph, timeout_s))
        driver = InThread(self._threads)
        with Recording(self.name, graph, self.max_parallel) as recording:
            run = Run(graph, self._schedule(graph, timeout_s), recording, driver)
            driver.drive(run)
            result = run.result(self.name, self.on_failure)
            if not result.abandoned:
                driver.let_go()
            return result

    async def arun(self, tasks: Iterable[Task], *, timeout_s: float | None = None) -> WavesResult:
        """The same from async code, for asyncio and loops that take its place.

        Where it is cancelled itself, its tasks are, too; it ends when they have, or after a second.
        """
        return await self._arun(Graph(tasks), timeout_s)

    async def _arun(self, graph: Graph, timeout_s: float | None) -> WavesResult:
        driver = OnLoop(self._threads, asyncio.get_running_loop())
        with Recording(self.name, graph, self.max_parallel) as recording:
            run = Run(graph, self._schedule(graph, timeout_s), recording, driver)
            await driver.drive(run)
            return run.result(self.name, self.on_failure)

    def _schedule(self, graph: Graph, timeout_s: float | None) -> Schedule:
        whole_s = self.timeout_s if timeout_s is None else _checked(timeout_s)
        now_ns = perf_counter_ns()
        return Schedule(
            graph,
            now_ns,
            max_parallel=self.max_parallel,
            on_failure=self.on_failure,
            by_wave=self.by_wave,
            deadline_ns=None if whole_s is None else now_ns + round(whole_s * 1e9),
            rng=self._rng,
        )


def _checked(timeout_s: float | None) -> float | None:
    if timeout_s is not None and not timeout_s > 0:
        raise SettingError(f"timeout_s={timeout_s}: write more than 0, or None")
    return timeout_s
