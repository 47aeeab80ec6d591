"""What analysis, objectives and components tell of becomes readings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.model import Errors
from pitstop.model.watching import Burn, Component
from pitstop.watch.budgets import Burning
from pitstop.watch.conditions import KINDS
from pitstop.watch.objectives import Objective
from pitstop.watch.rules import parse_rule
from pitstop.watch.sight import Sight

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock, Recorded

    from pitstop.watch.conditions.reading import Reading

DAY_S = 86_400


def test_statements_that_are_repeated_are_told_of_once_enough_requests_did(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    at_s = int(clock.at_s)
    series = {"kind": "n_plus_one", "route": "SELECT ?", "parent": "GET /a", "outcome": "shop/a.py:7 in view"}
    rule = {"kind": "finding", "finding": "n_plus_one", "routes": ["GET *"]}
    recorded.add(at_s - 60, [0.06] * 4, nbytes=40, **series)
    [few] = look(recorded.store, at_s, **rule)
    recorded.add(at_s - 50, [0.06] * 4, nbytes=40, **series)
    recorded.add(at_s - 50, [0.06] * 9, nbytes=90, **(series | {"parent": "POST /b"}))
    [found] = look(recorded.store, at_s, **rule)

    assert (few.hot, few.calm, found.hot) == (False, True, True)
    assert found.labels == {"service": "shop", "route": "GET /a", "statement": "SELECT ?"}
    assert found.text == "GET /a runs 'SELECT ?' 10 times in a request, 60 ms each, at shop/a.py:7 in view"


def test_an_error_that_was_never_seen_before_is_told_of_while_it_is_new(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    at_s = int(clock.at_s)
    for ts, name in ((at_s - 3 * 3600, "old"), (at_s - 60, "old"), (at_s - 60, "new")):
        recorded.add(ts, [0.1] * 2, kind="error", route=name, parent="GET /a", outcome="ValueError")
    seen = Errors()
    for column, value in {
        "ts": at_s - 60, "service": "shop", "route": "GET /a", "fingerprint": "new", "type": "ValueError",
        "message": "", "line": "shop/a.py:7 in view", "stack": "", "trace_id": "",
    }.items():  # fmt: skip
        getattr(seen, column).append(value)
    recorded.append(errors=seen)
    rule = {"kind": "finding", "finding": "new_error"}
    found = look(recorded.store, at_s, **rule)

    assert [(one.labels["fingerprint"], one.value, one.hot) for one in found] == [("new", 2.0, True)]
    assert found[0].text == "ValueError in GET /a, never seen before, at shop/a.py:7 in view"
    assert look(recorded.store, at_s + 3600, **rule) == []


def test_a_health_score_that_fell_is_told_of(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    at_s = int(clock.at_s)
    rule = {"kind": "finding", "finding": "health"}
    recorded.add(at_s - 60, [0.9] * 50)
    assert look(recorded.store, at_s, **rule) == []
    recorded.add(at_s - 1200, [0.02] * 50)
    [against_before] = look(recorded.store, at_s, **rule)
    recorded.add(at_s - DAY_S - 60, [0.8] * 50)
    [against_yesterday] = look(recorded.store, at_s, **rule)

    assert (against_before.hot, against_yesterday.hot) == (True, False)
    assert against_before.unit == "points"
    assert "it was A+ (100) before" in against_before.text


def burning(name: str, severity: str, rate: float, *, firing: bool, **labels: str) -> Burning:
    burns = [
        Burn(severity, 14.4, 3600, 300, rate, rate, firing), Burn("other", 1, 86_400, 7200, 99.0, 99.0, firing=True),
    ]  # fmt: skip
    return Burning(Objective(name, "availability", 0.999), {"slo": name, **labels}, burns)


def test_only_the_pairs_of_the_rules_severity_burn_for_it(recorded: Recorded) -> None:
    given = [
        burning("uptime", "page", 20.0, firing=True, service="shop"),
        burning("uptime", "page", 3.0, firing=False, service="billing"),
        burning("fresh", "page", 30.0, firing=True, service="shop"),
        burning("uptime", "ticket", 30.0, firing=True, service="shop"),
    ]
    rule = parse_rule({"name": "b", "kind": "burn_rate", "slo": "up*"}, "test")
    sight = Sight(recorded.store, 0, burning=lambda _: given)
    found = KINDS["burn_rate"].read(rule, sight)

    assert [(dict(one.labels), one.hot, one.calm, one.value, one.limit) for one in found] == [
        ({"slo": "uptime", "service": "shop"}, True, False, 20.0, 14.4),
        ({"slo": "uptime", "service": "billing"}, False, True, 3.0, 14.4),
    ]
    assert found[0].text == "uptime shop: the error budget burns 20 times as fast as it may over 1h, limit 14.4"


@pytest.mark.parametrize(("state", "hot"), [("ok", False), ("degraded", True), ("down", True), ("no data", False)])
def test_a_component_that_is_not_well_is_told_of(state: str, hot: bool, recorded: Recorded) -> None:
    rule = parse_rule({"name": "c", "kind": "component", "component": "store"}, "test")
    components = [Component("store", state, "in words", 0), Component("disk", "down", "full", 0)]
    [reading] = KINDS["component"].read(rule, Sight(recorded.store, 0, components=lambda _: components))

    assert (reading.hot, reading.labels, reading.text) == (hot, {"component": "store"}, "store: in words")
