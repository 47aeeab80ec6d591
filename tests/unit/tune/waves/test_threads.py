"""The threads that plain tasks run in: reused, bounded, never joined, gone when nobody needs them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from pitstop.model.errors import TaskError
from pitstop.tune.waves import Task, Threads, Waves, WavesResult

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 20.0


class Steady:
    """A job that is never refused."""

    def refuse(self, error: TaskError) -> None:
        raise error


class Gate(Steady):
    """A job that waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.open, self.over = threading.Event(), threading.Event(), threading.Event()
        self.ident = 0

    def __call__(self) -> None:
        self.ident = threading.get_ident()
        self.begun.set()
        self.open.wait(PATIENCE_S)
        self.over.set()


def until(true: Callable[[], bool]) -> None:
    """Waits for what another thread is about to do."""
    tick = threading.Event()
    for _ in range(int(PATIENCE_S * 100)):
        if true():
            return
        tick.wait(0.01)
    raise AssertionError("it did not come to pass")


def test_an_idle_thread_is_used_again_and_ends_when_nobody_needs_it() -> None:
    threads = Threads(most=4, idle_s=0.2)
    first, second = Gate(), Gate()
    first.open.set()
    threads.submit(first)
    assert first.over.wait(PATIENCE_S)
    until(lambda: bool(threads._idle))
    threads.submit(second)
    assert second.begun.wait(PATIENCE_S)
    assert (first.ident, threads.number) == (second.ident, 1)
    second.open.set()
    until(lambda: threads.number == 0)


def test_beyond_the_bound_jobs_wait_in_order() -> None:
    threads = Threads(most=2)
    gates = [Gate() for _ in range(4)]
    for gate in gates:
        threads.submit(gate)
    assert gates[0].begun.wait(PATIENCE_S)
    assert gates[1].begun.wait(PATIENCE_S)
    assert not gates[2].begun.is_set()
    assert threads.number == 2
    gates[0].open.set()
    assert gates[2].begun.wait(PATIENCE_S)
    assert not gates[3].begun.is_set()
    for gate in gates:
        gate.open.set()
    assert gates[3].over.wait(PATIENCE_S)


def test_what_a_job_starts_next_gives_way_to_what_has_waited_for_longer() -> None:
    threads = Threads(most=1)
    order: list[str] = []
    over, queued = threading.Event(), threading.Event()

    class Step(Steady):
        def __init__(self, name: str, following: Step | None = None) -> None:
            self.name, self.following = name, following

        def __call__(self) -> Step | None:
            order.append(self.name)
            if self.name == "first":
                queued.wait(PATIENCE_S)
            elif self.name == "third":
                over.set()
            return self.following

    threads.submit(Step("first", Step("third")))
    until(lambda: order == ["first"])
    threads.submit(Step("second"))
    queued.set()
    assert over.wait(PATIENCE_S)
    assert order == ["first", "second", "third"]


def test_threads_that_were_given_up_keep_nobody_waiting_up_to_a_second_bound_and_then_it_is_said(
    run: Callable[..., WavesResult],
) -> None:
    threads, go = Threads(most=2, idle_s=0.1), threading.Event()
    waves = Waves(threads=threads, max_parallel=4)

    def hangs() -> None:
        go.wait(PATIENCE_S)

    for n in range(1, 5):
        hang = [Task(f"hangs {i}", hangs, timeout_s=0.4) for i in range(2)]
        assert len(run(waves, hang).abandoned) == 2
        assert threads.abandoned == 2 * n
        if n < 4:
            assert run(waves, [Task("next", lambda: 1)])["next"] == 1
    refused = run(waves, [Task("next", lambda: 1), Task("other", lambda: 1, on_failure="contain", default=7)])
    with pytest.raises(TaskError, match="of 8 at most 8 still do what a timeout has given up on"):
        refused["next"]
    assert isinstance(refused.tasks["next"].error, TaskError)
    assert refused.tasks["other"].value == 7
    go.set()
    until(lambda: threads.abandoned == 0)
    assert run(waves, [Task("next", lambda: 1)])["next"] == 1
    until(lambda: threads.number == 0 and not threads._workers)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="threads get no signals here")
