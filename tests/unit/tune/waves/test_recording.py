"""A run in its request's trace: the run, its tasks and waves, who needs whom, and what it all hangs on."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.record import Child, Record
from pitstop.record import RECORDER, Operation, count, leaf
from pitstop.record.operation import CURRENT
from pitstop.tune.waves import Task, Threads, Waves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(autouse=True)
def recording() -> Iterator[None]:
    RECORDER.reset_after_fork()
    RECORDER.on = True
    yield
    RECORDER.on = False
    RECORDER.reset_after_fork()


def request(work: Callable[[], object]) -> tuple[Record, dict[str, Child]]:
    """What is kept of a request that does `work`, and what ended below it by name."""
    root = Operation("http", time.perf_counter_ns())
    root.name = "GET /"
    token = CURRENT.set(root)
    try:
        work()
    finally:
        CURRENT.reset(token)
    RECORDER.finish(root, time.perf_counter_ns())
    record = Record._make(RECORDER.drain().records[-1])
    children = [Child(*child) for child in record.children or ()]
    return record, {child.name: child for child in children}


def query(name: str) -> Callable[..., str]:
    def function(**_: object) -> str:
        now_ns = time.perf_counter_ns()
        leaf("db", f"SELECT {name}", "ok", now_ns, now_ns + 1)
        return name

    return function


def aquery(name: str) -> Callable[..., Any]:
    async def function(**_: object) -> str:
        return query(name)()

    return function


def fails() -> None:
    raise ValueError("no")


@pytest.mark.parametrize("how", ["sync", "async"])
def test_every_task_hangs_below_its_run_with_wave_needs_and_critical_path(how: str) -> None:
    tasks = [
        Task("customer", query("customer")),
        Task("orders", aquery("orders") if how == "async" else query("orders"), needs=["customer"]),
        Task("total", query("total"), needs=["customer", "orders"], inline=True),
    ]
    waves = Waves(max_parallel=4, name="checkout")
    _, found = request(lambda: waves.run(tasks) if how == "sync" else asyncio.run(waves.arun(tasks)))
    run = found["checkout"]
    assert run.attrs is not None
    assert {key: run.attrs[key] for key in ("tasks", "waves", "max_parallel", "critical_path")} == {
        "tasks": 3, "waves": 3, "max_parallel": 4, "critical_path": "customer → orders → total",
    }  # fmt: skip
    assert run.attrs["speed_up"] > 0
    assert dict(found["total"].attrs or {}) == {
        "wave": 3, "needs": "customer, orders", "critical": True, "waited_s": pytest.approx(0, abs=1),
    }  # fmt: skip
    for name in ("customer", "orders", "total"):
        task = found[name]
        assert (task.kind, task.outcome, task.parent_ns) == ("function", "ok", run.start_ns)
        assert run.start_ns <= task.start_ns <= task.end_ns <= run.end_ns
        assert found[f"SELECT {name}"].parent_ns == task.start_ns
    for number, name in enumerate(("customer", "orders", "total"), 1):
        wave = found[f"wave {number}"]
        assert (wave.kind, wave.parent_ns) == ("stage", run.start_ns)
        assert (wave.start_ns, wave.end_ns) == (found[name].start_ns - 1, found[name].end_ns)


def test_failures_skips_and_retries_are_seen() -> None:
    tasks = [Task("bad", fails, on_failure="skip"), Task("child", query("child"), ["bad"]), Task("good", query("good"))]
    _, found = request(lambda: Waves().run(tasks))
    assert (found["bad"].outcome, (found["bad"].attrs or {})["error"]) == ("error", "ValueError")
    assert (found["waves"].outcome, (found["waves"].attrs or {})["skipped"]) == ("error", "child")
    assert "child" not in found
    _, found = request(lambda: Waves(on_failure="contain").run([Task("bad", fails)]))
    assert found["waves"].outcome == "ok"  # it was contained, and the host went on
    root = Operation("http", time.perf_counter_ns())
    token = CURRENT.set(root)
    Waves().run([Task("bad", fails, retries=2, retry_delay_s=0)])
    CURRENT.reset(token)
    attempts = [Child(*child).attrs or {} for child in root.children or () if child[1] == "bad"]
    assert [attrs.get("attempt", 1) for attrs in attempts] == [1, 2, 3]


def test_a_thread_that_was_given_up_ends_for_the_trace_when_nobody_waits_for_it_any_more() -> None:
    release = threading.Event()
    tasks = [Task("hangs", lambda: release.wait(20), timeout_s=0.5)]
    _, found = request(lambda: Waves().run(tasks))
    release.set()
    task = found["hangs"]
    assert (task.outcome, (task.attrs or {})["ended"]) == ("error", "timeout, its thread goes on")
    assert 0.4e9 <= task.duration_ns < 15e9


def test_waiting_for_a_thread_is_told_from_working() -> None:
    threads = Threads(most=1)
    _, found = request(
        lambda: Waves(threads=threads).run([Task("a", lambda: time.sleep(0.02)), Task("b", lambda: time.sleep(0.02))])
    )
    assert found["waves"].end_ns - found["waves"].start_ns >= 0.04e9
    waits = [child for child in found.values() if child.kind == "pool_wait"]
    assert max(wait.duration_ns for wait in waits) >= 0.015e9


def test_without_a_request_the_run_is_a_root_of_its_own() -> None:
    Waves(name="nightly").run([Task("a", query("a"))])
    records = [Record._make(record) for record in RECORDER.drain().records]
    assert [(record.kind, record.name) for record in records] == [("function", "nightly")]
    assert {child[1] for child in records[0].children or ()} == {"a", "SELECT a", "wave 1"}


def test_nothing_is_recorded_where_recording_is_off() -> None:
    RECORDER.on = False
    assert Waves().run([Task("a", query("a")), Task("b", aquery("b"))]).ok
    count("nothing")
    assert not RECORDER.drain().records


def test_a_request_that_is_sampled_out_runs_its_tasks_all_the_same() -> None:
    RECORDER.shed(spans_on=False, sample_rate=1.0)
    try:
        record, found = request(lambda: Waves().run([Task("a", query("a"))]))
    finally:
        RECORDER.shed(spans_on=True, sample_rate=1.0)
    assert record.name == "GET /"
    assert isinstance(found, dict)
