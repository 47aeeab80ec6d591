"""The hot path in the host's process: the running operation, the recorder, and what a host times by hand."""

from pitstop.record.leaf import leaf
from pitstop.record.operation import CURRENT, Operation, current
from pitstop.record.recent import Metric, recent
from pitstop.record.recorder import RECORDER, Drained, Recorder
from pitstop.record.timing import Span, Timer, count, gauge, span, timeit

__all__ = [
    "CURRENT",
    "RECORDER",
    "Drained",
    "Metric",
    "Operation",
    "Recorder",
    "Span",
    "Timer",
    "count",
    "current",
    "gauge",
    "leaf",
    "recent",
    "span",
    "timeit",
]
