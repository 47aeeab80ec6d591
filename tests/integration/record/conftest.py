"""Services with planted costs, under real servers and `pitstop run`, and what the store then says of them."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pitstop.app import open_store
from pitstop.model import Match, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.model import Profiles

SERVICES = Path(__file__).parent / "services"
SOURCE = Path(__file__).parents[3] / "src"
START_S = 30
STOP_S = 15
ALL = Window(0, 1 << 33)


class Served:
    """One running service; `end` stops it as an operator would, after which the store has everything."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, store: str) -> None:
        self.process = process
        self.port = port
        self.store = store

    def get(self, path: str) -> int:
        """The status of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()

    def get_at_once(self, *paths: str) -> None:
        """All of them at the same time, each in its thread."""
        threads = [threading.Thread(target=self.get, args=(path,)) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def wait_until_up(self) -> None:
        deadline_s = time.monotonic() + START_S
        while time.monotonic() < deadline_s:
            assert self.process.poll() is None, "the server ended by itself"
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.05)
        pytest.fail(f"no server on port {self.port} after {START_S} s")

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_S)

    def profiles(self) -> Profiles:
        store = open_store(self.store)
        try:
            return store.profiles(ALL)
        finally:
            store.close()

    def seconds(self, mode: str, route: str, part: str = "") -> float:
        """What is filed under that mode and route, in stacks that have `part`."""
        rows = self.profiles()
        return (
            sum(
                weight_ns
                for have, of, stack, weight_ns in zip(rows.mode, rows.route, rows.stack, rows.weight_ns, strict=True)
                if (have, of) == (mode, route) and part in stack
            )
            / 1e9
        )

    def children(self, kind: str) -> dict[tuple[str, str], tuple[int, float]]:
        """Count and seconds of that kind by (name, route)."""
        store = open_store(self.store)
        try:
            rows = store.rollups(ALL, Match(kind=kind), hist=False)
        finally:
            store.close()
        found: dict[tuple[str, str], tuple[int, float]] = {}
        for series, count, sum_ns in zip(rows.series, rows.count, rows.sum_ns, strict=True):
            before = found.get((series.name, series.parent), (0, 0.0))
            found[series.name, series.parent] = (before[0] + count, before[1] + sum_ns / 1e9)
        return found

    def took_s(self, route: str) -> float:
        """What requests of that route took together: however busy the machine is, what is found in them adds to it."""
        store = open_store(self.store)
        try:
            return sum(store.rollups(ALL, Match(kind="http", name=route), hist=False).sum_ns) / 1e9
        finally:
            store.close()

    def events(self, kind: str) -> list[str]:
        store = open_store(self.store)
        try:
            rows = store.events(ALL)
        finally:
            store.close()
        return [text for have, text in zip(rows.kind, rows.text, strict=True) if have == kind]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Start a command with ``{port}`` in it, recorded; whatever still runs is killed at the end."""
    started: list[Served] = []
    log = (tmp_path / "server.log").open("wb")

    def start(*command: str, **environment: str) -> Served:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{SOURCE}{os.pathsep}{SERVICES}",
            "PITSTOP_STORE": f"sqlite:///{tmp_path}/pitstop.db",
            "PITSTOP_SERVICE": "planted",
            "PITSTOP_OVERHEAD_BUDGET": "1",  # a loaded machine must not make it sample less
            **environment,
        }
        argv = [sys.executable, "-m", "pitstop.instrument.run", "--", *(part.format(port=port) for part in command)]
        process = subprocess.Popen(argv, env=env, cwd=SERVICES, stdout=log, stderr=log, start_new_session=True)
        served = Served(process, port, env["PITSTOP_STORE"])
        started.append(served)
        served.wait_until_up()
        served.get("/warm")  # the first request starts the threads
        return served

    try:
        yield start
    finally:
        for served in started:
            with suppress(ProcessLookupError):
                os.killpg(served.process.pid, signal.SIGKILL)
            served.process.wait(STOP_S)
        log.close()
