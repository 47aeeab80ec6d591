"""The watcher answers the whole protocol, and what it is told is still known after a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pitstop.model import NotFoundError, SettingError, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock, Recorded

    from pitstop.watch.watcher import Watcher

SLOW = """
defaults = false
[[rule]]
name = "slow"
kind = "threshold"
metric = "p95"
above = "500ms"
over = "1m"
for = "1m"
keep = "2m"
severity = "page"
"""


def run(watcher: Watcher, clock: Clock, recorded: Recorded, until_s: int, duration_s: float) -> list[object]:
    """Ten requests every ten seconds, and a look every ten."""
    told: list[object] = []
    while clock.at_s < until_s:
        recorded.add(int(clock.at_s), [duration_s] * 10)
        clock.at_s += 10
        told += watcher.evaluator.tick()
    return told


def everything(clock: Clock) -> Window:
    return Window(int(clock.at_s) - 86_400, int(clock.at_s) + 1)


def test_what_is_slow_for_long_enough_fires_is_told_and_ends(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    assert run(watcher, clock, recorded, start_s + 300, 0.1) == []
    told = run(watcher, clock, recorded, start_s + 600, 0.9)
    [incident] = watcher.incidents(everything(clock))

    assert (incident.rule, incident.state, incident.severity) == ("slow", "firing", "page")
    assert incident.labels == {"rule": "slow", "severity": "page", "service": "shop"}
    assert incident.fired_s is not None
    assert incident.fired_s - incident.began_s == 60
    assert incident.value == pytest.approx(0.9, rel=0.011)
    assert len(told) == 1

    told = run(watcher, clock, recorded, start_s + 1200, 0.1)
    [incident] = watcher.incidents(everything(clock))
    _, moments = watcher.incident(incident.id)

    assert incident.state == "resolved"
    assert [one.state for one in told] == ["resolved"]  # type: ignore[attr-defined]
    assert [moment.what for moment in moments] == ["fired", "notified", "resolved", "notified of its end"]


def test_who_asks_for_what_is_not_there_is_told_so(watching: Callable[[str], Watcher]) -> None:
    watcher = watching("")
    with pytest.raises(NotFoundError, match="no incident 7"):
        watcher.incident(7)
    with pytest.raises(NotFoundError, match="no silence 7"):
        watcher.unsilence(7, "ann")
    with pytest.raises(SettingError, match="silence everything"):
        watcher.silence({"service": "*"}, "ann", "because", 0, 10)
