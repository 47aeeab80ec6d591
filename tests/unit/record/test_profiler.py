from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
import time
from contextlib import contextmanager
from math import sqrt
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.record import owners, stacks
from pitstop.record.caller import shown
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.owners import owned
from pitstop.record.profiler import Profiler
from pitstop.record.sampler import Sampler
from pitstop.record.tally import CPU, WALL
from pitstop.rollup.native import allocate_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.model.columns import Profiles

LONG_S = 10


def serve(op: Operation, view: Callable[[], object]) -> None:
    """Stands for an adapter: its local `op` says whom the thread works for."""
    try:
        view()
    finally:
        op.end_ns = op.end_ns or time.perf_counter_ns()


owned(serve, "op")


def request(name: str) -> Operation:
    op = Operation("http", time.perf_counter_ns())
    op.name = name
    return op


def compute(seconds: float) -> None:
    end_s = time.thread_time() + seconds
    while time.thread_time() < end_s:
        sum(range(500))


def start_traced(run: Callable[[], None]) -> None:
    """A thread that coverage sees, too."""
    threading.Thread(target=run, daemon=True).start()


@contextmanager
def profiling(hz: float = 200, **options: Any) -> Iterator[Profiler]:
    profiler = Profiler(
        hz, service="shop", start_thread=start_traced, allocate_lock=allocate_lock, budget=1.0, **options
    )
    profiler.start()
    try:
        yield profiler
    finally:
        profiler.stop()


def time_ns(rows: Profiles, mode: str, route: str, part: str = "") -> int:
    """What was filed under that mode and route, in stacks that have `part`."""
    return sum(
        weight_ns
        for have, of, stack, weight_ns in zip(rows.mode, rows.route, rows.stack, rows.weight_ns, strict=True)
        if (have, of) == (mode, route) and part in stack
    )


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline_s = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline_s, what
        time.sleep(0.005)


@contextmanager
def in_thread(function: Callable[..., object], *args: object) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    try:
        yield thread
    finally:
        thread.join(LONG_S)


def test_computing_and_sleeping_show_by_route_and_line_and_only_computing_takes_cpu() -> None:
    with profiling() as profiler:
        begun_ns = time.perf_counter_ns()
        with in_thread(serve, request("GET /computing"), lambda: compute(0.5)):
            pass
        computed_ns = time.perf_counter_ns() - begun_ns
        begun_ns = time.perf_counter_ns()
        with in_thread(serve, request("GET /sleeping"), lambda: time.sleep(0.5)):
            pass
        slept_ns = time.perf_counter_ns() - begun_ns
    rows = profiler.profiles()

    assert 0.8 * computed_ns < time_ns(rows, WALL, "GET /computing", "compute (") < 1.2 * computed_ns
    assert 0.4e9 < time_ns(rows, CPU, "GET /computing", "compute (") < 0.6e9
    assert 0.8 * slept_ns < time_ns(rows, WALL, "GET /sleeping", "test_profiler.py:") < 1.2 * slept_ns
    assert time_ns(rows, CPU, "GET /sleeping") < 0.02e9


def test_shares_of_what_alternates_are_within_six_sigma_of_what_was_planted() -> None:
    """A binomial bound: of n looks a share of 0.7 lies within 6·√(0.7·0.3/n), but for one run in 5·10⁸."""

    def long_part() -> None:
        time.sleep(0.007)

    def short_part() -> None:
        time.sleep(0.003)

    spent_s = [0.0, 0.0]

    def view() -> None:
        end_s = time.monotonic() + 3
        while time.monotonic() < end_s:
            for which, part in enumerate((long_part, short_part)):
                begun_s = time.monotonic()
                part()
                spent_s[which] += time.monotonic() - begun_s

    with profiling(130) as profiler, in_thread(serve, request("GET /"), view):
        pass
    rows = profiler.profiles()
    looks = {
        name: sum(
            samples
            for mode, route, stack, samples in zip(rows.mode, rows.route, rows.stack, rows.samples, strict=True)
            if (mode, route) == (WALL, "GET /") and f"{name} (" in stack
        )
        for name in ("long_part", "short_part")
    }
    planted, n = spent_s[0] / sum(spent_s), sum(looks.values())

    assert n > 100
    assert abs(looks["long_part"] / n - planted) < 6 * sqrt(planted * (1 - planted) / n)


