"""Two hours of a shop that got slow once and fails now, and a real watcher that looked on all the while."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from pitstop.model import Batch, Rollups, Series, Window
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pitstop.model import Store

XSS = '"><img src=x onerror=window.canary=1><script>window.canary=2</script>{{7*7}}'
PUBLIC_URL = "https://shop.example/performance"
LONG = "a rule whose name says " + "very much " * 9 + "indeed"
SPAN_S, STEP_S, LOOK_S = 7200, 10, 30
SLOW_S = (-4800, -3600)  # before now: one route was slow
FAILING_S = 900  # before now: since then checkouts fail
CHECKOUT, MENU = "POST /checkout", "GET /menu"

RULES = f"""
defaults = false

[group]
wait = "0s"

[[rule]]
name = "answers are slow"
kind = "threshold"
metric = "p95"
above = "500ms"
clear = "400ms"
over = "5m"
for = "1m"
severity = "ticket"
by = ["route"]
summary = "slower than people wait for"

[[rule]]
name = "checkouts fail"
kind = "threshold"
metric = "error_ratio"
routes = ["POST /checkout"]
above = 0.05
over = "5m"
severity = "page"

[[rule]]
name = '{XSS}'
kind = "threshold"
metric = "rate"
above = 0.001
severity = "info"

[[rule]]
name = "{LONG}"
kind = "threshold"
metric = "count"
above = 0
over = "5m"
severity = "ticket"
summary = "{"so much is said of it " * 12}"

[[rule]]
name = "budgets burn"
kind = "burn_rate"
severity = "ticket"

[[rule]]
name = "broken"
kind = "threshold"
metric = "p95"
abov = 1

[[slo]]
name = "checkouts work"
kind = "error_ratio"
service = "shop"
routes = ["POST /checkout"]
target = 0.99
window = "1d"

[[slo]]
name = 'answers in half a second {XSS}'
kind = "latency"
service = "shop"
target = 0.9
threshold = "500ms"
window = "7d"
"""

CHANNELS = """
[[channel]]
name = "ops"
kind = "webhook"
url = "{url}/hook"
secret = "a secret that no page shows"
severities = ["page", "ticket"]

[[channel]]
name = "gone"
kind = "webhook"
url = "{url}/gone"
severities = ["page"]
matches = {{ service = "shop" }}

[[channel]]
name = "walled off"
kind = "webhook"
url = "http://10.255.255.1/hook?token=a-token-that-no-page-shows"
severities = ["ticket"]
"""


class Provider:
    """A real server: takes what comes to ``/hook``, and answers 410 to all else. `got` has the bodies it took."""

    def __init__(self) -> None:
        got: list[bytes] = []
        self.got = got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path == "/hook":
                    got.append(body)
                self.send_response(200 if self.path == "/hook" else 410)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://localhost:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Clock:
    """Stands where it is put, and then is the machine's."""

    def __init__(self) -> None:
        self.at_s: float | None = None

    def now_s(self) -> float:
        return time.time() if self.at_s is None else self.at_s

    def monotonic_ns(self) -> int:
        return time.perf_counter_ns() if self.at_s is None else int(self.at_s * 1e9)


def everything() -> Window:
    """All that there is."""
    return Window(int(time.time()) - 2 * SPAN_S, int(time.time()) + 1)


def until(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Wait until it is."""
    deadline_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def fill(store: Store, now: int) -> None:
    """Requests of two routes, every ten seconds."""
    rows = Rollups()
    for ts in range(now - SPAN_S, now, STEP_S):
        slow = SLOW_S[0] <= ts - now < SLOW_S[1]
        failing = ts >= now - FAILING_S
        for route, status, count, ms in (
            (CHECKOUT, "200", 16 if failing else 20, 900 if slow else 120),
            (CHECKOUT, "500", 4 if failing else 0, 60),
            (MENU, "200", 60, 12 + ts % 7),
        ):
            if count:
                ns = ms * 1_000_000
                for column, value in zip(
                    (rows.ts, rows.series, rows.count, rows.sum_ns, rows.min_ns, rows.max_ns, rows.nbytes, rows.hist),
                    (ts, Series("shop", "", "http", route, "", status), count, count * ns, ns, ns, count * 500,
                     encode({position_of(ns): count})),
                    strict=True,
                ):  # fmt: skip
                    column.append(value)  # type: ignore[attr-defined]
    store.append(Batch("web-1:41:ab", 1, rows))


@contextmanager
def watching(store: Store, folder: Path) -> Iterator[tuple[Watcher, Provider]]:
    """The watcher, after it has looked at all of it, sending and watching on; and whom it tells."""
    provider, clock = Provider(), Clock()
    rules = folder / "pitstop-rules.toml"
    rules.write_text(RULES + CHANNELS.format(url=provider.url))
    watcher = Watcher(
        store,
        Ledger(folder / "pitstop.watch.db"),
        rules_path=rules,
        clock=clock,
        public_url=PUBLIC_URL,
        egress_allow=("localhost",),
    )
    now = int(time.time())
    for at_s in range(now - SPAN_S, now, LOOK_S):
        clock.at_s = at_s
        watcher.evaluator.tick()
    clock.at_s = None
    watcher.start()
    try:
        yield watcher, provider
    finally:
        watcher.stop()
        watcher.ledger.close()
        provider.stop()
