"""httpx (≥ 0.25), sync and async: every exchange one call; each redirection and authentication step is one, too."""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.outgoing import (
    TRACEPARENT,
    body_read,
    file_call,
    name_of,
    now_ns,
    traceparent_for,
)
from pitstop.record.recorder import RECORDER

_FILED = "_pitstop_filed"  # on a response's stream, until it is closed


def _begin(request: Any) -> tuple[str, int, bool]:
    """Name and start of a call, and whether its request carries a header of ours."""
    name, start_ns, told = "GET", now_ns(), False
    try:
        url = request.url
        host = url.host
        name = name_of(request.method, host, url.port)
        header = traceparent_for(host, start_ns)
        if header is not None and TRACEPARENT not in request.headers:
            request.headers[TRACEPARENT] = header
            told = True
    except Exception:  # noqa: BLE001  the host goes on
        fault("httpx.begin")
    return name, start_ns, told


def _end(call: tuple[str, int, bool], request: Any, response: Any) -> None:
    name, start_ns, told = call
    filed = file_call(name, None if response is None else response.status_code, start_ns)
    try:
        if told:  # a redirection copies the headers, and may lead to a host that is not to know
            request.headers.pop(TRACEPARENT, None)
        if filed is not None and response is not None:
            setattr(response.stream, _FILED, filed)
    except Exception:  # noqa: BLE001
        fault("httpx.end")


def _send(original: Any) -> Any:
    """For ``Client._send_single_request``."""

    def send_recorded(self: Any, request: Any) -> Any:
        if not RECORDER.on:
            return original(self, request)
        call, response = _begin(request), None
        try:
            response = original(self, request)
        finally:
            _end(call, request, response)
        return response

    return send_recorded


def _send_async(original: Any) -> Any:
    """For ``AsyncClient._send_single_request``."""

    async def send_recorded(self: Any, request: Any) -> Any:
        if not RECORDER.on:
            return await original(self, request)
        call, response = _begin(request), None
        try:
            response = await original(self, request)
        finally:
            _end(call, request, response)
        return response

    return send_recorded


def _close(original: Any) -> Any:
    """For ``close`` of the stream that httpx binds to a response: the body was read, or is not wanted."""

    def close_noted(self: Any) -> Any:
        body_read(vars(self).pop(_FILED, None))
        return original(self)

    return close_noted


POINTS = (
    ("Client", "_send_single_request", _send),
    ("AsyncClient", "_send_single_request", _send_async),
    ("BoundSyncStream", "close", _close),
    ("BoundAsyncStream", "aclose", _close),
)


def attach(module: Any) -> None:
    """Record what ``httpx._client`` sends from now on."""
    replacing.attach(module, POINTS)


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS)
