"""Memory's parts in processes of their own: forks, servers, and what reaches the store and the desk."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pitstop.app import open_store
from pitstop.model import Window
from pitstop.model.tuned import GC_REPORT, PRESSURE_REPORT
from shop.children import Child, free_port

SERVICES = Path(__file__).parent / "services"
SOON_S = 30.0


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_a_child_of_a_fork_watches_for_itself() -> None:
    code = """
import os, threading, time
from pitstop.tune.memory import LeakWatch
watch = LeakWatch(every_s=0.01)
watch.start()
while not watch.cpu_s:
    time.sleep(0.01)
pid = os.fork()
if not pid:
    watch.cpu_s = 0.0
    end_s = time.monotonic() + 10
    while not watch.cpu_s and time.monotonic() < end_s:
        time.sleep(0.01)
    os._exit(0 if watch.cpu_s else 1)
print(os.waitpid(pid, 0)[1])
"""
    assert run(code).strip() == "0"


def test_a_process_that_is_tuned_ends_when_it_is_done() -> None:
    began_s = time.monotonic()
    assert run("from pitstop.tune.memory import tune_memory; tune_memory(); print('done')").strip() == "done"
    assert time.monotonic() - began_s < 20


def test_memory_that_is_mapped_or_held_by_sqlite_is_found_by_its_type() -> None:
    code = """
import mmap, sqlite3
from pitstop.tune.memory.naming import look, name_growth
MAPS, BASES = [], []
for kept, make in ((MAPS, lambda: mmap.mmap(-1, 65536)), (BASES, lambda: sqlite3.connect(":memory:"))):
    looks = []
    for minute in range(2):
        kept.extend(make() for _ in range(300))
        looks.append(look(60.0 * minute))
    print(name_growth(looks, 300 * 65536).what)
    kept.clear()
"""
    assert run(code).splitlines() == ["__main__.MAPS: list of mmap.mmap", "__main__.BASES: list of sqlite3.Connection"]


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_of_a_real_server_report_how_their_memory_stands(tmp_path: Path, workers: int) -> None:
    port, store = free_port(0), f"sqlite:///{tmp_path / 'pitstop.db'}"
    command = [sys.executable, "-m", "pitstop", "run", "--service", "tuned", "--store", store, "--"]
    server = ["gunicorn", "tuned_memory:app", "--preload", "-w", str(workers), "-b", f"127.0.0.1:{port}"]
    child = Child("tuned", [*command, sys.executable, "-m", *server], tmp_path / "log", os.environ, SERVICES)
    try:
        assert child.answers(port, SOON_S), child.last_lines()
        pids = set()
        end_s = time.monotonic() + SOON_S
        while len(pids) < workers and time.monotonic() < end_s:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", "/")
            with connection.getresponse() as response:
                pids.add(response.read())
            connection.close()
        assert len(pids) == workers
    finally:
        child.stop()
    reader = open_store(store, readonly=True)
    try:
        rows = reader.reports(Window(0, int(time.time()) + 60))
    finally:
        reader.close()
    by_kind = {
        kind: [json.loads(b) for k, b in zip(rows.kind, rows.body, strict=True) if k == kind] for kind in rows.kind
    }
    assert len({worker for worker, kind in zip(rows.worker, rows.kind, strict=True) if kind == GC_REPORT}) >= workers
    assert all(body["frozen"] > 0 for body in by_kind[GC_REPORT])
    assert all(body["used_bytes"] > 0 and body["level"] for body in by_kind[PRESSURE_REPORT])
