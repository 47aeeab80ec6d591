"""Flame graphs as columns."""

from __future__ import annotations

import pytest

from pitstop.analyze import flame_graph, profile_diff
from pitstop.dashboard import flame
from pitstop.dashboard.pages.profile import check
from pitstop.model import SettingError
from pitstop.model.columns import Profiles


def stacks(*rows: tuple[str, int]) -> Profiles:
    found = Profiles()
    for stack, weight_us in rows:
        for column, value in (("ts", 0), ("service", "s"), ("mode", "wall"), ("route", ""), ("stack", stack)):
            getattr(found, column).append(value)
        found.samples.append(1)
        found.weight_ns.append(weight_us * 1000)
    return found


def test_a_frame_stands_before_what_it_called_and_its_time_holds_theirs() -> None:
    drawn = flame.flat(flame_graph(stacks(("a;b", 30), ("a;c", 10), ("d", 60)), least_ratio=0))
    names = [drawn["names"][i] for i in drawn["name"]]
    assert list(zip(drawn["depth"], names, drawn["value"], drawn["self"], strict=True)) == [
        (0, "all", 100, 0),
        (1, "a", 40, 0),
        (2, "b", 30, 30),
        (2, "c", 10, 10),
        (1, "d", 60, 60),
    ]


def test_a_difference_has_the_share_of_before() -> None:
    diff = profile_diff(stacks(("a;b", 30), ("a;c", 10)), stacks(("a;b", 10), ("a;c", 10)), least_ratio=0)
    drawn = flame.differing(diff)
    by_name = {drawn["names"][name]: i for i, name in enumerate(drawn["name"])}
    assert drawn["value"][by_name["b"]] == 30
    assert drawn["before"][by_name["b"]] == 0.5
    assert drawn["self"][by_name["a"]] == 0


def test_stacks_deeper_than_python_recurses_are_drawn() -> None:
    drawn = flame.flat(flame_graph(stacks((";".join(f"f{i}" for i in range(3000)), 5)), least_ratio=0))
    assert max(drawn["depth"]) == 3000


@pytest.mark.parametrize(("mode", "against"), [("gpu", "none"), ("wall", "yesterday")])
def test_what_there_is_not_is_refused_with_what_there_is(mode: str, against: str) -> None:
    with pytest.raises(SettingError, match="is none of"):
        check(mode, against)
