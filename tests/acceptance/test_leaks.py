"""Five planted leaks are named, five healthy services are left alone: real servers under traffic, side by side."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pitstop.app import open_store
from pitstop.model import Window
from pitstop.model.tuned import LEAK_REPORT
from shop.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

APPS = Path(__file__).parent / "apps"
SOURCE = APPS / "memory_services.py"
START_S = 60.0
TRAFFIC_S = 34.0  # with time 240 times as fast, more than two hours
RATE_HZ = 50.0
BURST_EVERY = 150
BURST_BYTES = 6_000_000

LEAKS = {  # what has to be named: the type, the container, or the line
    "cycle_with_del": "memory_services.Session",
    "global_list": "memory_services.VISITS: list of memory_services.Visit",
    "unbounded_cache": "memory_services.PRICES.entries: dict of bytes",
    "kept_tracebacks": "# the line to be found",
    "c_buffer": "# the other line to be found",
}
HEALTHY = ("bounded_lru", "batch", "cycles", "warm_up", "big_bodies")


class Seen(NamedTuple):
    """What the store has of one service at the end."""

    leaks: dict[str, dict[str, object]]
    events: list[str]


class _Traffic(threading.Thread):
    """One client at a steady rate; every so often a burst of large bodies where the service wants them."""

    def __init__(self, port: int, bursts: bool) -> None:
        super().__init__()
        self.port, self.bursts = port, bursts
        self.failed: list[object] = []

    def run(self) -> None:
        began_s, sent = time.monotonic(), 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while time.monotonic() - began_s < TRAFFIC_S:
            time.sleep(max(0.0, began_s + sent / RATE_HZ - time.monotonic()))
            sent += 1
            big = self.bursts and sent % BURST_EVERY < 5
            body = b"line of a body\n" * (BURST_BYTES // 15) if big else b""
            connection.request("POST", f"/{sent}", body=body)
            with connection.getresponse() as response:
                response.read()
                if response.status != 200:
                    self.failed.append(response.status)
        connection.close()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Seen]:
    """All ten, run at the same time."""
    folder = tmp_path_factory.mktemp("leaks")
    services = (*LEAKS, *HEALTHY)
    children: dict[str, tuple[Child, int]] = {}
    with ExitStack() as running:
        for name in services:
            port = free_port(0)
            environment = dict(os.environ)
            if name == "c_buffer":  # its line is found by tracing, which leaves coverage's tracer alone
                environment = {key: value for key, value in environment.items() if not key.startswith("COVERAGE")}
            children[name] = (
                Child(
                    name,
                    [
                        sys.executable, "-m", "pitstop", "run", "--service", name,
                        "--store", f"sqlite:///{folder / name}.db", "--",
                        sys.executable, "-m", "uvicorn", "memory_services:app", "--port", str(port), "--no-access-log",
                    ],
                    folder / f"{name}.log",
                    environment | {"SERVICE": name, "PITSTOP_PROFILE_HZ": "0"},
                    APPS,
                ),
                port,
            )  # fmt: skip
            running.callback(children[name][0].stop)
        for child, port in children.values():
            assert child.answers(port, START_S), child.last_lines()
        traffic = [_Traffic(port, name == "big_bodies") for name, (_, port) in children.items()]
        for each in traffic:
            each.start()
        for each in traffic:
            each.join()
            assert not each.failed
    return {name: _read(folder / f"{name}.db") for name in services}


def _read(path: Path) -> Seen:
    store = open_store(f"sqlite:///{path}", readonly=True)
    try:
        window = Window(0, int(time.time()) + 60)
        rows = store.reports(window, kind=LEAK_REPORT)
        events = store.events(window)
        return Seen(
            {name: json.loads(body) for name, body in zip(rows.name, rows.body, strict=True)},
            [text for kind, text in zip(events.kind, events.text, strict=True) if kind == "leak"],
        )
    finally:
        store.close()


def _line_of(mark: str) -> str:
    [number] = [n for n, line in enumerate(SOURCE.read_text().splitlines(), 1) if line.endswith(mark)]
    return f"memory_services.py:{number}"


@pytest.mark.parametrize("service", LEAKS)
def test_a_planted_leak_is_named_in_the_store(seen: Mapping[str, Seen], service: str) -> None:
    found = seen[service]
    assert len(found.leaks) == 1, found
    [(name, body)] = found.leaks.items()
    wanted = LEAKS[service]
    if wanted.startswith("#"):
        assert str(body["line"]).endswith(_line_of(wanted)), found
    else:
        assert wanted in name, found
    assert found.events, found
    assert name in found.events[0], found


@pytest.mark.parametrize("service", HEALTHY)
def test_a_healthy_service_is_left_alone(seen: Mapping[str, Seen], service: str) -> None:
    assert seen[service].leaks == {}
    assert seen[service].events == []
