"""MeterProvider over our recorder: counters count, gauges are sampled, histograms become series with percentiles.

A measurement's name is the instrument's with the attributes that `pitstop.instrument.otel.naming` lists. What requests,
statements and calls took is not recorded a second time: `SAID`.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics as api
from opentelemetry.metrics import CallbackOptions, _internal
from opentelemetry.metrics._internal import instrument as _instrument

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

MOST_OBSERVED = 200  # observable instruments of a process
_SAMPLE_TIMEOUT_MS = 1000  # what a callback is told it may take

SAID = ("http.server.", "http.client.", "db.client.operation.duration", "db.client.response.returned_rows")
"""Instruments whose figures our own records of requests, calls and statements have, exactly."""

_PER_SECOND = {"s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1.0}
_NOWHERE = Operation("", 0)
_observables: list[Observable] = []


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


class Meter(api.Meter):
    """Makes instruments of ours."""

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        """Of the API."""
        return Said(name) if name.startswith(SAID) else Counter(name)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> api.UpDownCounter:
        """Of the API."""
        return Said(name) if name.startswith(SAID) else UpDownCounter(name)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        """Of the API; the buckets are ours, which are finer."""
        return Said(name) if name.startswith(SAID) else Histogram(name, unit or "")

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        """Of the API."""
        return Gauge(name)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableGauge:
        """Of the API."""
        return _observed(Observable(name, callbacks))

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableUpDownCounter:
        """Of the API."""
        return _observed(Observable(name, callbacks))

    def create_observable_counter(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> api.ObservableCounter:
        """Of the API."""
        return _observed(Observable(name, callbacks, counts=True))


class _Ours(api.MeterProvider):
    """Where the real instruments come from."""

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> Meter:
        return Meter(name, version, schema_url)


class MeterProvider(_Ours):
    """Gives out the API's own proxies of our meters: a host that sets its provider later takes all of them over."""

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> Any:
        """Of the API."""
        if _internal._METER_PROVIDER is not self:  # noqa: SLF001  handed in by the host, not the global one
            return super().get_meter(name, version, schema_url)
        meter = Replaceable(name, version=version, schema_url=schema_url)
        _internal._PROXY_METER_PROVIDER._meters.append(meter)  # noqa: SLF001  whom it tells of the host's provider
        return meter


class Replaceable(_internal._ProxyMeter):  # noqa: SLF001
    """The API's proxy, whose instruments are ours until the host sets a provider."""

    def on_set_meter_provider(self, meter_provider: api.MeterProvider) -> None:
        """Of the API: everything goes there from now on."""
        if not isinstance(meter_provider, _Ours):
            super().on_set_meter_provider(meter_provider)


def _replaceable(method: str) -> Callable[..., Any]:
    def create(self: Replaceable, *args: Any, **kwargs: Any) -> Any:
        instrument = getattr(_internal._ProxyMeter, method)(self, *args, **kwargs)  # noqa: SLF001
        if isinstance(instrument, _instrument._ProxyInstrument):  # noqa: SLF001
            instrument.on_meter_set(_METER)
        return instrument

    return create


for _method in vars(Meter):
    if _method.startswith("create_"):
        setattr(Replaceable, _method, _replaceable(_method))

_METER = Meter("pitstop")


def _observed(instrument: Observable) -> Observable:
    if len(_observables) < MOST_OBSERVED:
        _observables.append(instrument)
    return instrument


def observe() -> dict[str, float]:
    """Every observable's gauges; nothing once the host has its own provider."""
    if not isinstance(_internal._METER_PROVIDER, _Ours):  # noqa: SLF001
        _observables.clear()
    found: dict[str, float] = {}
    for instrument in _observables:
        try:
            found.update(instrument.observe())
        except Exception:  # noqa: BLE001  a callback of the host's failed
            fault("otel.observe")
    return found
