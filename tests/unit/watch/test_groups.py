"""Few messages, in time, and each only once."""

from __future__ import annotations

import pytest

from pitstop.model.watching import Incident, Notification
from pitstop.watch.groups import MOST_DETAILS, Group, Grouping, group, message

USUAL = Grouping()


def incident(number: int = 0, rule: str = "slow", severity: str = "page", **values: object) -> Incident:
    labels = {"rule": rule, "severity": severity, "service": "shop", "route": f"GET /{number}"}
    return Incident(
        number, f"{number:016x}", rule, severity, "firing", labels, f"P95 of {number} is 1 s", 1.0, 0.5, "s", 0.0, 0.0
    )._replace(**values)


class Told:
    """Steps through time with what fires at each."""

    def __init__(self, grouping: Grouping = USUAL) -> None:
        self.grouping = grouping
        self.groups: dict[str, Group] = {}
        self.ended: dict[str, Incident] = {}
        self.said: list[tuple[float, Notification]] = []

    def at(self, now_s: float, *firing: Incident, over: tuple[Incident, ...] = ()) -> list[Notification]:
        self.ended |= {one.key: one._replace(state="resolved", ended_s=now_s) for one in over}
        done = group(self.groups, firing, self.ended, self.grouping, now_s)
        self.groups = done.groups
        self.said += [(now_s, one) for one in done.notifications]
        return done.notifications


def test_the_first_message_waits_for_what_may_follow() -> None:
    told = Told()
    assert told.at(0, incident(1)) == []
    assert told.at(29, incident(1), incident(2)) == []
    [message] = told.at(30, incident(1), incident(2), incident(3))

    assert message.title == "slow (shop): 3 incidents"
    assert len(message.details) == 3
    assert (message.state, message.severity, message.labels["service"]) == ("firing", "page", "shop")


def test_a_burst_of_a_thousand_is_few_messages() -> None:
    told = Told()
    for second in range(0, 600, 5):
        told.at(second, *[incident(i, rule=f"rule {i % 3}") for i in range(min(1000, 4 * second))])

    assert len(told.said) == 6  # three groups: after the wait, and once after the interval
    assert all(len(one.details) <= MOST_DETAILS + 1 for _, one in told.said)
    assert told.said[-1][1].details[-1] == "… and 313 more"


def test_what_changes_is_told_each_interval_and_what_does_not_each_four_hours() -> None:
    told = Told()
    for minute in range(10 * 60):
        told.at(minute * 60, incident(1), *([incident(2)] if minute >= 3 else []))

    assert [at for at, _ in told.said] == [60, 360, 360 + 4 * 3600, 360 + 8 * 3600]


def test_an_end_is_told_once_and_then_the_group_is_forgotten() -> None:
    told = Told()
    told.at(0, incident(1))
    told.at(30, incident(1))
    assert told.at(100, over=(incident(1),)) == []
    [message] = told.at(330)

    assert (message.state, message.ended_s) == ("resolved", 100)
    assert told.at(10_000) == []
    assert told.groups == {}


def test_what_came_and_went_unseen_is_not_told() -> None:
    told = Told()
    told.at(0, incident(1))
    told.at(20, over=(incident(1),))
    assert told.at(600) == []
    assert told.groups == {}


def test_what_comes_back_before_its_end_was_told_was_never_gone() -> None:
    told = Told()
    told.at(0, incident(1))
    told.at(30, incident(1))
    told.at(100, over=(incident(1),))
    told.ended.clear()
    assert told.at(330, incident(1)._replace(id=9)) == []


@pytest.mark.parametrize("muted", [{"silenced": "by ann"}, {"inhibited": "'store' fires"}, {"acked_by": "ann"}])
def test_what_is_muted_or_looked_after_is_not_told_but_its_end_is(muted: dict[str, str]) -> None:
    told = Told()
    assert told.at(0, incident(1, **muted)) == told.at(60, incident(1, **muted)) == []
    told = Told()
    told.at(0, incident(1))
    assert len(told.at(30, incident(1))) == 1
    assert told.at(5 * 3600, incident(1, **muted)) == []
    assert [one.state for one in told.at(6 * 3600, over=(incident(1, **muted),))] == ["resolved"]


def test_a_silence_that_ends_lets_it_be_heard() -> None:
    told = Told()
    told.at(0, incident(1, silenced="by ann"))
    told.at(3599, incident(1, silenced="by ann"))
    assert told.at(3600, incident(1)) == []
    assert [one.state for one in told.at(3630, incident(1))] == ["firing"]


def test_a_message_is_as_severe_as_the_worst_that_it_is_about() -> None:
    told = Told(Grouping(by=("service",), wait_s=0))
    [message] = told.at(0, incident(1, rule="a", severity="info"), incident(2, rule="b"))

    assert (message.severity, message.title) == ("page", "b and others (shop): 2 incidents")
    assert message.key == told.groups[message.key].key


def test_messages_of_one_group_have_one_key_and_those_of_others_have_others() -> None:
    told = Told(Grouping(wait_s=0))
    told.at(0, incident(1), incident(2, rule="other"))
    told.at(400, incident(1), incident(3), incident(2, rule="other"))

    keys = [one.key for _, one in told.said]
    assert len(keys) == 3
    assert keys[2] in keys[:2]
    assert len(set(keys)) == 2


@pytest.mark.parametrize(
    ("public_url", "ident", "url"),
    [
        ("", 7, ""),
        ("https://pit.example.org/", 7, "https://pit.example.org/alert?id=7"),
        ("https://pit.example.org/ops", 0, "https://pit.example.org/ops/alerts"),
    ],
)
def test_a_message_leads_to_its_incident(public_url: str, ident: int, url: str) -> None:
    assert message("k", [incident(ident)], [], USUAL, public_url).url == url