def test_what_an_interrupted_run_leaves_behind_keeps_nobody_waiting() -> None:
    threads, go = Threads(most=1), threading.Event()

    def interrupts() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        go.wait(PATIENCE_S)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs tests in the background ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            Waves(threads=threads).run([Task("interrupts", interrupts)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert threads.abandoned == 1
    assert Waves(threads=threads).run([Task("next", lambda: 1)])["next"] == 1
    go.set()
    until(lambda: threads.abandoned == 0)


def test_what_waits_for_a_thread_gets_one_when_one_is_given_up_or_is_refused_where_there_may_be_no_more() -> None:
    threads = Threads(most=1)
    gates = [Gate() for _ in range(4)]
    for gate in gates:
        threads.submit(gate)
    for gate, following in pairwise(gates):
        assert gate.begun.wait(PATIENCE_S)
        assert not following.begun.is_set()
        threads.abandon(gate)
    assert gates[3].begun.wait(PATIENCE_S)
    refused: list[str] = []

    class Waits:
        def refuse(self, error: TaskError) -> None:
            refused.append(str(error))

        def __call__(self) -> None:
            assert refused

    threads.submit(Waits())
    assert not refused
    threads.abandon(gates[3])
    until(lambda: len(refused) == 1)
    assert refused[0].startswith("no thread for it: of 4 at most 4 still do")
    assert (threads.number, threads.abandoned) == (0, 4)
    for gate in gates:
        gate.open.set()
    until(lambda: threads.abandoned == 0)


def test_where_the_system_has_no_thread_a_job_runs_where_it_is_handed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(most=2)

    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    gate = Gate()
    gate.open.set()
    threads.submit(gate)
    assert (gate.ident, threads.number) == (threading.get_ident(), 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_has_threads_of_its_own() -> None:
    code = """
import os, sys
from pitstop.tune.waves import Task, Waves
tasks = [Task(f"t{i}", lambda: 1) for i in range(5)]
assert sum(Waves().run(tasks).values()) == 5
child = os.fork()
if not child:
    os._exit(0 if sum(Waves().run(tasks).values()) == 5 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_of_a_fork_has_threads_of_its_own_where_they_are_not_the_process_s() -> None:
    code = """
import os, signal, sys
from pitstop.tune.waves import Task, Threads, Waves
threads = Threads(4)
tasks = [Task(f"t{i}", lambda: 1) for i in range(5)]
assert sum(Waves(threads=threads).run(tasks).values()) == 5
child = os.fork()
if not child:
    signal.alarm(10)
    os._exit(0 if sum(Waves(threads=threads).run(tasks).values()) == 5 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_thread_that_was_given_up_does_not_keep_the_process_from_ending() -> None:
    code = """
import threading
from pitstop.tune.waves import Task, Waves
print(Waves().run([Task("hangs", threading.Event().wait, timeout_s=0.5)]).abandoned)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "('hangs',)"


@pytest.mark.parametrize("early", ["", "from pitstop.tune.waves import Task, Waves;"])
def test_under_gevent_many_greenlets_run_waves_at_once_and_share_the_time(early: str) -> None:
    """Whichever is imported first: 4 greenlets of 3 tasks that wait 0.2 s each take nothing like 2.4 s."""
    code = f"""
{early}
from gevent import monkey; monkey.patch_all()
import gevent, time
from pitstop.tune.waves import Task, Waves
waves = Waves()
def one():
    return sum(waves.run([Task(f"t{{i}}", lambda: time.sleep(0.2) or 1) for i in range(3)]).values())
began = time.monotonic()
jobs = [gevent.spawn(one) for _ in range(4)]
gevent.joinall(jobs, timeout=30, raise_error=True)
print(sum(job.value for job in jobs), time.monotonic() - began < 1.2)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.split() == ["12", "True"]
