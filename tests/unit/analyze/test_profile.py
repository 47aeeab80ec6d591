from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze import flame_graph, profile_diff, profile_search, profiles, top_functions
from pitstop.model import Profiles, Window

STACKS = {"main (a.py:1);load (b.py:2)": 30, "main (a.py:1);load (b.py:2);read (c.py:3)": 60, "main (a.py:1)": 10}


def test_the_flame_graph_nests_frames_and_adds_their_time_up(recorded: Any) -> None:
    recorded.profile(1000, STACKS)
    recorded.profile(1000, {"main (a.py:1)": 5}, mode="cpu")
    recorded.profile(1000, {"main (a.py:1)": 5}, route="GET /b")
    graph = flame_graph(profiles(recorded.store, Window(960, 1060), "shop", "GET /a"))
    assert (graph.mode, graph.samples, graph.total_s, graph.frames) == ("wall", 100, pytest.approx(1.0), 4)
    (main,) = graph.root.children
    (load,) = main.children
    assert (main.name, main.self_s, main.total_s) == ("main (a.py:1)", pytest.approx(0.1), pytest.approx(1.0))
    assert (load.self_s, load.total_s, load.samples) == (pytest.approx(0.3), pytest.approx(0.9), 90)
    assert load.children[0].children == ()


def test_what_is_too_narrow_to_be_drawn_is_added_up(stacks: Any) -> None:
    graph = flame_graph(stacks({"a;big": 998, "a;x": 1, "a;y;z": 1}), least_ratio=0.01)
    big, rest = graph.root.children[0].children
    assert (big.name, rest.name, rest.total_s, rest.samples) == ("big", "(rest)", pytest.approx(0.02), 2)
    assert graph.frames == 3


def test_a_function_counts_once_a_stack_however_often_it_calls_itself(stacks: Any) -> None:
    rows = top_functions(stacks({"f;f;f": 6, "f;g": 4}))
    assert [(row.name, row.self_ratio, row.total_ratio) for row in rows] == [("f", 0.6, 1.0), ("g", 0.4, 0.4)]
    assert (rows[0].self_s, rows[0].total_s, rows[0].samples) == (pytest.approx(0.06), pytest.approx(0.1), 10)


def test_a_stack_without_frames_counts_for_the_whole_and_for_no_function(stacks: Any) -> None:
    found = stacks({"": 5, "f": 5})
    assert [(row.name, row.self_ratio) for row in top_functions(found)] == [("f", 0.5)]
    assert flame_graph(found).root.self_s == pytest.approx(0.05)


def test_two_windows_are_compared_by_share_and_not_by_load(stacks: Any) -> None:
    found = profile_diff(stacks({"f;slow": 600, "f;same": 400}), stacks({"f;slow": 2, "f;same": 8, "f;gone": 10}))
    shares = {delta.name: (delta.self_ratio, delta.before_self_ratio) for delta in found.functions}
    assert shares == {"slow": (0.6, 0.1), "gone": (0.0, 0.5)}
    (f,) = found.root.children
    assert f.delta_ratio == pytest.approx(0)
    by_name = {node.name: node for node in f.children}
    assert by_name["gone"].delta_ratio == pytest.approx(-0.5)
    assert by_name["slow"].self_delta_ratio == pytest.approx(0.5)
    assert (found.total_s, found.before_total_s) == (pytest.approx(10), pytest.approx(0.2))


def test_a_search_counts_a_stack_once_however_many_frames_it_finds(stacks: Any) -> None:
    found = profile_search(stacks({"main;Load;load_one": 3, "main;other": 1, "lo;ad": 1}), "load")
    assert found.names == ("Load", "load_one")
    assert (found.total_s, found.ratio) == (pytest.approx(0.03), pytest.approx(0.6))


def test_an_empty_profile_is_an_empty_tree() -> None:
    graph = flame_graph(Profiles())
    assert (graph.root.children, graph.total_s, graph.samples, graph.mode) == ((), 0, 0, "")
    assert profile_diff(Profiles(), Profiles()).functions == ()
    assert profile_search(Profiles(), "x").ratio == 0
    assert top_functions(Profiles()) == []


def test_a_stack_deeper_than_python_may_call_is_no_trouble(stacks: Any) -> None:
    graph = flame_graph(stacks({";".join(f"f{i}" for i in range(5_000)): 1}))
    assert graph.frames == 5_001


@given(st.dictionaries(st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(";".join), st.integers(1, 50)))
def test_every_level_of_any_tree_adds_up_to_the_one_above(rows: dict[str, int]) -> None:
    found = Profiles()
    for stack, samples in rows.items():
        found.stack.append(stack)
        found.samples.append(samples)
        found.weight_ns.append(samples * 1000)
        found.mode.append("wall")
    graph = flame_graph(found, least_ratio=0)
    todo, seen = [graph.root], 0
    while todo:
        node = todo.pop()
        seen += 1
        assert node.samples >= sum(child.samples for child in node.children)
        assert node.total_s == pytest.approx(node.self_s + sum(child.total_s for child in node.children))
        todo += node.children
    assert (graph.samples, graph.frames) == (sum(rows.values()), seen)
