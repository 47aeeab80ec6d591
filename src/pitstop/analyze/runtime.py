"""How are the processes doing? Memory, CPU, garbage collection, event loop, threads and files of every worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop.analyze.trend import automatic_step_s

if TYPE_CHECKING:
    from pitstop.model import Samples, Store, Window

RSS_BYTES = "process.memory.rss_bytes"
PEAK_BYTES = "process.memory.peak_bytes"
CPU_RATIO = "process.cpu_ratio"
GC_PAUSE_S = "gc.pause_s"
GC_PAUSE_MAX_S = "gc.pause_max_s"
LOOP_LAG_S = "event_loop.lag_s"
THREADS = "process.threads"
OPEN_FILES = "process.open_files"
REQUEST_COST_S = "pitstop.request_cost_s"
DROPPED = "pitstop.dropped"
FOLDED = "pitstop.folded"
FLUSH_S = "pitstop.flush_s"
OVERHEAD_RATIO = "pitstop.overhead_ratio"
SAMPLE_RATE = "pitstop.sample_rate"


@dataclass(frozen=True, slots=True)
class Gauge:
    """One gauge of one worker: the last value of every step that has one. `name` carries the unit."""

    name: str
    worker: str
    ts: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def last(self) -> float:
        """The newest value."""
        return self.values[-1]

    @property
    def highest(self) -> float:
        """The largest value."""
        return max(self.values)


@dataclass(frozen=True, slots=True)
class Runtime:
    """Every gauge in the window, sorted by name and worker."""

    window: Window
    step_s: int
    gauges: tuple[Gauge, ...]

    @property
    def workers(self) -> tuple[str, ...]:
        """Every worker that was heard of, sorted."""
        return tuple(sorted({gauge.worker for gauge in self.gauges}))

    @property
    def names(self) -> tuple[str, ...]:
        """Every gauge's name, sorted."""
        return tuple(sorted({gauge.name for gauge in self.gauges}))

    def of(self, name: str) -> tuple[Gauge, ...]:
        """The gauge `name` of every worker."""
        return tuple(gauge for gauge in self.gauges if gauge.name == name)

    def worker(self, worker: str) -> dict[str, Gauge]:
        """Every gauge of one worker, by name."""
        return {gauge.name: gauge for gauge in self.gauges if gauge.worker == worker}


def runtime(
    store: Store,
    window: Window,
    service: str | None = None,
    names: tuple[str, ...] = (),
    step_s: int | None = None,
) -> Runtime:
    """Gauges of every worker over `window`; no `names`: all of them. `step_s` None: chosen to fit a chart."""
    step = step_s or automatic_step_s(window)
    return runtime_of(store.samples(window, service=service, names=names, step_s=step), window, step)


def runtime_of(samples: Samples, window: Window, step_s: int) -> Runtime:
    """Samples by name and worker, each in order of time."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for ts, worker, name, value in zip(samples.ts, samples.worker, samples.name, samples.value, strict=True):
        found.setdefault((name, worker), []).append((ts, value))
    gauges = []
    for (name, worker), points in sorted(found.items()):
        points.sort(key=lambda point: point[0])
        gauges.append(Gauge(name, worker, tuple(ts for ts, _ in points), tuple(value for _, value in points)))
    return Runtime(window, step_s, tuple(gauges))
