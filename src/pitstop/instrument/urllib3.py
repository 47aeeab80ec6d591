"""urllib3 (≥ 2.0; 1.26 without the body's time), and hence requests: every exchange one call, retries included."""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.outgoing import (
    TRACEPARENT,
    body_read,
    file_call,
    has_traceparent,
    name_of,
    now_ns,
    traceparent_for,
)
from pitstop.record.recorder import RECORDER

_FILED = "_pitstop_filed"  # on a response, until its connection is given back


def _target(pool: Any, url: Any) -> tuple[str, int | None]:
    """Host and port asked; through a plain proxy the URL has them, and the pool is the proxy's."""
    if isinstance(url, str) and url[:7].lower() == "http://":
        from urllib.parse import urlsplit  # noqa: PLC0415  through a proxy only

        parts = urlsplit(url)
        return parts.hostname or "", parts.port
    return pool.host, pool.port


def _make_request(original: Any) -> Any:
    """For ``HTTPConnectionPool._make_request(conn, method, url, …)``."""

    def request_recorded(self: Any, conn: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return original(self, conn, method, url, *args, **kwargs)
        name, start_ns, response = "GET", now_ns(), None
        try:
            host, port = _target(self, url)
            name = name_of(method, host, port)
            header = traceparent_for(host, start_ns)
            headers = kwargs.get("headers")
            if header is not None and headers is not None and not has_traceparent(headers):
                kwargs["headers"] = headers = headers.copy()  # the host's own go on to where a redirection leads
                headers[TRACEPARENT] = header
        except Exception:  # noqa: BLE001  the host goes on
            fault("urllib3.begin")
        try:
            response = original(self, conn, method, url, *args, **kwargs)
        finally:
            filed = file_call(name, getattr(response, "status", None), start_ns)
            if (
                filed is not None and getattr(response, "_connection", None) is not None
            ):  # else the body is here already
                setattr(response, _FILED, filed)
        return response

    return request_recorded


def _release(original: Any) -> Any:
    """For ``HTTPResponse.release_conn``, called when the body is read."""

    def release_noted(self: Any) -> Any:
        filed = vars(self).pop(_FILED, None)
        if filed is not None:
            body_read(filed)
        return original(self)

    return release_noted


POINTS = {
    "urllib3.connectionpool": (("HTTPConnectionPool", "_make_request", _make_request),),
    "urllib3.response": (("HTTPResponse", "release_conn", _release),),
}


def attach(module: Any) -> None:
    """Record what `module`, one of `POINTS`, sends and reads from now on."""
    replacing.attach(module, POINTS[module.__name__])


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS[module.__name__])
