"""Pitstop: performance telemetry for Python web services, a few microseconds a request.

    import pitstop
    pitstop.init(service="shop", store="sqlite:///pitstop.db")
    app = pitstop.instrument(app)          # FastAPI, Starlette, Litestar, Flask, Django, any ASGI or WSGI
    with pitstop.span("price basket"): ...

Off until `init` or ``pitstop run -- CMD``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.app import flush, init, shutdown
from pitstop.model.version import __version__
from pitstop.record import Metric, Operation, Timer, count, current, gauge, recent, span, timeit

if TYPE_CHECKING:
    from pitstop.instrument.auto import instrument
else:
    from pitstop import instrument  # the package, which is callable: no type checker can know that

__all__ = [
    "Metric",
    "Operation",
    "Timer",
    "__version__",
    "count",
    "current",
    "flush",
    "gauge",
    "init",
    "instrument",
    "recent",
    "shutdown",
    "span",
    "timeit",
]
