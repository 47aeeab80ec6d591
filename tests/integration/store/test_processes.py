"""Forks and kills: what was acknowledged is there once."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pitstop

if TYPE_CHECKING:
    from conftest import Make

KILLS = int(os.environ.get("PITSTOP_TEST_KILLS", "40"))
SOURCE = str(Path(pitstop.__file__).parents[1])

PRELUDE = """
import os, sys, threading, time
from pitstop.model import Batch, Match, Rollups, Series, Window
from pitstop.store.sqlite import SqliteStore
NOW = 1_790_000_000
def batch(worker, seq, n=1):
    out = Rollups()
    out.ts = [NOW + seq // 20] * n
    out.series = [Series("shop", "", "http", f"{worker}/{i}", "", "200") for i in range(n)]
    out.count = out.sum_ns = out.min_ns = out.max_ns = out.nbytes = [1] * n
    out.hist = [b"\\x15\\x05\\x01"] * n
    return Batch(worker, seq, out)
"""


def script(text: str) -> list[str]:
    return [sys.executable, "-c", PRELUDE + textwrap.dedent(text)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": SOURCE}


def intact(path: str) -> bool:
    raw = sqlite3.connect(path)
    answer = raw.execute("PRAGMA integrity_check").fetchall()
    raw.close()
    return answer == [("ok",)]


def test_children_forked_while_the_parent_writes_lose_and_double_nothing(path: str) -> None:
    program = """
    path = sys.argv[1]
    store = SqliteStore(path)
    store.append(batch("parent", 1))
    stop = threading.Event()
    done = [1]
    def work():
        while not stop.is_set():
            store.append(batch("parent", done[0] + 1))
            done[0] += 1
            time.sleep(0.001)
    thread = threading.Thread(target=work); thread.start()
    children = []
    for i in range(100):
        pid = os.fork()
        if not pid:
            for seq in (1, 2, 3):
                store.append(batch(f"child{i}", seq))
            os._exit(0)
        children.append(pid)
        if i % 4 == 3:
            for child in children:
                assert os.waitpid(child, 0)[1] == 0, "a child failed"
            children.clear()
    stop.set(); thread.join()
    got = store.rollups(Window(0, NOW * 2), Match())
    print(done[0], sum(got.count))
    """
    run = subprocess.run(
        [*script(program), path], capture_output=True, text=True, timeout=120, env=environment(), check=False
    )
    assert run.returncode == 0, run.stderr
    mine, total = map(int, run.stdout.split())
    assert mine > 20
    assert total == mine + 300
    assert intact(path)


def test_a_child_goes_on_when_its_parent_closes_last(path: str) -> None:
    """With an inherited connection the child would write into a deleted log: SQLite's howtocorrupt.html, 2.6."""
    program = """
    store = SqliteStore(sys.argv[1])
    store.append(batch("parent", 1))
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        store.append(batch("child", 1))
        os.write(ready[1], b"x"); os.read(go[0], 1)
        store.append(batch("child", 2))
        os._exit(0)
    os.read(ready[0], 1)
    store.append(batch("parent", 2))
    store.close()
    os.write(go[1], b"x")
    assert os.waitpid(pid, 0)[1] == 0
    print(sum(SqliteStore(sys.argv[1]).rollups(Window(0, NOW * 2), Match()).count))
    """
    run = subprocess.run(
        [*script(program), path], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "4"), run.stderr
    assert intact(path)


def test_a_fork_in_the_middle_of_a_read_does_not_stop_either(path: str) -> None:
    program = """
    store = SqliteStore(sys.argv[1])
    store.append(batch("parent", 1))
    with store._connections.read() as connection:
        connection.execute("SELECT count(*) FROM rollup_1").fetchone()
        pid = os.fork()
        if not pid:
            store.append(batch("child", 1))
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert connection.execute("SELECT count(*) FROM rollup_1").fetchone() == (1,)
    store.append(batch("parent", 2))
    print(sum(store.rollups(Window(0, NOW * 2), Match()).count))
    """
    run = subprocess.run(
        [*script(program), path], capture_output=True, text=True, timeout=60, env=environment(), check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "3"), run.stderr
    assert intact(path)


def test_a_killed_worker_keeps_what_was_acknowledged_exactly_once(path: str, make: Make) -> None:
    """One line in the ledger, outside the process, for every batch that was acknowledged."""
    program = """
    store, worker = SqliteStore(sys.argv[1]), sys.argv[2]
    for seq in range(1, 100_000):
        store.append(batch(worker, seq, 20))
        os.write(1, b"%d\\n" % seq)
        if seq % 5 == 0:
            store.upkeep()
            store.checkpoint()
    """
    ledger: dict[str, int] = {}
    dice = random.Random(7)
    workers = [f"w{i}" for i in range(KILLS)]
    while workers:
        running = []
        for worker in [workers.pop() for _ in range(min(2, len(workers)))]:
            command = [*script(program), path, worker]
            running.append((worker, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment())))
        for worker, process in running:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(dice.randint(1, 60))]
            process.send_signal(signal.SIGKILL)
            lines += process.stdout.readlines()
            process.wait(30)
            process.stdout.close()
            ledger[worker] = max(int(line) for line in lines if line.endswith(b"\n"))
    assert intact(path)
    raw = sqlite3.connect(path)
    for worker, acknowledged in ledger.items():
        (seq,) = raw.execute("SELECT seq FROM worker WHERE name = ?", (worker,)).fetchone()
        assert acknowledged <= seq <= acknowledged + 1
        (mark_s,) = raw.execute("SELECT mark_s FROM tier WHERE name = 'rollup_86400'").fetchone()
        assert mark_s > 1_790_000_000
        ids = {i for (i,) in raw.execute("SELECT id FROM series WHERE name LIKE ?", (f"{worker}/%",))}
        for table in ("rollup_86400", "rollup_3600"):
            assert sum(values[0] for _, series, values in make.kept(path, table) if series in ids) == 20 * seq
    raw.close()


