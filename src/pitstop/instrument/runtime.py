"""What a worker's process is doing, read once in a while: memory, CPU, garbage collection, event-loop lag, threads."""

from __future__ import annotations

import gc
import os
import sys
from time import perf_counter, perf_counter_ns, process_time
from typing import TYPE_CHECKING

from pitstop.instrument.live import IN_FLIGHT
from pitstop.instrument.loop import LOOP
from pitstop.model.series import GC, WEBSOCKET
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current

if TYPE_CHECKING:
    from pitstop.instrument.loop import LoopBeat

COLLECTION_NS = 100_000  # a shorter collection is not filed below the request it ran in
_GENERATIONS = ("generation 0", "generation 1", "generation 2")


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
        end_ns = perf_counter_ns()
        pause_ns = end_ns - self._start_ns
        generation = info["generation"]
        self.collections[generation] += 1
        self.sum_ns += pause_ns
        self.most_ns = max(self.most_ns, pause_ns)
        if pause_ns >= COLLECTION_NS:
            op = get_current()  # a collection runs in the thread and context that asked for memory
            if op is not None and not (op.root or op).end_ns:
                leaf(GC, _GENERATIONS[generation], "ok", self._start_ns, end_ns)

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

    def __init__(self, loop: LoopBeat = LOOP) -> None:
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
