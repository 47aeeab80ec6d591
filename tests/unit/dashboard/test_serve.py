"""`pitstop serve` says where it is once it answers there, and keeps house as long as it was told."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
import uvicorn

from pitstop.dashboard.mounting import retention_from_environment
from pitstop.dashboard.serve import _Announcing
from pitstop.model import SettingError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def test_the_address_is_said_when_a_request_is_answered() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    said: list[bool] = []
    server = _Announcing(uvicorn.Config(app, lifespan="off", log_level="error"), lambda: said.append(server.started))

    async def run() -> bytes:
        serving = asyncio.create_task(server.serve([listener]))
        while not said:
            assert not serving.done()
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        line = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        server.should_exit = True
        await serving
        return line

    assert asyncio.run(run()).startswith(b"HTTP/1.1 204")
    assert said == [True]


def test_a_mount_keeps_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert retention_from_environment() is None
    monkeypatch.setenv("PITSTOP_RETENTION_DAYS", "30")
    assert retention_from_environment() == 30 * 86_400
    monkeypatch.setenv("PITSTOP_RETENTION_DAYS", "a month")
    with pytest.raises(SettingError, match="a month"):
        retention_from_environment()
