"""The command as a process of its own: terminals, pipes, signals, exit codes."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Rollups, Series
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = str(Path(__file__).parents[3] / "src")
DEADLINE_S = 30


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PITSTOP_", "COLUMNS", "NO_COLOR"))
    }
    return {**kept, "PYTHONPATH": SOURCE, "PITSTOP_STORE": f"sqlite:///{tmp_path}/shop.db", "TERM": "xterm-256color"}


@pytest.fixture
def recorded(environment: dict[str, str]) -> Iterator[None]:
    store = open_store(environment["PITSTOP_STORE"])
    rollups = Rollups()
    for i in range(300):
        rollups.ts.append(int(time.time()) - 60)
        rollups.series.append(Series("shop", "", "http", f"GET /{i}", "", "200"))
        rollups.count.append(3)
        rollups.sum_ns.append(3_000_000)
        rollups.min_ns.append(1_000_000)
        rollups.max_ns.append(1_000_000)
        rollups.nbytes.append(300)
        rollups.hist.append(encode({position_of(1_000_000): 3}))
    store.append(Batch("w:1:1", 0, rollups))
    store.close()
    return iter(())


def pitstop(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pitstop", *arguments],
        env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def on_terminal(environment: dict[str, str], *arguments: str) -> str:
    """What the command writes when standard output is a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "pitstop", *arguments], env=environment, stdout=theirs, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    seen = b""
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        ready, _, _ = select.select([ours], [], [], 1)
        if ready:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
    os.close(ours)
    assert process.wait(DEADLINE_S) == 0
    return seen.decode()


@pytest.mark.usefixtures("recorded")
def test_colour_is_for_terminals_and_never_with_no_color(environment: dict[str, str]) -> None:
    assert "\x1b[" not in pitstop(environment, "routes").stdout
    assert "\x1b[32m" in on_terminal(environment, "routes", "--limit", "3")
    plain = on_terminal({**environment, "NO_COLOR": "1"}, "routes", "--limit", "3")
    assert "\x1b[32m" not in plain
    assert "✓ good" in plain


@pytest.mark.usefixtures("recorded")
def test_a_reader_that_leaves_early_is_no_error(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pitstop", "routes", "--json"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()


def test_what_went_wrong_is_one_line_without_a_traceback(environment: dict[str, str]) -> None:
    ran = pitstop(environment, "report")
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
    assert ran.stderr.startswith("pitstop: ")


@pytest.mark.parametrize("dashes", [["--"], []])
def test_run_records_what_it_runs_and_hands_on_its_exit_code(environment: dict[str, str], dashes: list[str]) -> None:
    code = "import pitstop, sys\nwith pitstop.span('bake'): pass\nsys.exit(7)"
    ran = pitstop(environment, "run", "--service", "bakery", *dashes, sys.executable, "-c", code)
    assert (ran.returncode, ran.stderr) == (7, "")
    rows = json.loads(pitstop(environment, "export", "json", "--service", "bakery").stdout)["rows"]
    assert [(row["kind"], row["name"], row["requests"]) for row in rows] == [("function", "bake", 1)]


def test_run_leaves_the_options_of_the_command_alone(environment: dict[str, str]) -> None:
    ran = pitstop(environment, "run", sys.executable, "-c", "import sys; print(sys.argv[1:])", "--store", "x", "--json")
    assert ran.stdout.strip() == "['--store', 'x', '--json']"


def answered(url: str) -> int:
    """The status of the first answer; the address is printed a moment before it is listened to."""
    until = time.monotonic() + DEADLINE_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=DEADLINE_S) as answer:
                return int(answer.status)
        except urllib.error.URLError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.mark.usefixtures("recorded")
def test_serve_answers_on_loopback_and_a_signal_ends_it(environment: dict[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pitstop", "serve", "--port", "0"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", first)
            assert found, first
            assert answered(found[0]) == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(DEADLINE_S)
    assert process.returncode in {0, -signal.SIGTERM}


def test_the_demo_of_a_clone_gets_its_arguments(environment: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "examples" / "shop" / "demo.py"
    script.parent.mkdir(parents=True)
    script.write_text("import sys; print(sys.argv[1:])")
    ran = subprocess.run(
        [sys.executable, "-m", "pitstop", "demo", "--seconds", "5"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert ran.stdout.strip() == "['--seconds', '5']"
