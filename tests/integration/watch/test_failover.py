"""Two processes watch one store; whichever is killed, the other goes on, and nothing is told twice."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from pitstop.model import Batch, Rollups, Series, Window
from pitstop.rollup.codec import encode
from pitstop.store import open_store
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher

if TYPE_CHECKING:
    from pathlib import Path

RULES = 12
ROUTES = 10
SPEED = 60  # seconds of theirs in one of ours
KILLS = 3

# A watcher whose clock runs SPEED times as fast, so that rules fire and groups come due while the test waits.
PROCESS = """
import sys, time
from pathlib import Path
from pitstop.store import open_store
from pitstop.watch import evaluator
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher
folder, start, speed = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
evaluator.TICK_S, evaluator.LEASE_S, evaluator.RENEW_S = 0.01, 0.5, 0.1
class Clock:
    now_s = staticmethod(lambda: start + (time.time() - start) * speed)
    monotonic_ns = staticmethod(time.perf_counter_ns)
store = open_store(f"sqlite:///{folder}/pitstop.db")
watcher = Watcher(store, Ledger(folder / "pitstop.watch.db"), rules_path=folder / "rules.toml", clock=Clock())
watcher.evaluator.start()
sys.stdin.read()
watcher.evaluator.stop()
"""


def test_nothing_fires_twice_when_the_one_that_watches_is_killed(tmp_path: Path) -> None:
    start = time.time() // 60 * 60 - 3600
    now_s = start + (time.time() - start) * SPEED
    write(tmp_path, int(now_s))
    rules = ['defaults = false\n[group]\nby = ["rule"]\nwait = "20s"\n']
    rules += [
        f'[[rule]]\nname = "rule {i}"\nkind = "threshold"\nmetric = "count"\nabove = {i}\nover = "5m"\nevery = "10s"\n'
        f'for = "{40 * i}s"\nby = ["route"]\n'
        for i in range(RULES)
    ]
    rules.append('[[channel]]\nname = "ops"\nkind = "webhook"\nurl = "https://example.invalid/"\n')
    rules.append('secret = "0123456789abcdef"\n')
    (tmp_path / "rules.toml").write_text("".join(rules))
    chance = random.Random(3)
    running = [begin(tmp_path, start), begin(tmp_path, start)]
    killed = 0
    deadline_s = time.monotonic() + 40
    while killed < KILLS or told(tmp_path) < RULES:
        assert time.monotonic() < deadline_s
        time.sleep(0.2 + chance.random())
        holder = held_by(tmp_path)
        victim = next((one for one in running if f":{one.pid}:" in holder), None)
        if victim is not None and killed < KILLS:
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            running.remove(victim)
            running.append(begin(tmp_path, start))
            killed += 1
    for one in running:
        one.communicate()
        assert one.returncode == 0

    ledger = Ledger(tmp_path / "pitstop.watch.db")
    watcher = Watcher(open_store(f"sqlite:///{tmp_path}/pitstop.db"), ledger, rules_path=tmp_path / "rules.toml")
    found = watcher.incidents(Window(0, int(now_s) * 2))
    with ledger.read() as db:
        keys = [key for (key,) in db.execute("SELECT key FROM outbox")]
        states = {json.loads(body)["state"] for (body,) in db.execute("SELECT body FROM outbox")}
    fired = [[m.what for m in watcher.incident(one.id)[1]] for one in found]

    assert len(found) == len({one.key for one in found}) == RULES * ROUTES
    assert {one.state for one in found} == {"firing"}
    assert all(moments == ["fired", "notified"] for moments in fired)
    assert states == {"firing"}
    assert sorted(Counter(keys).values()) == [1] * RULES
    watcher.store.close()


def write(folder: Path, now_s: int) -> None:
    """Requests for every second from five minutes before `now_s` to an hour after."""
    store = open_store(f"sqlite:///{folder}/pitstop.db")
    hist = encode({200: 1})
    for seq, at in enumerate(range(now_s - 300, now_s + 3600, 10)):
        rows = Rollups()
        for route in range(ROUTES):
            for column, value in zip(
                (rows.ts, rows.series, rows.count, rows.sum_ns, rows.min_ns, rows.max_ns, rows.nbytes, rows.hist),
                (at, Series("shop", "", "http", f"GET /{route}", "", "200"), 1, 10**6, 10**6, 10**6, 0, hist),
                strict=True,
            ):
                column.append(value)  # type: ignore[attr-defined]
        store.append(Batch("web:1", seq, rows))
    store.close()


def begin(folder: Path, start: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(folder), str(start), str(SPEED)], stdin=subprocess.PIPE, text=True
    )


def held_by(folder: Path) -> str:
    if not (folder / "pitstop.watch.db").exists():
        return ""
    with Ledger(folder / "pitstop.watch.db").read() as db:
        row = db.execute("SELECT holder FROM lease").fetchone()
    return row[0] if row else ""


def told(folder: Path) -> int:
    if not (folder / "pitstop.watch.db").exists():
        return 0
    with Ledger(folder / "pitstop.watch.db").read() as db:
        return int(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
