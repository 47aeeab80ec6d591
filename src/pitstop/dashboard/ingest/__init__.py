"""OTLP over HTTP: what services in any language send becomes figures and traces of this dashboard's store.

OpenTelemetry Protocol 1.x, ``POST /v1/traces`` and ``/v1/metrics``, protobuf and JSON, gzip.
"""

from pitstop.dashboard.ingest.routes import router

__all__ = ["router"]
