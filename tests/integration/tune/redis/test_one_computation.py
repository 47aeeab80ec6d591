"""One recomputation for each key among all processes, whoever dies meanwhile."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.tune.cache.redis import RedisLevel

if TYPE_CHECKING:
    from conftest import Ring, Server

SERVICES = Path(__file__).parent / "services"


def begin(
    url: str,
    file: Path,
    *,
    processes: int,
    callers: int,
    took_s: float,
    colours: list[str],
    key: str = "cold",
    deadline_s: float = 2,
) -> list[subprocess.Popen[str]]:
    started = [
        subprocess.Popen(
            [
                sys.executable, str(SERVICES / "callers.py"), url, str(deadline_s), key, str(callers), str(took_s),
                str(file), colours[number % len(colours)],
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(processes)
    ]  # fmt: skip
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def end(started: list[subprocess.Popen[str]]) -> None:
    for process in started:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out == "done\n"


def test_eight_processes_of_a_hundred_callers_compute_a_cold_key_once(server: Server, tmp_path: Path) -> None:
    """Half of them with threads, half with tasks; all 800 get the value."""
    file = tmp_path / "computed"
    end(begin(server.url, file, processes=8, callers=100, took_s=0.3, colours=["threads", "tasks"]))
    assert len(file.read_text().splitlines()) == 1


def test_in_a_cluster_a_cold_key_is_computed_once(quiet_ring: Ring, tmp_path: Path) -> None:
    """Its lease stands on the server that has the key."""
    file = tmp_path / "computed"
    end(begin(quiet_ring.url, file, processes=3, callers=20, took_s=0.2, colours=["tasks", "threads"]))
    assert len(file.read_text().splitlines()) == 1


def test_when_the_process_that_computes_is_killed_another_takes_over(server: Server, tmp_path: Path) -> None:
    """Within seconds, and only one of those who wait."""
    file = tmp_path / "computed"
    started = begin(server.url, file, processes=4, callers=10, took_s=1.0, colours=["threads", "tasks"])
    while not file.exists() or not file.read_text():
        time.sleep(0.01)
    owner = int(file.read_text())
    began_s = time.monotonic()
    next(process for process in started if process.pid == owner).kill()
    end([process for process in started if process.pid != owner])
    assert time.monotonic() - began_s < 8
    assert Counter(map(int, file.read_text().split()))[owner] == 1
    assert len(file.read_text().split()) == 2


def test_a_long_computation_keeps_its_lease(server: Server) -> None:
    """It is prolonged while its owner lives, and given back once only by who has it."""
    one, other = RedisLevel(server.url), RedisLevel(server.url)
    token = one.lease("slow", 60)
    assert token is not None
    end_s = time.monotonic() + 4
    while time.monotonic() < end_s:
        assert other.lease("slow", 60) is None
        other.wait("slow", 0.2)
    other.release("slow", "somebody else's")
    assert other.lease("slow", 60) is None
    woken = threading.Event()
    threading.Thread(target=lambda: (other.wait("slow", 10), woken.set())).start()
    one.release("slow", token)
    assert woken.wait(2)
    assert other.lease("slow", 60) is not None
    one.close()
    other.close()


def test_what_was_voided_while_it_was_made_is_not_kept(server: Server) -> None:
    """The deletion took the lease away: what was read before it is not saved after it."""
    maker, deleter = RedisLevel(server.url), RedisLevel(server.url)
    token = maker.lease("price", 10)
    assert token is not None
    deleter.remove(["price"])
    maker.save("price", b"old", 60)
    assert deleter.load("price", ()).blob is None
    assert maker.refused == 1
    maker.release("price", token)
    assert deleter.lease("price", 10) is not None
    maker.close()
    deleter.close()


def test_without_redis_each_process_computes_for_itself(server: Server, tmp_path: Path) -> None:
    """All callers are answered all the same, and in each process it is computed once."""
    server.freeze()
    file = tmp_path / "computed"
    end(begin(server.url, file, processes=2, callers=50, took_s=0.1, colours=["threads", "tasks"], deadline_s=0.2))
    server.thaw()
    assert len(file.read_text().splitlines()) == 2
