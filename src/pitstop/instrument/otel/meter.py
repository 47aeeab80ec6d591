"""MeterProvider and Meter over our recorder.

A measurement's name is the instrument's with the attributes that `pitstop.instrument.otel.naming` lists. What requests,
statements and calls took is not recorded a second time: `SAID`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import metrics as api
from opentelemetry.metrics import _internal
from opentelemetry.metrics._internal import instrument as _instrument

from pitstop.instrument.live import fault
from pitstop.instrument.otel.instruments import Counter, Gauge, Histogram, Observable, Said, UpDownCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.metrics import CallbackT
    from opentelemetry.util.types import Attributes

MOST_OBSERVED = 200  # observable instruments of a process

SAID = ("http.server.", "http.client.", "db.client.operation.duration", "db.client.response.returned_rows")
"""Instruments whose figures our own records of requests, calls and statements have, exactly."""

_observables: list[Observable] = []


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
