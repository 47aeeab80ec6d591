"""What a task takes, and graphs that cannot be run: told before anything starts, with name and next step."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.model import SettingError
from pitstop.tune.waves import Task, Waves
from pitstop.tune.waves.graph import Graph
from pitstop.tune.waves.task import is_async, takes


def plain(a: object, b: object = 2, *, c: object, d: object = 4) -> object:
    return a, b, c, d


def by_position(a: object, /, b: object = 2) -> object:
    return a, b


async def later(a: object) -> object:
    return a


def everything(**results: object) -> object:
    return results


class Holder:
    def method(self, a: object) -> object:
        return a

    async def amethod(self, a: object) -> object:
        return a

    async def __call__(self, a: object) -> object:
        return a


@functools.wraps(plain)
def wrapped(*args: Any, **kwargs: Any) -> object:
    return plain(*args, **kwargs)


@pytest.mark.parametrize(
    ("function", "names", "needed"),
    [
        (plain, {"a", "b", "c", "d"}, {"a", "c"}),
        (by_position, {"b"}, {"a"}),
        (later, {"a"}, {"a"}),
        (everything, set(), set()),
        (Holder().method, {"a"}, {"a"}),
        (Holder(), {"a"}, {"a"}),
        (functools.partial(plain, 1), {"b", "c", "d"}, {"c"}),
        (functools.partial(plain, c=1), {"a", "c", "d"}, {"a"}),
        (wrapped, {"a", "b", "c", "d"}, {"a", "c"}),
        (lambda: 1, set(), set()),
    ],
)
def test_what_a_function_takes_is_seen_from_it(function: Any, names: set[str], needed: set[str]) -> None:
    found = takes(function)
    assert found.needed == needed
    assert names <= found.names
    assert found.everything == (function is everything)


def test_async_is_seen_through_methods_partials_and_objects() -> None:
    assert all(
        is_async(one) for one in (later, Holder().amethod, Holder(), functools.partial(functools.partial(later), 1))
    )
    assert not any(is_async(one) for one in (plain, Holder().method, print, lambda: later(1), functools.partial(plain)))


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        (lambda: [Task("a", print), Task("a", print)], "two tasks are named 'a'"),
        (lambda: [Task("user", print), Task("b", plain, needs=["usr"])], "which is no task: did you mean 'user'?"),
        (lambda: [Task("a", print), Task("b", print, needs=["zzz"])], "; there are first, a, b"),
        (
            lambda: [Task("a", everything, ["c"]), Task("b", everything, ["a"]), Task("c", everything, ["b"])],
            "in a circle: 'a' needs 'c' needs 'b' needs 'a'",
        ),
        (lambda: [Task("a", everything, ["a"])], "'a' needs 'a'"),
        (lambda: [Task("a", print), Task("b", later, needs={"x": "a"})], "takes 'a', which none of its needs"),
        (lambda: [Task("x", print), Task("b", lambda: 1, needs={"y": "x"})], "name the parameter 'y', which"),
        (lambda: [Task("a", by_position)], "takes 'a', which none"),
        (lambda: ["a"], "'a' is no Task"),
        (lambda: [Task("", print)], "give it some text"),
        (lambda: [Task("a", 7)], "cannot be called"),
        (lambda: [Task("a", print, needs="b")], "write needs=['b']"),
        (lambda: [Task("a", print, timeout_s=0)], "timeout_s=0: write more than 0"),
        (lambda: [Task("a", print, retries=-1)], "retries=-1: write 0 … 100"),
        (lambda: [Task("a", print, retry_delay_s=-1)], "retry_delay_s=-1"),
        (lambda: [Task("a", print, on_failure="ignore")], "on_failure='ignore': write one of contain, skip, cancel"),
        (lambda: [Task("a", later, inline=True)], "leave inline out"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_starts(tasks: Any, said: str) -> None:
    started: list[str] = []
    with pytest.raises(SettingError) as refused:
        Waves().run([Task("first", lambda: started.append("first")), *tasks()])
    assert said in str(refused.value)
    assert not started


@pytest.mark.parametrize(
    "arguments", [{"max_parallel": 0}, {"max_parallel": 1001}, {"timeout_s": 0.0}, {"on_failure": "no"}]
)
def test_what_waves_cannot_be_is_refused(arguments: Any) -> None:
    with pytest.raises(SettingError):
        Waves(**arguments)
    with pytest.raises(SettingError, match="timeout_s=-1"):
        Waves().run([], timeout_s=-1)


@given(st.lists(st.sets(st.integers(0, 11)), min_size=1, max_size=12))
def test_a_graph_is_refused_exactly_where_it_has_a_circle(edges: list[set[int]]) -> None:
    needs = [{need for need in wanted if need < len(edges)} for wanted in edges]
    tasks = [Task(f"t{i}", everything, needs=[f"t{need}" for need in wanted]) for i, wanted in enumerate(needs)]
    left = dict(enumerate(needs))
    while free := [i for i, wanted in left.items() if not wanted & left.keys()]:
        for i in free:
            del left[i]
    if left:
        with pytest.raises(SettingError, match="circle"):
            Graph(tasks)
        return
    graph = Graph(tasks)
    assert all(graph.waves[i] == 1 + max((graph.waves[n] for n in wanted), default=0) for i, wanted in enumerate(needs))
    assert all(graph.heights[n] > graph.heights[i] for i, wanted in enumerate(needs) for n in wanted)
