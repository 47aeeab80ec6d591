"""The hot path in the host's process: the running operation, the recorder, and what a host times by hand."""

from pitstop.record.operation import CURRENT, Operation, current
from pitstop.record.recorder import RECORDER, Drained, Recorder
from pitstop.record.timing import Span, Timer, count, gauge, span, timeit

__all__ = [
    "CURRENT",
    "RECORDER",
    "Drained",
    "Operation",
    "Recorder",
    "Span",
    "Timer",
    "count",
    "current",
    "gauge",
    "span",
    "timeit",
]
