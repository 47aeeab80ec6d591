"""What real clients do on a real server: a WebSocket's messages, and a connection that is reset amid the answer."""

from __future__ import annotations

import signal
import socket
import struct
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

MESSAGES = 25
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: close sends RST


def test_a_websockets_messages_and_its_close_code_are_recorded(serve: Callable[[list[str]], Server]) -> None:
    server = serve(["uvicorn", "mixed_service:app", "--port", "{port}"])
    for room in ("a", "b"):
        with connect(f"ws://127.0.0.1:{server.port}/echo/{room}") as socket_:
            for i in range(MESSAGES):
                socket_.send(str(i))
                assert socket_.recv(timeout=5) == f"{room}: {i}"
    with connect(f"ws://127.0.0.1:{server.port}/echo/c") as vanishing:
        vanishing.send("x")
        assert vanishing.recv(timeout=5) == "c: x"
        vanishing.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        vanishing.socket.shutdown(socket.SHUT_RD)  # its reading thread lets go of the socket
        with pytest.raises(ConnectionClosedError):  # without a close frame
            vanishing.recv(timeout=5)
    name = "WS /echo/{room}"
    expected = {(name, "1000"): 2, (name, "1005"): 1}  # uvicorn says 1005 where RFC 6455 has 1006
    assert server.counts_become(expected, kind="websocket") == expected
    server.stop(signal.SIGTERM, group=False)
    assert server.counts(kind="websocket") == expected
    stages = {("message received", "ok"): 2 * MESSAGES + 1, ("message sent", "ok"): 2 * MESSAGES + 1}
    assert server.counts(kind="stage") == stages


LEAVING = {
    "uvicorn": (["uvicorn", "mixed_service:app", "--port", "{port}"], "GET /slow"),
    "gunicorn": (["gunicorn", "-b", "127.0.0.1:{port}", "plain_service:slow_wsgi"], "(unmatched)"),
    "gunicorn gthread": (
        ["gunicorn", "-b", "127.0.0.1:{port}", "-k", "gthread", "plain_service:slow_wsgi"],
        "(unmatched)",
    ),
    "gunicorn uvicorn worker": (
        ["gunicorn", "-b", "127.0.0.1:{port}", "-k", "uvicorn_worker.UvicornWorker", "mixed_service:app"],
        "GET /slow",
    ),
}


@pytest.mark.parametrize("how", LEAVING)
def test_a_client_that_resets_the_connection_amid_the_answer_is_a_499(
    how: str, serve: Callable[[list[str]], Server]
) -> None:
    command, name = LEAVING[how]
    server = serve(command)
    for _ in range(3):
        client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
    expected = {(name, "499"): 3}
    assert server.counts_become(expected, within_s=10) == expected
    server.stop(signal.SIGTERM, group=False)
    assert server.counts() == expected
