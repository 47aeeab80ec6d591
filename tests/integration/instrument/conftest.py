"""Real servers as subprocesses under `pitstop run`, asked by a client outside of them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pitstop.app import open_store
from pitstop.model import Match, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SERVICES = Path(__file__).parent / "services"
SOURCE = Path(__file__).parents[3] / "src"
START_S = 30
STOP_S = 15
AGAIN_S = 4  # after which one presses Ctrl-C again; an end takes 2 s at the most


class Server:
    """One running server; `get` asks it, `counts` is what the store says it has answered."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, store: str) -> None:
        self.process = process
        self.port = port
        self.store = store

    def get(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Status and body of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def wait_until_up(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, "the server ended by itself"
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        pytest.fail(f"no server on port {self.port} after {START_S} s")

    def stop(self, signal_number: int, *, group: bool) -> int:
        """End it as an operator or, with `group`, a terminal would; its exit code."""
        if group:
            os.killpg(self.process.pid, signal_number)
        else:
            self.process.send_signal(signal_number)
        if signal_number == signal.SIGINT:  # wsgiref takes an interrupt within a request for the request's failure
            with suppress(subprocess.TimeoutExpired):
                return self.process.wait(AGAIN_S)
            os.killpg(self.process.pid, signal_number)
        return self.process.wait(STOP_S)

    def counts(self, kind: str = "http") -> Counter[tuple[str, str]]:
        """Requests, or what else is of `kind`, by (name, outcome)."""
        store = open_store(self.store)
        try:
            rows = store.rollups(Window(0, int(time.time()) + 10), Match(kind=kind), hist=False)
        finally:
            store.close()
        counts: Counter[tuple[str, str]] = Counter()
        for series, count in zip(rows.series, rows.count, strict=True):
            counts[series.name, series.outcome] += count
        return counts

    def counts_become(
        self, expected: dict[tuple[str, str], int], within_s: float = 5, kind: str = "http"
    ) -> Counter[tuple[str, str]]:
        """What is stored, as soon as it is `expected` or time is up."""
        deadline_s = time.monotonic() + within_s
        while (counts := self.counts(kind)) != expected and time.monotonic() < deadline_s:
            time.sleep(0.1)
        return counts


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[list[str]], Server]]:
    """Start a command with ``{port}`` in it, recorded; whatever still runs is killed at the end."""
    servers: list[Server] = []
    log = (tmp_path / "server.log").open("wb")

    def start(command: list[str], *, recorded: bool = True, **environment: str) -> Server:
        port = free_port()
        store = f"sqlite:///{tmp_path}/pitstop.db"
        bin_folder = Path(sys.executable).parent
        argv = [part.format(port=port) for part in command]
        if recorded:
            argv = [sys.executable, "-m", "pitstop.instrument.run", "--", *argv]
        env = os.environ | {
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{SOURCE}{os.pathsep}{SERVICES}",
            "PITSTOP_STORE": store,
            "PITSTOP_SERVICE": "matrix",
            "PITSTOP_OVERHEAD_BUDGET": "1",  # a loaded machine must not make it sample
            **environment,
        }
        process = subprocess.Popen(argv, env=env, cwd=SERVICES, stdout=log, stderr=log, start_new_session=True)
        server = Server(process, port, store)
        servers.append(server)
        server.wait_until_up()
        return server

    try:
        yield start
    finally:
        for server in servers:
            with suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait(STOP_S)
        log.close()
