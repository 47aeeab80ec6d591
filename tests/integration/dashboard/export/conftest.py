"""A service of several workers under `pitstop run`, `pitstop serve` beside it, and Debian's Prometheus that reads both.

Two Prometheus servers: one takes native histograms, the other classic buckets and remote write.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.app import open_store
from pitstop.model import Match, Window
from pitstop.model.series import HTTP
from shop.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICES = Path(__file__).parent / "services"
START_S = 60.0
ARRIVES_S = 20.0
WORKERS = 3
RULES = """
[[slo]]
name = "the shop answers"
kind = "availability"
service = "shop"
target = 0.9
window = "7d"

[[slo]]
name = "the shop is quick"
kind = "latency"
service = "shop"
target = 0.9
threshold = "500ms"
window = "7d"

[[rule]]
name = "many requests"
kind = "threshold"
metric = "rate"
service = "shop"
above = 0.001
over = "5m"
every = "10s"
for = "0s"
severity = "info"

[[channel]]
name = "nobody"
kind = "webhook"
url = "https://alerts.example.com/hook"
"""
_CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: pitstop
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def debian(program: str) -> str:
    """Debian's program; loudly skipped without it, never under CI=true."""
    found = shutil.which(program)
    if found is None:
        message = f"{program} is missing (scripts/debian): what is exported was NOT tested with it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return found


class Prometheus:
    """One server, with a temporary folder, scraping `port` every second."""

    def __init__(self, running: ExitStack, folder: Path, port: int, *flags: str) -> None:
        folder.mkdir()
        config = folder / "prometheus.yml"
        config.write_text(_CONFIG.format(port=port))
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.child = Child(
            "prometheus",
            [
                debian("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                *flags,
            ],
            folder / "log",
            os.environ,
            folder,
        )
        running.callback(self.child.stop)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector now. Fails the test for an expression that cannot be run."""
        address = f"{self.url}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        try:
            with urllib.request.urlopen(address, timeout=20) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{expression}: {error.read().decode()}")
        return found

    def value(self, expression: str) -> float | None:
        """The only value of it."""
        found = self.query(expression)
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None


class Scene:
    """Everything that runs, what the client has asked for, and how to disturb it."""

    def __init__(self, running: ExitStack, folder: Path) -> None:
        self.folder = folder
        self.store = f"sqlite:///{folder / 'pitstop.db'}"
        self.asked: Counter[tuple[str, str, str]] = Counter()
        self._running = running
        self.port, self.serve_port = free_port(0), free_port(0)
        redis_port, other_port = free_port(0), free_port(0)
        (folder / "rules.toml").write_text(RULES)
        self._start("redis", [debian("redis-server"), "--port", str(redis_port), "--save", "", "--dir", str(folder)])
        self._start("other", [sys.executable, "-m", "http.server", str(other_port), "--bind", "127.0.0.1"])
        self.native = Prometheus(running, folder / "native", self.serve_port, "--enable-feature=native-histograms")
        self.classic = Prometheus(running, folder / "classic", self.serve_port, "--web.enable-remote-write-receiver")
        self.environment = os.environ | {
            "REDIS_PORT": str(redis_port),
            "OTHER_PORT": str(other_port),
            "SHOP_DB": str(folder / "shop.db"),
            "PITSTOP_STORE": self.store,
            "PITSTOP_RULES": str(folder / "rules.toml"),
            "PITSTOP_REMOTE_WRITE_URL": f"{self.classic.url}/api/v1/write",
        }
        gunicorn = [
            "gunicorn",
            "-w",
            str(WORKERS),
            "-k",
            "uvicorn_worker.UvicornWorker",
            "-b",
            f"127.0.0.1:{self.port}",
        ]
        command = [
            "-m",
            "pitstop",
            "run",
            "--service",
            "shop",
            "--",
            sys.executable,
            "-m",
            *gunicorn,
            "shop_service:app",
        ]
        self.service = self._start("service", [sys.executable, *command], SERVICES)
        self.serve = self._serve()
        for child, port in ((self.service, self.port), (self.serve, self.serve_port)):
            assert child.answers(port, START_S), child.last_lines()
        for server in (self.native, self.classic):
            assert server.child.answers(server.port, START_S), server.child.last_lines()

    def _start(self, name: str, command: list[str], folder: Path | None = None) -> Child:
        environment = getattr(self, "environment", os.environ)
        child = Child(name, command, self.folder / f"{name}.log", environment, folder or self.folder)
        self._running.callback(child.stop)
        return child

    def _serve(self) -> Child:
        return self._start("serve", [sys.executable, "-m", "pitstop", "serve", "--port", str(self.serve_port)])

    def ask(self, times: int) -> None:
        """Each kind of request `times` times, by a few clients at once."""
        paths = [
            *((f"/items/{i}", "/items/{item_id}") for i in range(times)),
            *((f"/agent/{i}", "/agent/{step}") for i in range(times)),
            *(("/stream", "/stream") for _ in range(times)),
            *(("/page", "/page") for _ in range(times)),
            *(("/broken", "/broken") for _ in range(times // 10)),
            *(("/report", "/report") for _ in range(times // 10)),
        ]
        with ThreadPoolExecutor(4) as pool:
            for route, status in pool.map(self._get, paths):
                self.asked["GET", route, status] += 1

    def _get(self, path: tuple[str, str]) -> tuple[str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path[0]}", timeout=30) as answer:
                answer.read()
                return path[1], str(answer.status)
        except urllib.error.HTTPError as error:
            return path[1], str(error.code)

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        pairs = [tuple(map(int, line.split())) for line in found.splitlines()]
        return [pid for pid, parent in pairs if parent == self.service.pid]

    def replace_workers(self) -> None:
        """Every worker ends and another follows, as after max_requests or a deploy."""
        before = set(self.workers())
        for pid in before:
            os.kill(pid, signal.SIGTERM)
        until(lambda: len(set(self.workers()) - before) >= WORKERS)
        assert self.service.answers(self.port, START_S), self.service.last_lines()

    def restart_serve(self) -> None:
        """The dashboard ends and comes again."""
        assert self.serve.stop(), self.serve.last_lines()
        self.serve = self._serve()
        assert self.serve.answers(self.serve_port, START_S), self.serve.last_lines()

    def stored(self) -> int:
        """Requests in the store."""
        store = open_store(self.store, readonly=True)
        try:
            return sum(store.rollups(Window(0, int(time.time()) + 60), Match(kind=HTTP), hist=False).count)
        finally:
            store.close()


def until(holds: Any, timeout_s: float = ARRIVES_S) -> None:
    """Wait until `holds()`; fail after a while."""
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.1)


@pytest.fixture(scope="session", name="until")
def until_fixture() -> Any:
    return until


@pytest.fixture(scope="session")
def promtool() -> str:
    return debian("promtool")


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Recorded, scraped while workers and the dashboard are replaced, and at rest again."""
    with ExitStack() as running:
        made = Scene(running, tmp_path_factory.mktemp("scene"))
        made.ask(40)
        until(lambda: len(made.native.query("pitstop_build_info")) > 0)
        restarting = threading.Thread(target=made.replace_workers)
        restarting.start()
        made.restart_serve()
        restarting.join()
        made.ask(60)
        until(lambda: made.stored() == sum(made.asked.values()))
        yield made