def test_a_thread_that_waits_for_work_counts_for_nothing_and_one_that_waits_in_a_request_does() -> None:
    door = threading.Event()
    with profiling() as profiler:
        with in_thread(door.wait), in_thread(serve, request("GET /waiting"), door.wait):
            wait_for(lambda: profiler.looks > 40, "no looks")
            door.set()
        rows = profiler.profiles()

    assert time_ns(rows, WALL, "GET /waiting", "Event.wait (threading.py") > 0
    assert time_ns(rows, WALL, "", "Event.wait (threading.py") == 0


def test_who_waits_for_a_lock_is_seen_at_the_line_that_asks_for_it() -> None:
    lock = threading.Lock()

    def view() -> None:
        with lock:
            pass

    with profiling() as profiler:
        lock.acquire()
        with in_thread(serve, request("GET /convoy"), view):
            wait_for(lambda: profiler.looks > 40, "no looks")
            lock.release()
        rows = profiler.profiles()

    place = f"{shown(__file__)}:{view.__code__.co_firstlineno + 1}"
    assert any(f"view ({place});wait for lock ({place})" in stack for stack in rows.stack)
    assert time_ns(rows, WALL, "GET /convoy", "wait for lock (") > 0.1e9
    assert time_ns(rows, CPU, "GET /convoy", "wait for lock (") < 0.01e9


def test_a_route_is_asked_for_when_its_request_has_ended() -> None:
    op = request("")
    with profiling() as profiler, in_thread(serve, op, lambda: time.sleep(0.2)):
        wait_for(lambda: profiler.looks > 20, "no looks")
        assert set(profiler.tally.take(time.time() + 1).route) <= {""}
        op.name = "GET /late"
    assert set(profiler.profiles().route) >= {"GET /late"}


def test_a_request_that_runs_on_is_filed_under_what_is_known_of_it() -> None:
    door = threading.Event()
    op = request("")
    op.name_so_far = lambda: "GET /endless"
    with profiling() as profiler, in_thread(serve, op, door.wait):
        wait_for(lambda: profiler.looks > 20, "no looks")
        now_s = time.time()
        profiler.tally.take(now_s)
        rows = profiler.tally.take(now_s + 11)
        door.set()
    assert "GET /endless" in rows.route


def test_tasks_of_a_request_are_its_own_and_others_are_not() -> None:
    owners.find_foreign()
    stacks.forget()

    async def child() -> None:
        compute(0.2)

    async def stranger() -> None:
        compute(0.2)

    async def main() -> None:
        empty = contextvars.copy_context()
        CURRENT.set(request("GET /parent"))
        await asyncio.create_task(child())
        await asyncio.create_task(stranger(), context=empty)
        CURRENT.get().end_ns = 1

    with profiling() as profiler, in_thread(lambda: asyncio.run(main())):
        pass
    rows = profiler.profiles()
    assert time_ns(rows, CPU, "GET /parent", "child (") > 0.15e9
    assert time_ns(rows, CPU, "", "stranger (") > 0.15e9
    assert time_ns(rows, CPU, "GET /parent", "stranger (") == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks do not tell their context before 3.12")
def test_the_running_task_of_a_loop_tells_whose_it_is() -> None:
    async def main() -> Operation | None:
        CURRENT.set(op)
        loop = asyncio.get_running_loop()
        return await asyncio.to_thread(lambda: None) or owners.running_task_of(loop)

    op = request("GET /")
    assert asyncio.run(main()) is op


def test_without_a_running_task_nobody_is_named() -> None:
    assert owners.running_task_of(None) is None


def test_looking_at_a_frame_keeps_nothing_of_it_alive() -> None:
    class Thing:
        gone = False

        def __del__(self) -> None:
            Thing.gone = True

    ready, go_on, dropped, end = (threading.Event() for _ in range(4))

    def adapter() -> None:
        op, thing = request("GET /"), Thing()
        ready.set()
        go_on.wait(LONG_S)
        del op, thing
        dropped.set()
        end.wait(LONG_S)

    owned(adapter, "op")
    stacks.forget()
    sampler = Sampler(None)
    sampler.me = threading.get_ident()
    with in_thread(adapter) as thread:
        ready.wait(LONG_S)
        sampler.look(1)
        assert sampler.threads[thread.ident].op.name == "GET /"
        go_on.set()
        dropped.wait(LONG_S)
        assert Thing.gone
        end.set()


def test_a_thread_that_does_not_run_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("CPU clocks of threads are Linux's")
    door = threading.Event()
    sampler = Sampler(None)
    sampler.me = threading.get_ident()
    read: list[int] = []
    plain = Sampler._read
    monkeypatch.setattr(Sampler, "_read", lambda *args: read.append(args[2]) or plain(*args))
    with in_thread(door.wait) as thread:
        wait_for(lambda: (sampler.look(1), read.clear(), sampler.look(1), thread.ident not in read)[-1], "read again")
        door.set()
    sampler.look(1)
    assert thread.ident not in sampler.threads


