"""Instruments over our recorder: counters count, gauges are sampled, histograms become series with percentiles."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions

from pitstop.instrument.live import fault
from pitstop.instrument.otel.naming import Names
from pitstop.model.series import METRIC
from pitstop.record.operation import Operation
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackT, Observation
    from opentelemetry.util.types import Attributes

_SAMPLE_TIMEOUT_MS = 1000  # what a callback is told it may take
_PER_SECOND = {"s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1.0}
_NOWHERE = Operation("", 0)


class Counter(api.Counter):
    """Adds to a counter of ours."""

    def __init__(self, name: str, unit: str = "", description: str = "") -> None:
        self._names = Names(name)

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Of the API; a negative amount is ignored, as the specification has it."""
        if RECORDER.on and amount >= 0:
            try:
                RECORDER.count(self._names.of(attributes), amount)
            except Exception:  # noqa: BLE001  the host goes on
                fault("otel.count")


class UpDownCounter(api.UpDownCounter):
    """Keeps the sum, which is a gauge of ours."""

    def __init__(self, name: str, unit: str = "", description: str = "") -> None:
        self._names = Names(name)
        self._sums: dict[str, float] = {}

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Of the API. Two threads at once may lose an addition, which a lock for each would cost more than."""
        try:
            name = self._names.of(attributes)
            self._sums[name] = value = self._sums.get(name, 0.0) + amount
            if RECORDER.on:
                RECORDER.gauge(name, value)
        except Exception:  # noqa: BLE001
            fault("otel.up_down")


class Gauge(api._Gauge):  # noqa: SLF001  its public name came with opentelemetry-api 1.30
    """Sets a gauge of ours."""

    def __init__(self, name: str, unit: str = "", description: str = "") -> None:
        self._names = Names(name)

    def set(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Of the API."""
        if RECORDER.on:
            try:
                RECORDER.gauge(self._names.of(attributes), amount)
            except Exception:  # noqa: BLE001
                fault("otel.gauge")


class Histogram(api.Histogram):
    """A series of kind `metric`; values without a unit of time are kept as if they were seconds."""

    def __init__(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> None:
        self._names = Names(name)
        self._scale = _PER_SECOND.get(unit, 1e9)

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Of the API; a negative amount is ignored."""
        if RECORDER.on and amount >= 0:
            try:
                now_ns = perf_counter_ns()
                measured = Operation(METRIC, now_ns - round(amount * self._scale))
                measured.name = self._names.of(attributes)
                measured.end_ns = now_ns
                RECORDER.finish_alone(measured, _NOWHERE)
            except Exception:  # noqa: BLE001
                fault("otel.histogram")


class Said(api.Histogram, api.Counter, api.UpDownCounter):
    """An instrument whose figures are recorded by other means."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def record(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Nothing."""

    def add(self, amount: float, attributes: Attributes = None, context: Context | None = None) -> None:
        """Nothing."""


class Observable(api.ObservableGauge, api.ObservableUpDownCounter, api.ObservableCounter):
    """Asked each time gauges are sampled; of a counter, what was added since is counted."""

    def __init__(self, name: str, callbacks: Sequence[CallbackT] | None = None, *, counts: bool = False) -> None:
        self._names = Names(name)
        self._callbacks = [_asking(callback) for callback in callbacks or ()]
        self._counts = counts
        self._last: dict[str, float] = {}

    def observe(self) -> Mapping[str, float]:
        """Gauges at this moment; a counter's go to the recorder instead."""
        totals: dict[str, float] = {}
        for callback in self._callbacks:
            for observation in callback(CallbackOptions(timeout_millis=_SAMPLE_TIMEOUT_MS)):
                name = self._names.of(observation.attributes)
                totals[name] = totals.get(name, 0.0) + observation.value
        if not self._counts:
            return totals
        for name, total in totals.items():
            before = self._last.get(name, 0.0)
            added = total - before if total >= before else total  # it began anew
            if added:
                RECORDER.count(name, added)
        self._last = totals
        return {}


def _asking(callback: CallbackT) -> Callable[[CallbackOptions], Iterable[Observation]]:
    """`callback`, which may be a generator that is sent the options."""
    if callable(callback):
        return callback
    generator: Generator[Iterable[Observation], CallbackOptions, None] = callback
    next(generator)
    return generator.send
