"""OpenTelemetry without its SDK: a TracerProvider and a MeterProvider over our recorder. opentelemetry-api ≥ 1.25.

Nothing of OpenTelemetry is imported before the host has done so; then `install` makes ours the global providers,
unless the host has set its own, and lets the host replace them later as if they had never been there.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_CONFIGURED = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER", "FASTAPI_OTEL_AUTO_CONFIGURE")
"""Environment variables by which the host says that it brings an SDK of its own."""

_TRACE = "opentelemetry.trace"
_METRICS = "opentelemetry.metrics"
_CONTEXT = "opentelemetry.context"


def host_configures() -> bool:
    """Whether the host's environment asks for providers of its own."""
    return any(os.environ.get(name, "").lower() not in {"", "false", "0"} for name in _CONFIGURED)


def install_tracer(trace: Any) -> bool:
    """Make our TracerProvider the global one of `trace`, the module; False where the host has one.

    Set without using up the one time that OpenTelemetry allows it: a host that sets its SDK's later gets it, and our
    tracers hand over to it.
    """
    if trace._TRACER_PROVIDER is not None or host_configures():  # noqa: SLF001  the API has no question for it
        return False
    from pitstop.instrument.otel import tracer  # noqa: PLC0415  OpenTelemetry is there now

    trace._TRACER_PROVIDER = tracer.TracerProvider(stands_in=True)  # noqa: SLF001
    return True


def install_meter(metrics: Any) -> bool:
    """Make our MeterProvider the global one of `metrics`, the module; False where the host has one."""
    inner = metrics._internal  # noqa: SLF001
    if inner._METER_PROVIDER is not None or host_configures():  # noqa: SLF001
        return False
    from pitstop.instrument.otel import meter  # noqa: PLC0415

    inner._METER_PROVIDER = provider = meter.MeterProvider()  # noqa: SLF001
    inner._PROXY_METER_PROVIDER.on_set_meter_provider(provider)  # noqa: SLF001
    return True


def quiet_fastapi(telemetry: Any) -> None:
    """Leave FastAPI's own telemetry off where it would only write to us: our middleware records the same request.

    It costs 105 µs a request, ours 5. Naming ``opentelemetry`` in the setting ``instrument`` switches it on.
    """
    from pitstop.instrument.live import NAMED  # noqa: PLC0415
    from pitstop.instrument.replacing import replace  # noqa: PLC0415

    def wrap(enabled: Any) -> Any:
        def asked(self: Any) -> bool:
            trace: Any = sys.modules[_TRACE]
            ours = getattr(trace._TRACER_PROVIDER, "stands_in", False)  # noqa: SLF001
            given = any(value is not None for name, value in self.config.items() if name.endswith("_provider"))
            return (given or not ours or "opentelemetry" in NAMED) and bool(enabled(self))

        return asked

    replace(telemetry.NativeTelemetry, "enabled", wrap)


def uninstall() -> None:
    """Take our providers away where they are still the global ones; instruments and tracers handed out do nothing."""
    modules: Any = sys.modules
    ours = __name__ + "."
    trace, metrics, context = (modules.get(name) for name in (_TRACE, _METRICS, _CONTEXT))
    if trace is not None and type(trace._TRACER_PROVIDER).__module__.startswith(ours):  # noqa: SLF001
        trace._TRACER_PROVIDER = None  # noqa: SLF001
    inner = metrics and metrics._internal  # noqa: SLF001
    if inner and type(inner._METER_PROVIDER).__module__.startswith(ours):  # noqa: SLF001
        inner._METER_PROVIDER = inner._PROXY_METER_PROVIDER._real_meter_provider = None  # noqa: SLF001
    if context is not None and type(context._RUNTIME_CONTEXT).__module__.startswith(ours):  # noqa: SLF001
        context._RUNTIME_CONTEXT = context._RUNTIME_CONTEXT.inner  # noqa: SLF001


def observed() -> dict[str, float]:
    """What the host's observable instruments say at this moment, by name of the gauge; nothing where there are none."""
    meter: Any = sys.modules.get(__name__ + ".meter")
    return meter.observe() if meter is not None else {}
