"""Real runs, in threads, on a loop and mixed: results, contexts, bounds."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model import TaskError
from pitstop.tune.waves import Task, Waves

PATIENCE_S = 20.0  # for what must happen, on a machine however busy

Runner = Any


async def anumber(value: int = 1) -> int:
    await asyncio.sleep(0)
    return value


def number(value: int = 1) -> int:
    return value


@pytest.mark.parametrize("one", [number, anumber, lambda: anumber(1)])
def test_results_go_to_parameters_of_their_name_from_plain_and_async_tasks_alike(run: Runner, one: Any) -> None:
    result = run(
        Waves(),
        [
            Task("sum", lambda first, second: first + second, needs=["first", "second"]),
            Task("first", one),
            Task("second", partial(number, 2)),
            Task("all of them", lambda **results: results, needs=["sum", "first"]),
            Task("renamed", lambda total: -total, needs={"total": "sum"}),
            Task("after", lambda: "ordered only", needs=["renamed"], inline=True),
        ],
    )
    assert dict(result) == {
        "sum": 3, "first": 1, "second": 2, "all of them": {"sum": 3, "first": 1}, "renamed": -3,
        "after": "ordered only",
    }  # fmt: skip
    assert result.ok
    assert [result.tasks[name].wave for name in result] == [2, 1, 1, 3, 3, 4]
    assert result.critical_path[-1] in {"after", "all of them"}
    result.raise_for_failure()


def test_nothing_to_do_is_done_at_once(run: Runner) -> None:
    result = run(Waves(), [])
    assert (len(result), result.ok, result.speed_up, result.critical_path) == (0, True, 1.0, ())
    assert "0 tasks" in str(result)


def test_no_more_run_at_once_than_allowed_and_as_many_as_allowed(run: Runner) -> None:
    lock, running, most = threading.Lock(), [0], [0]
    all_there = threading.Barrier(4)

    def counted() -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        all_there.wait(PATIENCE_S)  # only four at once get through
        with lock:
            running[0] -= 1

    result = run(Waves(max_parallel=4), [Task(f"t{i}", counted) for i in range(12)])
    assert result.ok
    assert most[0] == 4


def test_within_a_running_loop_run_is_refused_and_names_what_to_write() -> None:
    async def here() -> None:
        Waves().run([Task("a", number)])

    with pytest.raises(TaskError, match=r"write `await waves.arun\(tasks\)`"):
        asyncio.run(here())


def test_context_variables_of_the_caller_are_there_and_changes_stay_with_the_task(run: Runner) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    tenant.set("shop 7")

    def seen(**_: object) -> str:
        before = tenant.get()
        tenant.set("changed")
        return before

    async def aseen(**_: object) -> str:
        return seen()

    result = run(
        Waves(),
        [
            Task("plain", seen),
            Task("async", aseen),
            Task("inline", seen, inline=True),
            Task("after", seen, ["plain", "async"]),
        ],
    )
    assert set(result.values()) == {"shop 7"}
    assert tenant.get() == "shop 7"


def test_waves_run_within_tasks_of_the_same_waves_even_where_no_thread_is_free() -> None:
    from pitstop.tune.waves import Threads  # noqa: PLC0415

    waves = Waves(max_parallel=4, threads=Threads(most=2))

    def inner(depth: int) -> int:
        if not depth:
            return 1
        return sum(waves.run([Task(f"t{i}", partial(inner, depth - 1)) for i in range(3)]).values())

    assert inner(3) == 27


def test_an_inline_task_runs_in_the_thread_that_asked() -> None:
    result = Waves().run(
        [
            Task("elsewhere", threading.get_ident),
            Task("here", lambda elsewhere: (elsewhere, threading.get_ident()), needs=["elsewhere"], inline=True),
        ]
    )
    elsewhere, here = result["here"]
    assert here == threading.get_ident() != elsewhere


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.sets(st.integers(0, 9), max_size=3), min_size=1, max_size=10),
    st.lists(st.sampled_from(["plain", "async", "inline", "returns one", "fails"]), min_size=10, max_size=10),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
)
def test_any_graph_of_any_mix_gives_each_task_what_it_needs(
    edges: list[set[int]], kinds: list[str], most: int, by_wave: bool, from_async: bool
) -> None:
    needs = [[need for need in wanted if need < i] for i, wanted in enumerate(edges)]

    def made(i: int) -> Task:
        def add_up(**results: int) -> int:
            if kinds[i] == "fails":
                raise ValueError(i)
            return i + sum(results.values())

        async def aadd_up(**results: int) -> int:
            await asyncio.sleep(0)
            return add_up(**results)

        def returns_one(**results: int) -> Any:
            return aadd_up(**results)

        function: Any = {"async": aadd_up, "returns one": returns_one}.get(kinds[i], add_up)
        return Task(f"t{i}", function, [f"t{need}" for need in needs[i]], inline=kinds[i] == "inline")

    expected: dict[int, int | None] = {}
    for i, wanted in enumerate(needs):
        values = [expected[need] for need in wanted]
        known = [value for value in values if value is not None]
        expected[i] = i + sum(known) if len(known) == len(values) and kinds[i] != "fails" else None
    waves, tasks = Waves(max_parallel=most, by_wave=by_wave), [made(i) for i in range(len(needs))]
    result = asyncio.run(waves.arun(tasks)) if from_async else waves.run(tasks)
    assert {i: task.value for i, task in enumerate(result.tasks.values())} == expected
    for task in result.tasks.values():
        for need in task.needs:
            before = result.tasks[need]
            if task.started_s is not None and before.started_s is not None:
                assert before.started_s + before.duration_s <= task.started_s + 1e-9


def test_many_callers_share_one_object_and_none_waits_for_ever(run: Runner) -> None:
    waves = Waves(max_parallel=3)
    tasks = [
        Task("a", number, timeout_s=PATIENCE_S),
        Task("b", lambda a: a + 1, needs=["a"]),
        Task("c", lambda a: a + 2, needs=["a"], inline=True),
        Task("d", lambda b, c: b + c, needs=["b", "c"]),
    ]
    found: list[int] = []

    def many() -> None:
        found.extend(run(waves, tasks)["d"] for _ in range(40))

    callers = [threading.Thread(target=many) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(PATIENCE_S * 3)
    assert found == [5] * 240


def test_a_run_leaves_nothing_to_the_garbage_collector() -> None:
    waves = Waves()
    tasks = [Task("a", number), Task("b", lambda a: a, needs=["a"])]
    waves.run(tasks)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            waves.run(tasks)
        assert gc.collect() < 20
    finally:
        gc.enable()
