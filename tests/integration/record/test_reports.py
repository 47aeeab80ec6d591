"""What parts of a process say of themselves reaches its store, and a child speaks for itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from pitstop.model import Window
from pitstop.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from pathlib import Path

    from pitstop.model import Reports

HOST = """
import os, pitstop
from pitstop.record.reports import Report, add_reporter, report
pitstop.init(service="shop", store="sqlite:///reports.db")
add_reporter(lambda: [Report("cache", "books", {"pid": os.getpid()})])
report("plan", "of the parent", {"n": 1})
child = os.fork()
with pitstop.span("work"):
    pass
if child:
    os.waitpid(child, 0)
else:
    report("plan", "of the child", {"n": 2})
    pitstop.shutdown()
    os._exit(0)
"""


def test_reports_of_a_process_and_its_child_reach_the_store(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HOST], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (run.returncode, run.stderr) == (0, "")
    store = SqliteStore(str(tmp_path / "reports.db"), readonly=True)
    now_s = int(time.time())
    found = store.reports(Window(now_s - 60, now_s + 60), service="shop")
    store.close()
    plans = {(name, json.loads(body)["n"]) for kind, name, body in _rows(found) if kind == "plan"}
    assert plans == {("of the parent", 1), ("of the child", 2)}
    pids = {int(worker.split(":")[1]) for worker in found.worker}
    assert {json.loads(body)["pid"] for kind, _, body in _rows(found) if kind == "cache"} == pids
    assert len(pids) == 2


def _rows(found: Reports) -> list[tuple[str, str, str]]:
    return list(zip(found.kind, found.name, found.body, strict=True))