def injected(path: str, fault: str) -> tuple[int, int, int]:
    """Batches acknowledged, errors seen and requests stored, by a writer whose system calls fail now and then."""
    program = """
    store, errors = SqliteStore(sys.argv[1]), 0
    def patiently(action):
        global errors
        for _ in range(50):
            try:
                return action()
            except StoreUnavailableError:
                errors += 1
        raise SystemExit("no success in 50 tries")
    for seq in range(1, 61):
        patiently(lambda: store.append(batch("w", seq, 20)))
        if seq % 7 == 0:
            patiently(store.checkpoint)
    print(60, errors, flush=True)
    os._exit(0)
    """
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed: input/output errors are not provoked")
    program = "    from pitstop.model import StoreUnavailableError\n" + program
    command = [strace, "-f", "-o", os.devnull, "-e", f"inject={fault}", *script(program), path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    if "PTRACE" in run.stderr:
        pytest.skip("this machine does not let a process be traced: input/output errors are not provoked")
    assert run.returncode == 0, run.stderr
    acknowledged, errors = map(int, run.stdout.split())
    raw = sqlite3.connect(path)
    (stored,) = raw.execute("SELECT sum(count) FROM rollup_1").fetchone()
    raw.close()
    return acknowledged, errors, stored


@pytest.mark.parametrize("fault", ["pwrite64:error=EIO:when=90+173", "fdatasync:error=EIO:when=2+3"])
def test_what_an_input_output_error_refuses_is_retried_and_counted_once(path: str, fault: str) -> None:
    acknowledged, errors, stored = injected(path, fault)
    assert errors > 0
    assert stored == 20 * acknowledged
    assert intact(path)


def test_greenlets_and_real_threads_share_a_store_under_gevent(path: str) -> None:
    program = """
    from gevent import monkey; monkey.patch_all()
    import gevent
    from pitstop.rollup.native import start_thread
    store, done = SqliteStore(sys.argv[1]), []
    def work(worker, n, pause):
        for seq in range(1, n):
            store.append(batch(worker, seq)); pause()
        done.append(worker)
    for i in range(3):
        start_thread(lambda i=i: work(f"thread{i}", 100, lambda: None))
    greenlets = [gevent.spawn(work, f"green{i}", 50, lambda: gevent.sleep(0)) for i in range(3)]
    gevent.joinall(greenlets, timeout=20)
    deadline = time.monotonic() + 20
    while len(done) < 6 and time.monotonic() < deadline:
        gevent.sleep(0.01)
    print(len(done), sum(store.rollups(Window(0, NOW * 2), Match()).count))
    """
    command = [*script(program), path]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), check=False)
    assert (run.returncode, run.stdout.split()) == (0, ["6", str(3 * 99 + 3 * 49)]), run.stderr
