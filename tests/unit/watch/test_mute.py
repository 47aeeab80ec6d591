"""Silences, maintenance windows, inhibition and dependencies keep messages back, not incidents."""

from __future__ import annotations

import calendar

import pytest

from pitstop.model.watching import Incident, Silence
from pitstop.watch.incidents import Open, key_of
from pitstop.watch.mute import Inhibit, Maintenance, Muting, fits, mute

MONDAY_S = calendar.timegm((2026, 11, 16, 0, 0, 0))
HOUR_S = 3600


def opened(rule: str, severity: str = "page", state: str = "firing", **labels: str) -> Open:
    named = {"rule": rule, "severity": severity, "service": "shop", **labels}
    return Open(Incident(1, key_of(named), rule, severity, state, named, rule, 1.0, 0.5, "s", 0.0, 0.0))


def muted(muting: Muting, *ones: Open, now_s: float = 100.0) -> dict[str, tuple[str, str]]:
    after, _ = mute({one.incident.key: one for one in ones}, muting, now_s)
    return {one.incident.rule: (one.incident.silenced, one.incident.inhibited) for one in after.values()}


def test_a_silence_holds_while_it_lasts_for_all_that_matches_all_of_it() -> None:
    silence = Silence(1, {"service": "sh*", "rule": "slow"}, "ann", "rollout", 50, 200)
    ones = opened("slow"), opened("errors")

    assert muted(Muting([silence]), *ones) == {
        "slow": ("by ann until 1970-01-01T00:03:20Z: rollout", ""), "errors": ("", ""),
    }  # fmt: skip
    for now_s in (49, 200):
        assert muted(Muting([silence]), *ones, now_s=now_s)["slow"] == ("", "")


def test_what_changes_stands_in_the_timeline() -> None:
    silence = Silence(1, {"rule": "slow"}, "ann", "rollout", 50, 200)
    one = opened("slow")
    after, begun = mute({"k": one}, Muting([silence]), 100)
    again, nothing = mute(after, Muting([silence]), 110)
    _, over = mute(again, Muting([silence]), 200)

    assert [moment.what for _, moment in begun + nothing + over] == ["silenced", "no longer silenced"]


def test_a_label_that_is_not_there_is_empty() -> None:
    assert not fits({"tenant": "acme"}, {"service": "shop"})
    assert fits({"tenant": ""}, {"service": "shop"})
    assert fits({"tenant": "*"}, {"service": "shop"})


@pytest.mark.parametrize(
    ("days", "begin", "end", "hours"),
    [
        ((), 2 * 60, 4 * 60, [2, 3, 26, 27]),
        ((0,), 2 * 60, 4 * 60, [2, 3]),
        ((0,), 22 * 60, 2 * 60, [22, 23, 24, 25]),
        ((6,), 22 * 60, 2 * 60, [0, 1]),
        ((1,), 0, 24 * 60, list(range(24, 48))),
    ],
)
def test_maintenance_covers_its_hours_in_utc_across_midnight_too(
    days: tuple[int, ...], begin: int, end: int, hours: list[int]
) -> None:
    window = Maintenance("nightly", days, begin, end, {"service": "shop"})
    covered = [hour for hour in range(48) if window.covers(MONDAY_S + hour * HOUR_S + 1)]

    assert covered == hours
    silenced = muted(Muting(maintenances=[window]), opened("slow"), now_s=MONDAY_S + hours[0] * HOUR_S)
    assert silenced == {"slow": ("maintenance: nightly", "")}


def test_what_pages_inhibits_the_ticket_about_the_same_service_only() -> None:
    inhibit = Inhibit({"severity": "page"}, {"severity": "ticket"}, ("service",))
    found = muted(
        Muting(inhibits=[inhibit]),
        opened("down"), opened("slow", "ticket"), opened("other", "ticket", service="billing"),
    )  # fmt: skip

    assert found == {"down": ("", ""), "slow": ("", "'down' fires"), "other": ("", "")}


def test_nothing_inhibits_itself_and_only_what_fires_inhibits() -> None:
    inhibit = Inhibit({"service": "shop"}, {"service": "shop"}, ())
    assert muted(Muting(inhibits=[inhibit]), opened("a"), opened("b")) == {"a": ("", ""), "b": ("", "")}
    inhibit = Inhibit({"rule": "a"}, {"rule": "b"}, ())
    assert muted(Muting(inhibits=[inhibit]), opened("a", state="pending"), opened("b"))["b"] == ("", "")


def test_what_depends_on_something_that_fires_is_told_only_without_it() -> None:
    muting = Muting(depends_on={"checkout": ["store*"]})
    assert muted(muting, opened("checkout"), opened("store down"))["checkout"] == (
        "", "depends on 'store down', which fires",
    )  # fmt: skip
    assert muted(muting, opened("checkout"))["checkout"] == ("", "")
