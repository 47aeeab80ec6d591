"""Pooled clients against a real server: connections are used again, waits are bounded, forks and loops kept apart."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import sys
import threading
import time
import weakref
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pitstop.model.errors import SettingError
from pitstop.record.recorder import Recorder
from pitstop.tune.http import Retries, aclient, client, get_metrics

if TYPE_CHECKING:
    from collections.abc import Iterator


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # 5 lets SYNs be dropped, which are repeated after a second

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.connections = 0
        self.asked: Counter[str] = Counter()
        self.reached = threading.Event()
        self.hold = threading.Event()
        self.hold.set()
        self.ended = threading.Event()
        self.open = 0
        self.turn = threading.Condition()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.name = f"127.0.0.1:{self.server_port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        with self.turn:
            self.open += 1
        super().process_request(request, client_address)

    def close_request(self, request: Any) -> None:
        super().close_request(request)
        with self.turn:
            self.open -= 1
            self.turn.notify_all()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked[self.path] += 1
        if self.path == "/held":
            self.server.reached.set()
            self.server.hold.wait(10)
        if self.path == "/cut" and self.server.asked[self.path] < 2:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == "/dripping" and self.server.asked[self.path] < 2:
            self.send_response(503)
            self.send_header("Content-Length", "200")
            self.end_headers()
            for _ in range(200):
                try:
                    self.wfile.write(b"x")
                except OSError:
                    break
                if self.server.ended.wait(0.05):
                    break
            self.close_connection = True
            return
        if self.path == "/unpackable" and self.server.asked[self.path] < 2:
            self.send_response(503)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"no")
            return
        status = 503 if self.path == "/busy" and self.server.asked[self.path] < 3 else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_GET  # noqa: N815  http.server's name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.hold.set()
        server.ended.set()
        server.shutdown()
        thread.join()


def test_threads_share_connections_and_their_use_is_counted(server: Server) -> None:
    with client(server.url, max_connections=4, max_keepalive=4) as http:

        def ask() -> None:
            for _ in range(10):
                assert http.get("/").text == "ok"

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    counts = get_metrics()[server.name]
    assert counts["requests"] == 80
    assert 1 <= counts["opened"] == server.connections <= 4
    assert counts["reused"] == 80 - counts["opened"]
    assert counts["in_use"] == 0


def test_a_client_of_asyncio_serves_one_event_loop_after_another(server: Server) -> None:
    http = aclient(server.url)

    async def ask() -> list[str]:
        answers = await asyncio.gather(*(http.get("/") for _ in range(20)))
        answers.append(await http.get("/"))
        await http._transport.aclose()  # the pool of this loop; the client itself lives on
        return [answer.text for answer in answers]

    assert asyncio.run(ask()) == ["ok"] * 21
    assert asyncio.run(ask()) == ["ok"] * 21
    counts = get_metrics()[server.name]
    assert counts["opened"] == server.connections
    assert counts["opened"] + counts["reused"] == counts["requests"] == 42
    assert counts["in_use"] == 0


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_event_loops_that_are_gone_are_let_go_of_with_their_sockets(server: Server) -> None:
    http = aclient(server.url)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def ask() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await asyncio.gather(*(http.get("/") for _ in range(3)))

    gc.disable()  # sockets are closed, whether or not it runs
    try:
        for _ in range(5):
            asyncio.run(ask())
            with server.turn:
                assert server.turn.wait_for(lambda: server.open <= 3, 10)
    finally:
        gc.enable()
    gc.collect()
    assert [loop() is not None for loop in loops] == [False] * 4 + [True]


@pytest.mark.parametrize("path", ["/busy", "/cut"])
def test_an_answer_that_asks_for_it_is_tried_again_on_the_same_connection(server: Server, path: str) -> None:
    with client(server.url) as http:
        assert http.get(path).text == "ok"
    assert server.connections == (1 if path == "/busy" else 2)
    assert get_metrics()[server.name]["retries"] == (2 if path == "/busy" else 1)

    async def ask() -> str:
        async with aclient(server.url) as http:
            return (await http.get(path)).text

    server.asked.clear()
    assert asyncio.run(ask()) == "ok"


@pytest.mark.parametrize("colour", ["sync", "asyncio"])
def test_an_answer_that_drips_is_let_go_of_before_the_next_try(server: Server, colour: str) -> None:
    retries = Retries(total_s=20)

    async def ask() -> str:
        async with aclient(server.url, retries=retries) as http:
            return (await http.get("/dripping")).text

    begun_s = time.monotonic()
    if colour == "sync":
        with client(server.url, retries=retries) as http:
            assert http.get("/dripping").text == "ok"
    else:
        assert asyncio.run(ask()) == "ok"
    assert time.monotonic() - begun_s < 5  # it drips for ten
    assert server.connections == 2


def test_what_is_let_go_of_is_not_unpacked(server: Server) -> None:
    with client(server.url) as http:
        assert http.get("/unpackable").text == "ok"
    assert server.connections == 1


def test_what_is_not_idempotent_is_sent_once(server: Server) -> None:
    with client(server.url) as http:
        assert http.post("/busy", content=b"").status_code == 503
        with pytest.raises(httpx.RemoteProtocolError):
            http.post("/cut", content=b"")
    assert server.asked == {"/busy": 1, "/cut": 1}
    assert get_metrics()[server.name]["errors"] == 1


def test_who_finds_no_free_connection_waits_no_longer_than_allowed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    recorder.on = True
    monkeypatch.setattr(sys.modules["pitstop.record.leaf"], "RECORDER", recorder)
    server.hold.clear()
    with client(server.url, max_connections=1, max_keepalive=1, pool_s=0.05, retries=0) as http:
        held = threading.Thread(target=http.get, args=("/held",))
        held.start()
        server.reached.wait()
        with pytest.raises(httpx.PoolTimeout):
            http.get("/")
        server.hold.set()
        held.join()
        assert http.get("/").text == "ok"
    counts = get_metrics()[server.name]
    assert (counts["timeouts"], counts["waits"], counts["in_use"]) == (1, 1, 0)
    waits = [record for record in recorder.drain().records if record[1] == "pool_wait"]
    assert [(record[2], record[4]) for record in waits] == [(f"http {server.name}", "error")]


def test_a_hung_server_costs_the_timeout_and_no_more(server: Server) -> None:
    server.hold.clear()
    with (
        client(server.url, timeout_s=0.05, retries=Retries(most=5, total_s=0.2)) as http,
        pytest.raises(httpx.ReadTimeout),
    ):
        http.get("/held")
    assert 2 <= server.asked["/held"] <= 5
    assert get_metrics()[server.name]["in_use"] == 0


def test_a_cancelled_call_gives_its_connection_back(server: Server) -> None:
    server.hold.clear()

    async def run() -> None:
        async with aclient(server.url, max_connections=1, max_keepalive=1) as http:
            call = asyncio.create_task(http.get("/held"))
            await asyncio.to_thread(server.reached.wait)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            server.hold.set()
            assert (await http.get("/")).text == "ok"

    asyncio.run(run())
    assert get_metrics()[server.name]["in_use"] == 0


def test_a_child_opens_connections_of_its_own(server: Server) -> None:
    http = client(server.url)
    assert http.get("/").text == "ok"
    pid = os.fork()
    if not pid:
        try:
            fine = http.get("/").text == "ok" and get_metrics()[server.name]["opened"] == 1
        except BaseException:  # noqa: BLE001  the child only tells
            fine = False
        os._exit(0 if fine else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert http.get("/").text == "ok"
    assert server.connections == 2
    http.close()


def test_a_streamed_body_is_in_use_until_it_is_closed_and_the_callers_trace_is_heard(server: Server) -> None:
    heard: list[str] = []
    with client(server.url) as http:
        with http.stream("GET", "/", extensions={"trace": lambda event, _: heard.append(event)}) as response:
            assert get_metrics()[server.name]["in_use"] == 1
            assert b"".join(response.iter_bytes()) == b"ok"
        assert get_metrics()[server.name]["in_use"] == 0
    assert "connection.connect_tcp.complete" in heard


def test_the_trusted_certificates_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    client().close()
    monkeypatch.setattr(ssl, "create_default_context", lambda *_, **__: pytest.fail("read again"))
    client().close()


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SettingError, match="max_connections=0"):
        client(max_connections=0)
    with pytest.raises(SettingError, match="max_keepalive=5"):
        aclient(max_connections=2, max_keepalive=5)
