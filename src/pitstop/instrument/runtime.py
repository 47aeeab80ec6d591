"""What a worker's process is doing, read once in a while: memory, CPU, garbage collection, event-loop lag, threads."""

from __future__ import annotations

import gc
import os
import sys
from time import perf_counter, perf_counter_ns, process_time
from typing import TYPE_CHECKING

from pitstop.instrument.live import IN_FLIGHT
from pitstop.model.series import WEBSOCKET

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

LAG_EVERY_S = 0.1  # ten wake-ups a second cost about 0.01 % of a core


class LoopLag:
    """How late the event loop runs what is due: the longest since it was last asked. For one loop at a time.

    The timer starts at the first request of a loop (`wanted` asks for that) and dies with it; a sample that finds it
    dead asks again.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._most_s = 0.0
        self._ticks = 0
        self._due_s = 0.0
        self._loop: AbstractEventLoop | None = None

    def watch(self) -> None:
        """Start measuring the loop this runs in."""
        self.wanted = False
        asyncio = sys.modules.get("asyncio")
        if asyncio is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio
            return
        if self._loop is loop:
            return
        self._loop = loop
        self._schedule(loop)

    def _schedule(self, loop: AbstractEventLoop) -> None:
        self._due_s = loop.time() + LAG_EVERY_S
        loop.call_at(self._due_s, self._tick, loop)

    def _tick(self, loop: AbstractEventLoop) -> None:
        if loop is not self._loop:
            return
        self._ticks += 1
        self._most_s = max(self._most_s, loop.time() - self._due_s)
        self._schedule(loop)

    def take(self) -> float | None:
        """The longest lag since the last call, seconds; None when no loop is watched. What is overdue now counts."""
        loop = self._loop
        if loop is None or loop.is_closed():
            self._loop = None
            self.wanted = True
            return None
        most_s, self._most_s = self._most_s, 0.0
        return max(most_s, loop.time() - self._due_s, 0.0)

    def reset_after_fork(self) -> None:
        """A child has a loop of its own."""
        self._loop = None
        self.wanted = True


LOOP = LoopLag()
"""The loop that serves requests in this process."""


class GcPauses:
    """Garbage collections of this process: how many by generation, and how long they stopped it."""

    def __init__(self) -> None:
        self.collections = [0, 0, 0]
        self.sum_ns = self.most_ns = 0
        self._start_ns = 0

    def install(self) -> None:
        """Listen to the collector; once."""
        if self._heard not in gc.callbacks:
            gc.callbacks.append(self._heard)

    def remove(self) -> None:
        """Stop listening."""
        if self._heard in gc.callbacks:
            gc.callbacks.remove(self._heard)

    def _heard(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._start_ns = perf_counter_ns()
            return
        pause_ns = perf_counter_ns() - self._start_ns
        self.collections[info["generation"]] += 1
        self.sum_ns += pause_ns
        self.most_ns = max(self.most_ns, pause_ns)

    def take(self) -> tuple[list[int], float, float]:
        """Collections by generation, the sum and the longest of their pauses, seconds, since the last call."""
        taken = (self.collections, self.sum_ns / 1e9, self.most_ns / 1e9)
        self.collections = [0, 0, 0]
        self.sum_ns = self.most_ns = 0
        return taken


class RuntimeSampler:
    """Reads the gauges of this process. `sample` is for one thread, at most about once a second.

    Where there is no ``/proc`` (macOS, Windows) memory comes from `resource`, and what cannot be read is left out.
    """

    def __init__(self, loop: LoopLag = LOOP) -> None:
        self._loop = loop
        self._gc = GcPauses()
        self._gc.install()
        loop.wanted = True
        self._cpu_s = process_time()
        self._at_s = perf_counter()

    def close(self) -> None:
        """Leave the garbage collector alone."""
        self._gc.remove()

    def sample(self) -> dict[str, float]:
        """Every gauge that can be read here, by name."""
        gauges = _memory()
        cpu_s, at_s = process_time(), perf_counter()
        if at_s > self._at_s:
            gauges["process.cpu_ratio"] = (cpu_s - self._cpu_s) / (at_s - self._at_s)
        self._cpu_s, self._at_s = cpu_s, at_s
        (young, middle, old), sum_s, most_s = self._gc.take()
        gauges["gc.pause_s"] = sum_s
        gauges["gc.pause_max_s"] = most_s
        gauges["gc.collections.gen0"] = young
        gauges["gc.collections.gen1"] = middle
        gauges["gc.collections.gen2"] = old
        lag_s = self._loop.take()
        if lag_s is not None:
            gauges["event_loop.lag_s"] = lag_s
        running = list(IN_FLIGHT)
        sockets = sum(op.kind == WEBSOCKET for op in running)
        gauges["requests.in_flight"] = len(running) - sockets
        gauges["websockets.open"] = sockets
        return gauges


def _memory() -> dict[str, float]:
    """Resident memory and its high-water mark, threads, open files."""
    try:
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123  pathlib is not imported on the host's path
            fields = dict(line.split(b":", 1) for line in status.read().splitlines())
        gauges = {
            "process.memory.rss_bytes": int(fields[b"VmRSS"].split()[0]) * 1024.0,
            "process.memory.peak_bytes": int(fields[b"VmHWM"].split()[0]) * 1024.0,
            "process.threads": float(fields[b"Threads"]),
        }
        gauges["process.open_files"] = float(len(os.listdir("/proc/self/fd")) - 1)  # noqa: PTH208  less the one that lists
    except (OSError, KeyError, ValueError):
        return _memory_without_proc()
    return gauges


def _memory_without_proc() -> dict[str, float]:
    gauges = {}
    try:
        import resource  # noqa: PLC0415  not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        gauges["process.memory.peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * float(unit)
    except ImportError:
        pass
    threading = sys.modules.get("threading")
    if threading is not None:
        gauges["process.threads"] = float(threading.active_count())
    return gauges