def test_without_cpu_clocks_wall_time_is_still_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pitstop.record.sampler.CPU_CLOCKS", False)
    monkeypatch.setattr("pitstop.record.profiler.CPU_CLOCKS", False)
    door = threading.Event()
    with profiling() as profiler:
        with (
            in_thread(door.wait),
            in_thread(serve, request("GET /"), door.wait),
            in_thread(compute, 0.2),
        ):
            wait_for(lambda: profiler.looks > 40, "no looks")
            door.set()
        rows = profiler.profiles()
    assert set(rows.mode) == {WALL}
    assert time_ns(rows, WALL, "GET /", "wait (") > 0.1e9
    assert time_ns(rows, WALL, "", "Event.wait (") == 0


def test_it_looks_less_often_when_a_look_costs_more_than_the_budget() -> None:
    profiler = Profiler(100, service="", start_thread=start_thread, allocate_lock=allocate_lock, budget=0.01)
    assert profiler._period_s() == pytest.approx(0.01)
    profiler.cost_s = 0.0005
    assert profiler._period_s() == pytest.approx(0.05)
    profiler.cost_s = 1.0
    assert profiler._period_s() == 2.0


def test_it_looks_less_often_while_recording_sheds() -> None:
    profiler = Profiler(
        100, service="", start_thread=start_thread, allocate_lock=allocate_lock, budget=1, shed=lambda: True
    )
    assert profiler._period_s() == pytest.approx(0.1)


def test_a_burst_looks_more_often_and_is_collected_apart() -> None:
    with profiling(1) as profiler:
        before = profiler.looks
        extra = profiler.burst(0.3, 500)
        with in_thread(serve, request("GET /"), lambda: time.sleep(0.4)):
            pass
        assert profiler.looks - before > 30
        profiler.finish_burst()
        rows = extra.take(time.time(), final=True)
    assert 0.15e9 < time_ns(rows, WALL, "GET /") < 0.6e9
    assert time_ns(profiler.profiles(), WALL, "GET /") > 0.15e9


def test_stopping_ends_the_thread_at_once_and_starting_it_twice_starts_one() -> None:
    before = len(sys._current_frames())
    profiler = Profiler(0.5, service="", start_thread=start_thread, allocate_lock=allocate_lock)
    profiler.start()
    profiler.start()
    wait_for(lambda: len(sys._current_frames()) == before + 1, "not one thread more")
    begun_s = time.monotonic()
    profiler.stop()
    assert time.monotonic() - begun_s < 0.5
    wait_for(lambda: len(sys._current_frames()) == before, "the thread goes on")


def test_where_no_thread_can_be_had_nothing_is_profiled() -> None:
    def refuse(_: object) -> None:
        raise RuntimeError

    profiler = Profiler(50, service="", start_thread=refuse, allocate_lock=allocate_lock)
    profiler.start()
    assert not profiler.running
    profiler.stop()
    assert len(profiler.profiles()) == 0


def test_none_is_started_when_profiles_are_off() -> None:
    profiler = Profiler(0, service="", start_thread=start_thread, allocate_lock=allocate_lock)
    profiler.start()
    assert not profiler.running


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_profiles_with_a_thread_of_its_own() -> None:
    with profiling() as profiler:
        wait_for(lambda: profiler.looks > 2, "no looks")
        child = os.fork()
        if not child:
            try:
                profiler.reset_after_fork()
                profiler.start()
                serve(request("GET /child"), lambda: compute(0.3))
                profiler.stop()
                os._exit(0 if time_ns(profiler.profiles(), CPU, "GET /child", "compute (") > 0.2e9 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fault_of_ours_ends_profiling_and_not_the_host(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Sampler, "look", lambda *_: 1 / 0)
    with profiling() as profiler:
        wait_for(lambda: profiler.stopped, "it goes on")
    assert "profiling stops" in caplog.text


def test_what_it_does_and_costs_is_told_as_gauges() -> None:
    with profiling(100) as profiler:
        assert profiler.gauges() == {}
        wait_for(lambda: profiler.looks > 20, "no looks")
        gauges = profiler.gauges()
    assert 5 < gauges["pitstop.profile_hz"] <= 200
    assert 0 < gauges["pitstop.profile_ratio"] < 0.2
    assert gauges["pitstop.profile_late"] >= 0
