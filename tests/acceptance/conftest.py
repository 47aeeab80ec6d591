"""A service under `pitstop run`, a client outside of it, and what was stored."""

from __future__ import annotations

import http.client
import os
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pitstop.app import open_store
from pitstop.model import Match, Rollups, StoreError, Window
from pitstop.model.series import HTTP
from shop.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

APPS = Path(__file__).parent / "apps"
ROOT = Path(__file__).parents[2]
START_S = 60.0
STORED_S = 15.0  # a flush takes a second; the machine may be busy


class Answer(NamedTuple):
    """What came back for one request, and when, by the client's monotonic clock."""

    name: str
    status: int
    pid: int
    at_s: float


class Service:
    """A server that `command` starts, recorded into a fresh SQLite store. ``{port}`` in `command` is filled in."""

    def __init__(self, folder: Path, command: Sequence[str], environment: dict[str, str]) -> None:
        self.store = f"sqlite:///{folder / 'pitstop.db'}"
        self.port = free_port(0)
        recorded = [part.format(port=self.port) for part in command]
        self.child = Child(
            "service",
            [sys.executable, "-m", "pitstop", "run", "--service", "tried", "--store", self.store, "--", *recorded],
            folder / "service.log",
            os.environ | environment,
            APPS,
        )
        assert self.child.answers(self.port, START_S), self.child.last_lines()

    def ask(self, requests: Sequence[tuple[str, str, str]], threads: int = 8) -> list[Answer]:
        """Send (method, path, name) by some threads, a new connection now and then; the answers, in any order."""
        answers: list[Answer] = []
        waiting = iter(list(requests))
        lock = threading.Lock()

        def send() -> None:
            sent = 0
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            while True:
                with lock:
                    request = next(waiting, None)
                if request is None:
                    break
                method, path, name = request
                if sent % 10 == 0:
                    connection.close()
                sent += 1
                connection.request(method, path, headers={"Content-Length": "0"} if method == "POST" else {})
                with connection.getresponse() as response:
                    response.read()
                    pid = int(response.getheader("X-Pid", "0"))
                    answers.append(Answer(name, response.status, pid, time.monotonic()))
                if response.status >= http.client.INTERNAL_SERVER_ERROR:
                    connection.close()  # uvicorn hangs up after an exception, without saying so
            connection.close()

        senders = [threading.Thread(target=send) for _ in range(threads)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        return answers

    def rollups(self) -> Rollups:
        """Everything stored of HTTP requests."""
        store = open_store(self.store, readonly=True)
        try:
            return store.rollups(Window(0, int(time.time()) + 60), Match(kind=HTTP))
        except StoreError:
            return Rollups()  # the first flush is still to come, or under way
        finally:
            store.close()

    def stored(self) -> Counter[tuple[str, int]]:
        """How many requests of each name and status are stored."""
        return counted(self.rollups())

    def stored_becomes(self, want: Counter[tuple[str, int]]) -> bool:
        """Whether exactly `want` is stored soon, while the service runs."""
        deadline_s = time.monotonic() + STORED_S
        while self.stored() != want:
            if time.monotonic() > deadline_s:
                return False
            time.sleep(0.1)
        return True


def counted(rollups: Rollups) -> Counter[tuple[str, int]]:
    """Requests by name and status."""
    counts: Counter[tuple[str, int]] = Counter()
    for series, count in zip(rollups.series, rollups.count, strict=True):
        counts[series.name, int(series.outcome)] += count
    return counts


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service: ``serve("uvicorn", "app:app", "--port", "{port}", LEDGER="…")``; stopped after the test."""
    with ExitStack() as running:

        def start(*command: str, **environment: str) -> Service:
            service = Service(tmp_path, (sys.executable, "-m", *command), environment)
            running.callback(service.child.stop)
            return service

        yield start
