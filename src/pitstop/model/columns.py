"""Measurements as columns: what a worker writes in one piece, and what a question gets back.

Columns of one table have equal lengths; a row is one position in all of them. Plain lists, because the host's
process has the standard library only; analysis turns them into numpy arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pitstop.model.series import Series  # noqa: TC001  dataclasses name it at run time


@dataclass(slots=True)
class Rollups:
    """Series × interval. The same (ts, series) may stand in several rows: whoever reads adds them up.

    `ts` is the interval's start, Unix seconds; `nbytes` response or result bytes; `hist` an encoded histogram
    (`pitstop.rollup.codec`) whose counts add up to `count`. `min_ns` and `max_ns` are exact.
    """

    ts: list[int] = field(default_factory=list)
    series: list[Series] = field(default_factory=list)
    count: list[int] = field(default_factory=list)
    sum_ns: list[int] = field(default_factory=list)
    min_ns: list[int] = field(default_factory=list)
    max_ns: list[int] = field(default_factory=list)
    nbytes: list[int] = field(default_factory=list)
    hist: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(slots=True)
class Samples:
    """Gauges of a process at a moment: `ts` Unix seconds, `worker` as in `Batch.worker`, `name` with its unit."""

    ts: list[int] = field(default_factory=list)
    service: list[str] = field(default_factory=list)
    worker: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(slots=True)
class Events:
    """Things that happened: `kind` deploy, start, stop, alert, config …; `text` one line for a person."""

    ts: list[int] = field(default_factory=list)
    service: list[str] = field(default_factory=list)
    kind: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one worker writes at once: all of it or nothing.

    `worker` names one life of one process and never comes again. `seq` grows by one a batch; a retry carries the
    same `seq` and the same bytes, and a store that has it already ignores it.
    """

    worker: str
    seq: int
    rollups: Rollups = field(default_factory=Rollups)
    samples: Samples = field(default_factory=Samples)
    events: Events = field(default_factory=Events)
