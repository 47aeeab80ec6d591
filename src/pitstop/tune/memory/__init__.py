"""Memory: leaks found while they are small, the garbage collector fitted to the service, pressure answered in time.

from pitstop.tune.memory import tune_memory
memory = tune_memory()                        # when the service has started, once in each process
memory.pressure.on_pressure("my cache", lambda level: cache.shrink())
memory.pressure.guard(limiter)                # 503 with Retry-After when nothing else helps
"""

from __future__ import annotations

from typing import NamedTuple

from pitstop.tune.memory.answers import answer_memory
from pitstop.tune.memory.bursts import GrownLine, grown_by_line
from pitstop.tune.memory.collector import GcTuning, tune_gc
from pitstop.tune.memory.leaks import Finding, LeakWatch
from pitstop.tune.memory.ledger import grown_lines
from pitstop.tune.memory.optimizing import Optimized, can_shrink, optimize
from pitstop.tune.memory.pools import ObjectPool
from pitstop.tune.memory.pressure import Level, Pressure

__all__ = [
    "Finding",
    "GcTuning",
    "GrownLine",
    "LeakWatch",
    "Level",
    "ObjectPool",
    "Optimized",
    "Pressure",
    "TunedMemory",
    "can_shrink",
    "grown_by_line",
    "optimize",
    "tune_gc",
    "tune_memory",
]


class TunedMemory(NamedTuple):
    """What looks after this process's memory."""

    collector: GcTuning
    leaks: LeakWatch
    pressure: Pressure

    def stop(self) -> None:
        """Nothing any more; the collector as it was."""
        self.leaks.stop()
        self.pressure.stop()
        self.collector.stop()
        _tuned.clear()


_tuned: list[TunedMemory] = []


def tune_memory(*, bursts: bool = True) -> TunedMemory:
    """Fit the collector, watch for leaks and for pressure, and answer questions, from now on and across forks.

    Call it when the service has started. A second call gives what the first has made. Without `bursts` the line of a
    leak outside of Python's objects is not looked for by itself, which costs half a second of CPU, once an hour at most
    and only when there is such a leak; asking by ``memory.look`` still does.
    """
    if not _tuned:
        leaks, pressure = LeakWatch(lines=grown_lines if bursts else _no_lines), Pressure()
        leaks.start()
        answer_memory()
        _tuned.append(TunedMemory(tune_gc(), leaks, pressure.start()))
    return _tuned[0]


def _no_lines() -> tuple[str, str]:
    return "", ""
