"""Incidents, rules, channels and components, as whoever watches tells them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pitstop.dashboard.export.family import COUNTER, GAUGE, Family, shown
from pitstop.model import Window
from pitstop.model.watching import DEGRADED, DOWN, FIRING, NO_DATA, OK, PENDING, RESOLVED, SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.dashboard.export.facts import Facts

_LOOK_S = 3600  # incidents that ended longer ago are history
_STATES = (OK, DEGRADED, DOWN, NO_DATA)
_RULE_STATES = (OK, PENDING, FIRING, NO_DATA)


def families(facts: Facts) -> Iterator[Family]:
    """Nothing of it where nobody watches."""
    if facts.watch is None:
        return
    yield from _incidents(facts)
    yield from _rules(facts)
    yield from _channels(facts)
    components = facts.seldom("components", lambda: facts.watched(lambda watch: watch.components()))
    yield Family(
        "pitstop_component_state", GAUGE, "One for the state that a component is in.", labels=("component", "state"),
        values=[((shown(one.name), state), float(one.state == state)) for one in components for state in _STATES],
    )  # fmt: skip


def _incidents(facts: Facts) -> Iterator[Family]:
    now_s = int(facts.now_s)
    window = Window(now_s - _LOOK_S, now_s + 1)
    incidents = facts.watched(lambda watch: watch.incidents(window))
    states = Counter((one.severity, one.state) for one in incidents)
    yield Family(
        "pitstop_alerts", GAUGE, "Incidents of the last hour by state.", labels=("severity", "state"),
        values=[
            ((severity, state), float(states[severity, state]))
            for severity in SEVERITIES for state in (PENDING, FIRING, RESOLVED)
        ],
    )  # fmt: skip
    firing: Counter[tuple[str, ...]] = Counter()
    for one in incidents:
        if one.state == FIRING:
            known = one.labels.get
            quiet = (
                "silenced" if one.silenced else "inhibited" if one.inhibited else "acknowledged" if one.acked_by else ""
            )
            labels = (one.rule, one.severity, known("service", ""), known("route", ""), known("tenant", ""), quiet)
            firing[tuple(map(shown, labels))] += 1
    yield Family(
        "pitstop_alert_firing", GAUGE, "Incidents that fire now; quiet: why nobody is told.",
        labels=("rule", "severity", "service_name", "route", "tenant", "quiet"),
        values=[(labels, float(number)) for labels, number in firing.items()],
    )  # fmt: skip


def _rules(facts: Facts) -> Iterator[Family]:
    rules = facts.watched(lambda watch: watch.rules())
    states = Counter(rule.state for rule in rules)
    yield Family(
        "pitstop_alert_rules", GAUGE, "Alert rules by state.", labels=("state",),
        values=[((state,), float(states[state])) for state in _RULE_STATES] if rules else (),
    )  # fmt: skip
    yield Family(
        "pitstop_alert_rule_problems", GAUGE, "Rules that cannot be evaluated as they are written.",
        values=[((), float(sum(bool(rule.problem) for rule in rules)))] if rules else (),
    )  # fmt: skip
    for name, text, values in (
        ("pitstop_alert_rule_evaluation_seconds", "How long the last look took.", [rule.took_s for rule in rules]),
        ("pitstop_alert_rule_checked_timestamp_seconds", "When the rule was last looked at.",
         [rule.checked_s for rule in rules]),
    ):  # fmt: skip
        found: dict[tuple[str, ...], float] = {}
        for rule, value in zip(rules, values, strict=True):
            if value is not None:
                found[shown(rule.name), rule.kind] = value
        yield Family(name, GAUGE, text, "seconds", ("rule", "kind"), list(found.items()))


def _channels(facts: Facts) -> Iterator[Family]:
    channels = facts.watched(lambda watch: watch.channels())
    labels = [(shown(one.name), one.kind) for one in channels]
    for name, kind, text, values in (
        ("pitstop_notifications_sent", COUNTER, "Messages that a channel took.", [one.sent for one in channels]),
        ("pitstop_notifications_waiting", GAUGE, "Messages on their way.", [one.waiting for one in channels]),
        ("pitstop_notifications_dead", GAUGE, "Messages given up, kept to be seen.", [one.dead for one in channels]),
    ):
        found = [(label, float(value)) for label, value in zip(labels, values, strict=True)]
        yield Family(name, kind, text, labels=("channel", "kind"), values=found)
    yield Family(
        "pitstop_channel_state", GAUGE, "One for the state that a channel is in.", labels=("channel", "kind", "state"),
        values=[
            ((*label, state), float(one.state == state))
            for label, one in zip(labels, channels, strict=True) for state in _STATES
        ],
    )  # fmt: skip
