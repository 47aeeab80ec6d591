"""Pending, firing, resolved: what becomes of readings, whatever they are."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from pitstop.watch.conditions.reading import Reading
from pitstop.watch.incidents import Followed, Looked, Open, follow, key_of
from pitstop.watch.rules import Rule

if TYPE_CHECKING:
    from pitstop.model.watching import Incident

RULE = Rule("slow", "threshold", "page", metric="p95", above=1.0, for_s=60, keep_s=120, every_s=30)


def reading(value: float | None, rule: Rule = RULE, **labels: str) -> Reading:
    hot, calm = rule.verdict(value)
    return Reading(labels or {"service": "shop"}, hot, calm, value, rule.limit, "s", f"it is {value}")


def looks(values: list[float | None], rule: Rule = RULE) -> tuple[dict[str, Open], list[Incident], list[str]]:
    """One look each half minute; None: there is nothing to read."""
    opened: dict[str, Open] = {}
    ended: list[Incident] = []
    told: list[str] = []
    for i, value in enumerate(values):
        seen = [] if value is None else [reading(value, rule)]
        step = follow(opened, [Looked(rule, i * rule.every_s, seen)])
        opened, ended = step.open, ended + step.ended
        told += [moment.what for _, moment in step.moments]
    return opened, ended, told


def test_it_fires_when_it_has_been_true_for_long_enough() -> None:
    for hot, state in ((2, "pending"), (3, "firing")):
        opened, _, _ = looks([2.0] * hot)
        [one] = opened.values()
        assert one.incident.state == state
        assert one.incident.began_s == 0


def test_what_ceases_before_is_forgotten() -> None:
    assert looks([2.0, 2.0, 0.5, 2.0, 2.0])[2] == []


def test_without_for_it_fires_at_once() -> None:
    assert looks([2.0], RULE._replace(for_s=0))[2] == ["fired"]


def test_it_ends_as_of_when_it_was_calm_for_long_enough() -> None:
    opened, [ended], told = looks([2.0] * 3 + [0.5] * 5)

    assert opened == {}
    assert (ended.state, ended.fired_s, ended.ended_s) == ("resolved", 60, 90)
    assert told == ["fired", "resolved"]


def test_what_cannot_be_seen_any_more_is_calm() -> None:
    assert looks([2.0] * 3 + [None] * 5)[2] == ["fired", "resolved"]


def test_between_the_limit_and_the_one_that_clears_it_nothing_changes() -> None:
    rule = RULE._replace(clear=0.5)
    opened, ended, _ = looks([2.0] * 3 + [0.7] * 20, rule)

    assert ended == []
    assert [one.incident.state for one in opened.values()] == ["firing"]
    assert looks([2.0] * 3 + [0.7] * 20 + [0.5] * 5, rule)[2] == ["fired", "resolved"]


def test_flapping_is_one_incident() -> None:
    opened, ended, told = looks([2.0] * 3 + [0.5, 2.0, 0.5, 0.5, 2.0] * 100)

    assert len(opened) == 1
    assert ended == []
    assert told.count("fired") == 1


def test_each_set_of_labels_is_an_incident_of_its_own() -> None:
    rule = RULE._replace(for_s=0)
    step = follow({}, [Looked(rule, 0, [reading(2.0, rule, route="a"), reading(3.0, rule, route="b")])])

    assert {one.incident.labels["route"] for one in step.open.values()} == {"a", "b"}
    assert all(key == one.incident.key == key_of(one.incident.labels) for key, one in step.open.items())


def test_incidents_of_rules_that_are_no_more_end() -> None:
    fired = follow({}, [Looked(RULE._replace(for_s=0), 0, [reading(2.0)])])
    other = RULE._replace(name="other")
    step = follow(fired.open, [Looked(other, 30, [])], known={"other"}, now_s=35)

    assert step.open == {}
    assert [(one.rule, one.ended_s) for one in step.ended] == [("slow", 35)]
    assert [moment.text for _, moment in step.moments] == ["the rule is no more"]


@given(st.lists(st.sampled_from([0.4, 0.8, 2.0, None]), max_size=60), st.integers(0, 3), st.integers(0, 3))
def test_incidents_of_one_key_never_overlap_and_each_fires_once(
    values: list[float | None], for_steps: int, keep_steps: int
) -> None:
    rule = RULE._replace(for_s=for_steps * 30, keep_s=keep_steps * 30, clear=0.5)
    opened, ended, told = looks(values, rule)
    firing = [one.incident for one in opened.values() if one.incident.state == "firing"]

    assert told.count("fired") == len(ended) + len(firing)
    assert told.count("resolved") == len(ended)
    everything = [*ended, *firing]
    for one, following in pairwise(everything):
        assert one.ended_s is not None
        assert one.began_s <= (one.fired_s or 0) <= one.ended_s <= following.began_s


@given(st.lists(st.sampled_from([0.4, 0.8, 2.0, None]), max_size=40))
def test_the_same_look_again_changes_nothing(values: list[float | None]) -> None:
    opened: dict[str, Open] = {}
    for i, value in enumerate(values):
        look = Looked(RULE, i * 30, [] if value is None else [reading(value)])
        once = follow(opened, [look])
        again = follow(once.open, [look])
        if value is None or not once.ended:
            assert again == Followed(once.open, [], [])
        opened = once.open
