"""`make demo`: a shop under traffic that stops without a trace, and every request of it is counted."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pitstop import analyze
from pitstop.app import open_store
from pitstop.model import Match, Window
from shop.children import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "examples" / "shop" / "demo.py"
START_S = 120.0
STOP_S = 45.0


class Demo:
    """The demo in a folder of its own, on ports of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        ports = ("--port", str(free_port(0)), "--shop-port", str(free_port(0)))
        self.process = subprocess.Popen(
            [sys.executable, DEMO, "--json", "--folder", folder, *ports, *options],
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        assert ready, "the demo has not started"
        self.places: dict[str, Any] = json.loads(self.process.stdout.readline())

    def stop(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(STOP_S)

    def groups_alive(self) -> list[str]:
        """Children of which anything still runs."""
        return [name for name, pid in self.places["pids"].items() if _group_alive(pid)]


def _group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def demos() -> Iterator[list[Demo]]:
    """Demos to be ended whatever happens."""
    running: list[Demo] = []
    yield running
    for demo in running:
        if demo.process.poll() is None:
            demo.stop(signal.SIGTERM)


def _stored(store_url: str, since_s: int) -> Counter[tuple[str, str]]:
    store = open_store(store_url, readonly=True)
    try:
        counts: Counter[tuple[str, str]] = Counter()
        for kind in ("http", "websocket"):
            rows = store.rollups(Window(since_s, int(time.time()) + 60), Match(kind=kind), hist=False, step_s=1)
            for series, count in zip(rows.series, rows.count, strict=True):
                counts[series.name, series.outcome] += count
        return counts
    finally:
        store.close()


def _history_end_s(store_url: str) -> int:
    store = open_store(store_url, readonly=True)
    try:
        events = store.events(Window(0, int(time.time()) + 60))
        return max(ts for ts, kind in zip(events.ts, events.kind, strict=True) if kind == "history")
    finally:
        store.close()


def _without_figures(store_url: str) -> list[str]:
    """What the pages about tuning have nothing of yet."""
    store, now_s = open_store(store_url, readonly=True), int(time.time())
    window = Window(now_s - 900, now_s + 1)
    try:
        memory = analyze.memory(store, window, "shop")
        found = {
            "regions": [row for row in analyze.regions(store, window, "shop") if row.held and row.hits],
            "pools": analyze.pools(store, window, "shop"),
            "plans": analyze.plans(store, now_s + 1, "shop"),
            "advice": [item for one in analyze.advice(store, now_s + 1) for item in one.items],
            "collectors": memory.collectors,
            "pressure": memory.pressure,
            "limiters": memory.limiters,
        }
    finally:
        store.close()
    return [name for name, rows in found.items() if not rows]


def test_the_demo_counts_every_visit_shows_itself_and_leaves_nothing_behind(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--rate", "40")
    demos.append(demo)
    with urllib.request.urlopen(demo.places["dashboard"], timeout=30) as page:
        assert page.status == 200
        assert b"Pitstop" in page.read()
    with urllib.request.urlopen(demo.places["shop"] + "/healthz", timeout=30) as health:
        assert health.status == 200
    deadline_s = time.monotonic() + 60
    while _stored(demo.places["store"], _history_end_s(demo.places["store"])).total() < 300:
        assert time.monotonic() < deadline_s, "no traffic is recorded"
        time.sleep(0.5)

    missing = _without_figures(demo.places["store"])
    while missing:
        assert time.monotonic() < deadline_s, f"nothing is said of {missing}"
        time.sleep(0.5)
        missing = _without_figures(demo.places["store"])

    assert demo.stop() == 0
    assert demo.groups_alive() == []

    counts = json.loads(Path(demo.places["counts"]).read_text())
    assert counts["failed"] == 0
    sent = Counter(
        {(route, status): n for route, by in counts["answered"].items() for status, n in by.items()}
    ) + Counter({("GET /healthz", "200"): 1})
    sent = Counter({key: n for key, n in sent.items() if key[0] != "(static)"})
    assert _stored(demo.places["store"], _history_end_s(demo.places["store"])) == sent


def test_the_demo_ends_by_itself_when_it_is_told_how_long_to_last(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--seconds", "2", "--no-traffic")
    demos.append(demo)

    assert demo.process.wait(2 + STOP_S) == 0
    assert demo.groups_alive() == []


def test_a_program_of_the_demo_that_dies_is_reported_with_its_last_lines(tmp_path: Path, demos: list[Demo]) -> None:
    demo = Demo(tmp_path, "--no-traffic")
    demos.append(demo)

    os.killpg(demo.places["pids"]["dashboard"], signal.SIGKILL)

    assert demo.process.wait(STOP_S) == 2
    assert demo.groups_alive() == []
