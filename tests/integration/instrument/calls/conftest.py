"""Real servers for outgoing calls, started once, and what was recorded of calls to them."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pitstop.instrument import hooks
from pitstop.model.record import Child, Record
from pitstop.record import RECORDER, Operation
from pitstop.record.operation import reset_current, set_current

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_S = 15
SERVICES = Path(__file__).parents[1] / "services"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s:
        assert process.poll() is None, f"{process.args!r} ended by itself"
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.02)
    pytest.fail(f"nothing listens on port {port} after {START_S} s")


@contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[int]:
    """`command` until the end of the block; answers `port` once it listens."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: scripts/debian")
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds one."""
    return _free_port


@pytest.fixture(scope="session")
def running() -> Callable[..., object]:
    """Runs a server for a block."""
    return _running


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis of the test's own."""
    port = _free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with _running(command, port, tmp_path_factory.mktemp("redis")):
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture(scope="session")
def redis_cluster_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A cluster of one node that has every slot."""
    import redis  # noqa: PLC0415

    port = _free_port()
    command = [
        "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--cluster-enabled", "yes",
        "--cluster-port", str(_free_port()),
    ]  # fmt: skip
    with _running(command, port, tmp_path_factory.mktemp("cluster")):
        client = redis.Redis(port=port)
        client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        deadline_s = time.monotonic() + START_S
        while client.cluster("info")["cluster_state"] != "ok":
            assert time.monotonic() < deadline_s, "the cluster does not come up"
            time.sleep(0.02)
        client.close()
        yield port


@pytest.fixture(scope="session")
def memcached_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """A memcached of the test's own."""
    port = _free_port()
    command = ["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(port)]
    with _running(command, port, tmp_path_factory.mktemp("memcached")):
        yield "127.0.0.1", port


@pytest.fixture(scope="session")
def upstream() -> Iterator[int]:
    """The port of a service that tells what headers it got."""
    port = _free_port()
    command = [
        sys.executable, "-m", "uvicorn", "upstream_service:app", "--port", str(port), "--log-level", "error",
        "--app-dir", str(SERVICES),
    ]  # fmt: skip
    with _running(command, port, SERVICES):
        yield port


@pytest.fixture
def hooked() -> Iterator[Callable[..., None]]:
    """Attach integrations by name, in this process, with the recorder on; off again at the end."""
    RECORDER.drain()
    RECORDER.on = True

    def attach(*names: str) -> None:
        hooks.install(names)

    try:
        yield attach
    finally:
        RECORDER.on = False
        hooks.remove()
        RECORDER.drain()


class Recorded:
    """What was recorded below a root while a block ran."""

    def __init__(self) -> None:
        self.root: Record | None = None
        self.children: list[Child] = []

    def counts(self, *kinds: str) -> Counter[str]:
        """Operations by name."""
        return Counter(child.name for child in self.children if child.kind in kinds)

    def outcomes(self, kind: str) -> Counter[tuple[str, str]]:
        """Operations by name and outcome."""
        return Counter((child.name, child.outcome) for child in self.children if child.kind == kind)


class Request(Operation):
    """What the adapters make of a request, with a Host header."""

    host = "127.0.0.1:8000"


@contextmanager
def request(kind: str = "http", host: str = "127.0.0.1:8000", traceparent: bytes | None = None) -> Iterator[Recorded]:
    """Run a block as a request does, and tell what was recorded in it."""
    RECORDER.drain()
    recorded = Recorded()
    root = Request(kind, time.perf_counter_ns())
    root.name = "GET /"
    root.host, root.traceparent = host, traceparent
    token = set_current(root)
    try:
        yield recorded
    finally:
        reset_current(token)
        RECORDER.finish(root, time.perf_counter_ns())
        for fields in RECORDER.drain().records:
            record = Record._make(fields)
            if record.kind == kind:
                recorded.root = record
            recorded.children += [Child._make(child) for child in record.children or ()]


@pytest.fixture
def in_request() -> Callable[..., object]:
    """See `request`."""
    return request
