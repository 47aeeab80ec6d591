"""A real dashboard on a free port over a real SQLite store with an hour of history."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from pitstop.dashboard import Keyring, create_app
from pitstop.model import Batch, Events, Rollups, Samples, Series, Store
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp


PASSWORD = "correct-horse-battery"
XSS = '"><img src=x onerror=window.canary=1><script>window.canary=2</script>{{7*7}}'
ROUTES = ("POST /checkout", "GET /product/{id}", "GET /menu", f"GET /{XSS}", "GET /" + "long/" * 40 + "end")
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LEFT = "WebSocket is closed before the connection is established"  # what Chromium says when a page is left early


def _beside(name: str) -> Any:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


insides = _beside("insides")
watches = _beside("watches")
tunes = _beside("tunes")


class Dashboard(NamedTuple):
    url: str
    store: Store
    keyring: Keyring
    password: str = PASSWORD
    hostile: str = XSS
    inside: Any = insides
    routes: tuple[str, ...] = ROUTES
    watcher: Any = None
    provider: Any = None
    watches: Any = watches
    tunes: Any = tunes
    asked: Any = None

    def client(self, *, signed_in: bool = True) -> httpx.Client:
        client = httpx.Client(base_url=self.url, headers={"origin": self.url})
        if signed_in:
            cookie, _ = self.keyring.open_session("admin")
            client.cookies.set("pitstop_session", cookie)
        return client


def write(
    store: Store, worker: str, seq: int, ts: int, count: int, *, route: str = "GET /menu", ns: int = 20_000_000
) -> None:
    """`count` requests of one duration in the second `ts`."""
    rows = Rollups()
    rows.ts.append(ts)
    rows.series.append(Series("shop", "", "http", route, "", "200"))
    rows.count.append(count)
    rows.sum_ns.append(count * ns)
    rows.min_ns.append(ns)
    rows.max_ns.append(ns)
    rows.nbytes.append(100 * count)
    rows.hist.append(encode({position_of(ns): count}))
    store.append(Batch(worker, seq, rows))


def fill(store: Store) -> None:
    now = int(time.time())
    rows, samples, events = Rollups(), Samples(), Events()
    for ts in range(now - 5400, now - 60, 20):
        for i, route in enumerate(ROUTES):
            for status, count in (("200", 20 + i), ("500", 1 if i == 0 else 0)):
                if not count:
                    continue
                ns = (i + 1) * 40_000_000 + (ts % 7) * 1_000_000
                rows.ts.append(ts)
                rows.series.append(Series("shop", "", "http", route, "", status))
                rows.count.append(count)
                rows.sum_ns.append(count * ns)
                rows.min_ns.append(ns)
                rows.max_ns.append(ns)
                rows.nbytes.append(count * 1000)
                rows.hist.append(encode({position_of(ns): count}))
        for name, value in (
            ("process.memory.rss_bytes", 9e7),
            ("process.cpu_ratio", 0.2),
            ("process.threads", 7.0),
            (f"gauge {XSS}", 3.0),
        ):
            samples.ts.append(ts)
            samples.service.append("shop")
            samples.worker.append(f"web<b>:{41}:ab")
            samples.name.append(name)
            samples.value.append(value)
    events.ts.append(now - 1800)
    events.service.append("shop")
    events.kind.append("deploy")
    events.text.append(XSS)
    store.append(Batch("web<b>:41:ab", 1, rows, samples, events))
    other = Rollups()
    other.ts.append(now - 600)
    other.series.append(Series(XSS, "", "http", "GET /other", "", "200"))
    other.count.append(1)
    other.sum_ns.append(10**7)
    other.min_ns.append(10**7)
    other.max_ns.append(10**7)
    other.nbytes.append(1)
    other.hist.append(encode({position_of(10**7): 1}))
    store.append(Batch("web-2:7:cd", 1, other))


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """`app` on a free loopback port; its address."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    deadline_s = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline_s:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder: Path = tmp_path_factory.mktemp("dashboard")
    store = open_store(f"sqlite:///{folder}/pitstop.db")
    fill(store)
    insides.fill(store, int(time.time()))
    keyring = Keyring(folder / "pitstop.auth.db")
    keyring.set_password(PASSWORD)
    with serving(create_app(store, auth=keyring)) as url:
        yield Dashboard(url, store, keyring)
    store.close()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with somebody who watched the last two hours."""
    folder: Path = tmp_path_factory.mktemp("watched")
    store = open_store(f"sqlite:///{folder}/pitstop.db")
    watches.fill(store, int(time.time()) // 10 * 10)
    keyring = Keyring(folder / "pitstop.auth.db")
    keyring.set_password(PASSWORD)
    with (
        watches.watching(store, folder) as (watcher, provider),
        serving(create_app(store, auth=keyring, watch=watcher)) as url,
    ):
        yield Dashboard(url, store, keyring, watcher=watcher, provider=provider)
    store.close()


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard of a service that caches, pools and watches its memory, and a process of it that can be asked."""
    folder: Path = tmp_path_factory.mktemp("tuned")
    store = open_store(f"sqlite:///{folder}/pitstop.db")
    now = int(time.time())
    insides.fill(store, now)
    tunes.fill(store, now)
    keyring = Keyring(folder / "pitstop.auth.db")
    keyring.set_password(PASSWORD)
    with tunes.process(folder) as asked, serving(create_app(store, auth=keyring)) as url:
        yield Dashboard(url, store, keyring, asked=asked)
    store.close()


@pytest.fixture(scope="session", name="serving")
def serving_fixture() -> Callable[[ASGIApp], AbstractContextManager[str]]:
    """Serve an application on a free port while a block runs."""
    return serving


@pytest.fixture(scope="session", name="write")
def write_fixture() -> Callable[..., None]:
    """Write requests of one second into a store."""
    return write


@pytest.fixture(scope="session")
def chromium() -> str:
    """Debian's browser; loudly skipped without it, never under CI=true."""
    if not shutil.which(CHROMIUM):
        message = "chromium is missing (apt install chromium): the pages were NOT tested in a browser"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return CHROMIUM


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    """A page of somebody who is signed in. Fails the test when the browser complains about anything."""
    yield from _opened(browser, dashboard)


@pytest.fixture
def watched_page(browser: Browser, watched: Dashboard) -> Iterator[Page]:
    """The same of the dashboard with somebody who watches."""
    yield from _opened(browser, watched)


@pytest.fixture
def tuned_page(browser: Browser, tuned: Dashboard) -> Iterator[Page]:
    """The same of the dashboard with something to tune."""
    yield from _opened(browser, tuned)


def _opened(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    cookie, _ = dashboard.keyring.open_session("admin")
    context.add_cookies([{"name": "pitstop_session", "value": cookie, "url": dashboard.url}])
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
    opened.on("pageerror", lambda e: complaints.append(str(e)))
    opened.add_init_script(
        "window.reports = []; addEventListener('securitypolicyviolation', e => reports.push(e.violatedDirective))"
    )
    yield opened
    reports = opened.evaluate("window.reports") if opened.url != "about:blank" else []
    context.close()
    assert ([text for text in complaints if LEFT not in text], reports) == ([], [])
