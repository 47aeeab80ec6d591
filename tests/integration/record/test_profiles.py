"""What is planted in a service is found in its profile: by route, function and line, and for how long."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

    Serve = Callable[..., Served]

UVICORN = ("uvicorn", "profiled_asgi:app", "--port", "{port}")
GUNICORN = ("gunicorn", "-b", "127.0.0.1:{port}", "profiled_wsgi:app")


def test_computing_and_sleeping_views_show_where_and_only_computing_takes_cpu(serve: Serve) -> None:
    served = serve(*UVICORN)
    for path in ("/computing", "/sleeping"):
        assert served.get(path) == 200
    served.end()

    computing_s = served.seconds("wall", "GET /computing", "compute (profiled_asgi.py:")
    assert computing_s == pytest.approx(served.took_s("GET /computing"), rel=0.3)
    assert 0.5 < served.seconds("cpu", "GET /computing", "compute (profiled_asgi.py:") < 1.1
    sleeping_s = served.seconds("wall", "GET /sleeping", "sleeping (profiled_asgi.py:34)")
    assert sleeping_s == pytest.approx(served.took_s("GET /sleeping"), rel=0.3)
    assert served.seconds("cpu", "GET /sleeping", "sleeping (profiled_asgi.py:34)") < 0.05


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_what_holds_the_loop_is_named_and_who_waits_for_it_knows(serve: Serve, loop: str) -> None:
    served = serve(*UVICORN, "--loop", loop)
    for _ in range(3):
        served.get_at_once("/waiting", "/holding")
    served.end()

    assert served.seconds("blocked", "GET /holding", "hold_the_loop (profiled_asgi.py:23)") > 1.2
    assert served.seconds("blocked", "GET /waiting") == 0
    told = served.events("blocked")[0]
    assert told.startswith("GET /holding held the event loop for ")
    assert told.endswith(" ms in hold_the_loop (profiled_asgi.py:23)")
    holding_s = served.took_s("GET /holding")
    assert 450 < int(told.split(" ms")[0].rpartition(" ")[2]) < holding_s * 1000
    waits = served.children("loop_wait")
    count, seconds = waits["event loop", "GET /waiting"]
    assert count == 3
    assert 1.2 < seconds < holding_s
    assert ("event loop", "GET /holding") not in waits


def test_tasks_of_a_request_are_profiled_under_its_route(serve: Serve) -> None:
    served = serve(*UVICORN, "--loop", "asyncio")
    served.get("/task")
    served.end()
    assert 0.3 < served.seconds("cpu", "GET /task", "child (profiled_asgi.py:") < 0.7


def test_a_lock_convoy_is_seen_at_the_line_that_waits(serve: Serve) -> None:
    served = serve(*GUNICORN, "--threads", "8")
    served.get_at_once(*["/convoy"] * 6)
    served.end()

    waited_s = served.seconds("wall", "GET /convoy", "wait for lock (profiled_wsgi.py:15)")
    # the n-th of six waits n − 1 times 0.1 s, 1.5 s together, and each holds it for 0.1 s
    assert waited_s == pytest.approx(served.took_s("GET /convoy") - 0.6, rel=0.3)
    assert served.seconds("wall", "GET /convoy", "pass_turnstile (profiled_wsgi.py:16)") > 0.3
    assert served.seconds("cpu", "GET /convoy", "wait for lock (") < 0.1


def test_after_a_fork_each_worker_profiles_itself(serve: Serve) -> None:
    served = serve(*GUNICORN, "--preload", "-w", "2")
    served.get_at_once(*["/computing"] * 6)
    served.end()
    assert 1.0 < served.seconds("cpu", "GET /computing", "compute (profiled_wsgi.py:") < 2.4


def test_under_gevent_what_computes_is_seen_and_the_hub_is_not_all(serve: Serve) -> None:
    served = serve(*GUNICORN, "-k", "gevent")
    served.get_at_once("/convoy", "/computing", "/convoy")
    served.end()
    assert 0.15 < served.seconds("cpu", "GET /computing", "compute (profiled_wsgi.py:") < 0.5
    assert served.process.returncode == 0


def test_nothing_is_sampled_where_profiles_are_off(serve: Serve) -> None:
    served = serve(*GUNICORN, PITSTOP_PROFILE_HZ="0")
    served.get("/computing")
    served.end()
    assert len(served.profiles()) == 0


def test_sync_views_that_queue_for_a_thread_know_for_how_long(serve: Serve) -> None:
    served = serve(*UVICORN)
    served.get_at_once(*["/sleeping"] * 60)  # anyio has 40 threads: twenty wait for 0.8 s
    served.end()
    count, seconds = served.children("pool_wait")["threads", "GET /sleeping"]
    assert count >= 20
    not_asleep_s = served.took_s("GET /sleeping") - 60 * 0.8
    assert 0.6 * not_asleep_s < seconds < not_asleep_s


def test_collections_are_filed_below_the_request_they_ran_in(serve: Serve) -> None:
    served = serve(*UVICORN)
    served.get("/collecting")
    served.end()
    count, seconds = served.children("gc")["generation 2", "GET /collecting"]
    assert count >= 1
    assert seconds > 0.0001


@pytest.mark.parametrize("by", ["pid", "service"])
def test_running_workers_are_profiled_on_request(serve: Serve, by: str) -> None:
    served = serve(*GUNICORN, "-w", "2", "--threads", "2", PITSTOP_SERVICE=f"asked-by-{by}")
    served.get_at_once(*["/computing"] * 6)  # both workers have had one
    going = threading.Event()

    def load() -> None:
        while not going.is_set():
            served.get("/computing")

    loading = [threading.Thread(target=load) for _ in range(2)]
    for thread in loading:
        thread.start()
    which = ["--pid", str(served.process.pid)] if by == "pid" else ["--service", f"asked-by-{by}"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pitstop", "profile", *which, "--seconds", "1.5", "--format", "folded"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        going.set()
        for thread in loading:
            thread.join()
    served.end()

    assert done.returncode == 0, done.stderr
    weights = {stack: int(weight) for stack, _, weight in (line.rpartition(" ") for line in done.stdout.splitlines())}
    assert sum(weight for stack, weight in weights.items() if "compute (profiled_wsgi.py:" in stack) > 0.5e9


def test_a_process_that_is_not_recorded_is_said_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pitstop", "profile", "--pid", "1", "--seconds", "1"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "no process 1 is known here" in done.stderr
