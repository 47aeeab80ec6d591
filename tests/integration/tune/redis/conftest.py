"""Redis servers that tests may kill, stop and restart: one, one with sentinels, a 3+3 cluster; a proxy that cuts."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import hiredis
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

START_S = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(true: Callable[[], Any], what: str, timeout_s: float = START_S) -> Any:
    """The first true answer."""
    end_s = time.monotonic() + timeout_s
    while True:
        with suppress(OSError):
            if answer := true():
                return answer
        assert time.monotonic() < end_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


@pytest.fixture(name="until", scope="session")
def _until() -> Callable[..., Any]:
    """See `until`."""
    return until


class Server:
    """One `redis-server`; its port stays when it is restarted."""

    def __init__(self, folder: Path, *options: str, sentinel: str = "") -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir(parents=True)
        self.command = ["redis-server"]
        if sentinel:
            config = self.folder / "sentinel.conf"
            config.write_text(sentinel)
            self.command += [str(config), "--sentinel"]
        self.command += [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self.folder),
            *options,
        ]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until(lambda: self.say("PING"), f"{self.command} listens: {(self.folder / 'log').read_text()[-500:]}")
        return self

    def say(self, *command: object) -> Any:
        """One command on a connection of its own."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as to:
            to.sendall(hiredis.pack_command(tuple(map(str, command))))
            reader = hiredis.Reader(notEnoughData=Ellipsis)
            while (reply := reader.gets()) is Ellipsis:
                data = to.recv(65536)
                if not data:
                    raise ConnectionError
                reader.feed(data)
        return reply

    def info(self, section: str) -> dict[str, str]:
        lines = self.say("INFO", section).decode().splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed, and CI=true allows no test to be skipped: scripts/debian")
        pytest.skip("redis-server is not installed: scripts/debian")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One of the test's own, which it may treat as it likes."""
    one = Server(tmp_path).start()
    try:
        yield one
    finally:
        one.kill()


class Guarded:
    """A primary, two replicas, and three sentinels that fail over within a second."""

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(folder, "--repl-diskless-sync-delay", "0").start()]
        follow = ("--replicaof", "127.0.0.1", str(self.servers[0].port), "--repl-diskless-sync-delay", "0")
        self.servers += [Server(folder, *follow).start() for _ in range(2)]
        for replica in self.servers[1:]:
            until(
                lambda replica=replica: replica.info("replication")["master_link_status"] == "up", "the replica follows"
            )
        told = (
            f"sentinel monitor shop 127.0.0.1 {self.servers[0].port} 2\n"
            "sentinel down-after-milliseconds shop 400\nsentinel failover-timeout shop 1000\n"
        )
        self.sentinels = [Server(folder, sentinel=told).start() for _ in range(3)]
        until(
            lambda: all(s.info("sentinel")["master0"].endswith("slaves=2,sentinels=3") for s in self.sentinels),
            "the sentinels know one another",
        )

    @property
    def url(self) -> str:
        return f"redis+sentinel://{','.join(f'127.0.0.1:{s.port}' for s in self.sentinels)}/shop"

    def primary(self) -> Server:
        port = int(self.sentinels[0].say("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "shop")[1])
        return next(server for server in self.servers if server.port == port)

    def kill(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.kill()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Guarded]:
    with ExitStack() as stack:
        guarded = Guarded(tmp_path)
        stack.callback(guarded.kill)
        yield guarded


class Ring:
    """A cluster of three primaries with a replica each."""

    def __init__(self, folder: Path) -> None:
        options = (
            "--cluster-enabled", "yes", "--cluster-node-timeout", "600", "--cluster-replica-validity-factor", "0",
            "--repl-diskless-sync-delay", "0", "--cluster-allow-replica-migration", "no",
        )  # fmt: skip
        self.servers = [Server(folder, *options, "--cluster-port", str(free_port())).start() for _ in range(6)]
        shares = ((0, 5460), (5461, 10922), (10923, 16383))
        for epoch, one in enumerate(self.servers, 1):
            one.say("CLUSTER", "SET-CONFIG-EPOCH", epoch)
            if epoch <= 3:
                one.say("CLUSTER", "ADDSLOTSRANGE", *shares[epoch - 1])
            if epoch > 1:
                first = self.servers[0]
                bus = first.command[first.command.index("--cluster-port") + 1]
                one.say("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
        until(lambda: all(s.say("CLUSTER", "NODES").count(b"\n") == 6 for s in self.servers), "all know all")
        ids = [one.say("CLUSTER", "MYID").decode() for one in self.servers]
        for one, primary in zip(self.servers[3:], ids, strict=False):
            until(lambda one=one, primary=primary: one.say("CLUSTER", "REPLICATE", primary) == b"OK", "it replicates")
        until(self.whole, "the cluster is whole", 20)

    def whole(self) -> bool:
        for one in self.servers:
            if one.process is None:
                continue
            if b"cluster_state:ok" not in one.say("CLUSTER", "INFO"):
                return False
            lines = one.info("replication")
            if lines["role"] == "slave" and lines["master_link_status"] != "up":
                return False
        return True

    @property
    def url(self) -> str:
        return f"redis+cluster://{','.join(f'127.0.0.1:{s.port}' for s in self.servers)}"

    def kill(self) -> None:
        for one in self.servers:
            one.kill()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    """One of the test's own, which it may treat as it likes."""
    with ExitStack() as stack:
        ring = Ring(tmp_path)
        stack.callback(ring.kill)
        yield ring


@pytest.fixture(scope="session")
def quiet_ring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """One for tests that leave it as it is."""
    with ExitStack() as stack:
        ring = Ring(tmp_path_factory.mktemp("ring"))
        stack.callback(ring.kill)
        yield ring


class Proxy(socketserver.ThreadingTCPServer):
    """Passes bytes on to a server, of its answers only `cut_at` on each connection: then it cuts, or falls silent."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.to = ("127.0.0.1", port)
        self.cut_at: int | None = None
        self.stalls = False
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.server_address[1]}/0"


class _Passing(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        proxy = self.server
        with suppress(OSError), socket.create_connection(proxy.to) as to:
            back = threading.Thread(target=self._back, args=(to,), daemon=True)
            back.start()
            while data := self.request.recv(65536):
                to.sendall(data)

    def _back(self, to: socket.socket) -> None:
        proxy, passed = self.server, 0
        with suppress(OSError):
            while data := to.recv(65536):
                if proxy.cut_at is not None and passed + len(data) > proxy.cut_at:
                    self.request.sendall(data[: max(0, proxy.cut_at - passed)])
                    if proxy.stalls:
                        proxy.ended.wait(30)
                    break
                passed += len(data)
                self.request.sendall(data)
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)


@contextmanager
def _proxied(port: int) -> Iterator[Proxy]:
    proxy = Proxy(port)
    threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        proxy.shutdown()
        proxy.server_close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with _proxied(server.port) as one:
        yield one
