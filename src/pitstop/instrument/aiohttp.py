"""aiohttp's client (≥ 3.9): every exchange one call, connecting included; each redirection is one, too."""

from __future__ import annotations

from typing import Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.outgoing import TRACEPARENT, body_read, file_call, name_of, now_ns, traceparent_for
from pitstop.record.recorder import RECORDER

_START = "_pitstop_start_ns"  # on a request, from connecting to its end
_FILED = "_pitstop_filed"  # on a response, until its connection is given back
_NAME = "_pitstop_name"


def _name(request: Any) -> str:
    url = request.url
    return name_of(request.method, url.host or "", url.port)


def _connect(original: Any) -> Any:
    """For ``BaseConnector.connect(req, …)``: a call begins; where nobody answers, it ends here."""

    async def connect_recorded(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
        if not RECORDER.on:
            return await original(self, req, *args, **kwargs)
        start_ns = now_ns()
        try:
            connection = await original(self, req, *args, **kwargs)
        except BaseException:
            file_call(_name(req), None, start_ns)
            raise
        setattr(req, _START, start_ns)
        return connection

    return connect_recorded


def _send(original: Any) -> Any:
    """For ``ClientRequest.send(conn)``: sends, and makes the response that `_start` then waits for."""

    async def send_recorded(self: Any, conn: Any) -> Any:
        if not RECORDER.on:
            return await original(self, conn)
        start_ns = vars(self).pop(_START, 0) or now_ns()
        name = ""
        try:
            name = _name(self)
            header = traceparent_for(self.url.host or "", start_ns)
            if header is not None and TRACEPARENT not in self.headers:
                self.headers[TRACEPARENT] = header
        except Exception:  # noqa: BLE001  the host goes on
            fault("aiohttp.send")
        try:
            response = await original(self, conn)
        except BaseException:
            file_call(name, None, start_ns)
            raise
        setattr(response, _START, start_ns)
        setattr(response, _NAME, name)
        return response

    return send_recorded


def _start(original: Any) -> Any:
    """For ``ClientResponse.start(connection)``: the headers come."""

    async def start_recorded(self: Any, connection: Any) -> Any:
        start_ns = vars(self).pop(_START, 0)
        if not start_ns:
            return await original(self, connection)
        status = None
        try:
            answer = await original(self, connection)
            status = self.status
        finally:
            filed = file_call(vars(self).pop(_NAME, ""), status, start_ns)
            if getattr(self, "_connection", None) is not None:  # else the body is here already
                setattr(self, _FILED, filed)
        return answer

    return start_recorded


def _release(original: Any) -> Any:
    """For ``ClientResponse._release_connection``, called when the body is read or not wanted."""

    def release_noted(self: Any) -> Any:
        filed = vars(self).pop(_FILED, None)
        if filed is not None:
            body_read(filed)
        return original(self)

    return release_noted


POINTS = {
    "aiohttp.connector": (("BaseConnector", "connect", _connect),),
    "aiohttp.client_reqrep": (
        ("ClientRequest", "send", _send),
        ("ClientResponse", "start", _start),
        ("ClientResponse", "_release_connection", _release),
    ),
}


def attach(module: Any) -> None:
    """Record what `module`, one of `POINTS`, sends and reads from now on."""
    replacing.attach(module, POINTS[module.__name__])


def detach(module: Any) -> None:
    """Leave it as it was."""
    replacing.detach(module, POINTS[module.__name__])
