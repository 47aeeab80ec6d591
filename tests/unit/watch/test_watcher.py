"""The watcher answers the whole protocol, and what it is told is still known after a restart."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, NotFoundError, SettingError, StoreUnavailableError, Window
from pitstop.watch import evaluator
from pitstop.watch.conditions import KINDS
from pitstop.watch.evaluator import Evaluator, Plan
from pitstop.watch.ledger import LeaseLostError
from pitstop.watch.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock, Recorded

    from pitstop.watch.watcher import Watcher

START_S = 1_790_000_000 // 86_400 * 86_400
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


WEBHOOK = """
[[channel]]
name = "ops"
kind = "webhook"
url = "https://example.invalid/"
secret = "0123456789abcdef"
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
    assert {moment.text for moment in moments[1::2]} == {"no channel takes it"}


def test_flapping_is_one_incident_and_few_messages(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW.replace('for = "1m"', 'for = "0s"'))
    start_s = int(clock.at_s)
    told = []
    for minute in range(60):
        told += run(watcher, clock, recorded, start_s + 60 * (minute + 1), 0.9 if minute % 2 else 0.1)
    [incident] = watcher.incidents(everything(clock))

    assert incident.state == "firing"
    assert len(told) == 1


def test_an_end_is_told_though_it_is_pending_again(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW.replace('for = "1m"', 'for = "2m"'))
    start_s = int(clock.at_s)
    told = run(watcher, clock, recorded, start_s + 240, 0.9)
    told += run(watcher, clock, recorded, start_s + 430, 0.1)
    assert watcher.incidents(everything(clock), state="resolved")
    told += run(watcher, clock, recorded, start_s + 440, 0.9)
    told += run(watcher, clock, recorded, start_s + 900, 0.1)

    assert [one.state for one in told] == ["firing", "resolved"]  # type: ignore[attr-defined]


def test_incidents_silences_and_who_looks_after_them_survive_a_restart(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    first = watching(SLOW)
    start_s = int(clock.at_s)
    run(first, clock, recorded, start_s + 300, 0.9)
    [before] = first.incidents(everything(clock))
    first.acknowledge(before.id, "ann", "on it")
    silence = first.silence({"service": "shop"}, "ann", "rollout", clock.at_s, clock.at_s + 600)
    first.stop()
    second = watching(SLOW)
    told = run(second, clock, recorded, start_s + 600, 0.9)
    [after] = second.incidents(everything(clock))
    moments = [(one.what, one.who) for one in second.incident(after.id)[1]]

    assert (after.id, after.began_s, after.fired_s) == (before.id, before.began_s, before.fired_s)
    assert (after.acked_by, after.silenced[:6]) == ("ann", "by ann")
    assert second.silences() == [silence]
    assert told == []
    assert moments == [
        ("fired", "pitstop"), ("notified", "pitstop"), ("acknowledged", "ann"), ("silenced", "pitstop"),
    ]  # fmt: skip


def test_what_is_silenced_is_told_to_nobody_until_the_silence_ends(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    silence = watcher.silence({"rule": "sl*"}, "ann", "rollout", start_s, start_s + 86_400)
    assert run(watcher, clock, recorded, start_s + 600, 0.9) == []
    assert watcher.incidents(everything(clock))[0].silenced
    watcher.unsilence(silence.id, "ann")
    told = run(watcher, clock, recorded, start_s + 700, 0.9)

    assert [one.state for one in told] == ["firing"]  # type: ignore[attr-defined]
    assert watcher.silences() == []
    assert [one.id for one in watcher.silences(ended=True)] == [silence.id]


def test_a_burst_of_a_thousand_incidents_is_a_few_messages(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW.replace('for = "1m"', 'by = ["route"]') + WEBHOOK)
    for route in range(1000):
        recorded.add(int(clock.at_s), [0.9], route=f"GET /{route}")
    told = []
    for _ in range(20):
        clock.at_s += 5
        told += watcher.evaluator.tick()
    found = watcher.incidents(everything(clock), state="firing")

    assert len(found) == 1000
    assert [one.title for one in told] == ["slow (shop): 1 k incidents"]
    assert [one.title for one in watcher.deliveries()] == [told[0].title]
    assert [one.text for one in watcher.incident(found[7].id)[1]][-1] == "through 1 channel"


def test_charts_mark_when_incidents_fire_and_end(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    run(watcher, clock, recorded, start_s + 300, 0.9)
    run(watcher, clock, recorded, start_s + 900, 0.1)
    [incident] = watcher.incidents(everything(clock))
    events = recorded.store.events(everything(clock), service="shop")

    assert events.kind == ["alert", "alert"]
    assert events.ts == [incident.fired_s, incident.ended_s]
    assert events.text == ["slow fires: P95 of shop is 900 ms, above 500 ms", "slow has ended"]


def test_a_message_has_the_course_of_its_value(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    run(watcher, clock, recorded, start_s + 3600, 0.1)
    [told] = run(watcher, clock, recorded, start_s + 3900, 0.9)

    points = dict(told.points)  # type: ignore[attr-defined]
    assert len(points) == 60
    assert points[start_s + 1800] == pytest.approx(0.1, rel=0.011)
    assert points[max(points)] == pytest.approx(0.9, rel=0.011)
    assert (told.limit, told.unit) == (0.5, "s")  # type: ignore[attr-defined]


def test_a_page_about_an_objective_has_the_course_of_its_burn_rate(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching("[group]\nwait = 0")
    start_s = int(clock.at_s)
    for ts in range(start_s, start_s + 7200, 10):
        recorded.add(ts, [0.1] * 20)
        if ts > start_s + 6000:
            recorded.add(ts, [0.1] * 20, outcome="500")
    clock.at_s = start_s + 7206
    told = watcher.evaluator.tick()
    page = next(one for one in told if one.labels["rule"] == "error budget burns fast")
    rates = [value for _, value in page.points]

    assert len(rates) == 60
    assert rates[0] == 0
    assert rates[-1] == pytest.approx(page.value)
    assert (page.limit, page.unit) == (6, "×")  # the pair of windows that burns most for its factor


def test_a_fault_of_ours_in_one_rule_does_not_blind_the_others(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = watching(SLOW + '[[rule]]\nname = "broken"\nkind = "log"\n')
    monkeypatch.setitem(KINDS, "log", KINDS["log"]._replace(read=lambda *_: 1 / 0))
    run(watcher, clock, recorded, int(clock.at_s) + 200, 0.9)
    problems = {rule.name: rule.problem for rule in watcher.rules()}

    assert [one.rule for one in watcher.incidents(everything(clock))] == ["slow"]
    assert "ZeroDivisionError" in problems["broken"]
    assert not problems["slow"]


def test_charts_of_a_burst_take_no_longer_than_they_may(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "CHARTS_S", 0.0)
    watcher = watching(SLOW.replace('for = "1m"', "") + "[group]\nwait = 0")
    recorded.add(START_S - 20, [0.9] * 5)
    clock.at_s += 10
    [told] = watcher.evaluator.tick()

    assert told.points == ()


def test_what_cannot_be_read_changes_nothing_and_is_shown(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    run(watcher, clock, recorded, start_s + 300, 0.9)
    recorded.store.close()
    for _ in range(60):
        clock.at_s += 10
        watcher.evaluator.tick()
    [incident] = watcher.incidents(everything(clock))

    assert incident.state == "firing"
    assert "is closed" in watcher.evaluator.checked["slow"].problem


def test_what_the_store_does_not_take_is_marked_on_charts_later_and_once(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = watching(SLOW)
    for ts in range(START_S, START_S + 300, 10):
        recorded.add(ts, [0.9] * 10)
    append, left = recorded.store.append, [2]

    def written_but_not_said(batch: Batch) -> None:
        append(batch)
        if len(batch.events) and left[0]:
            left[0] -= 1
            raise StoreUnavailableError("the answer was lost")

    monkeypatch.setattr(recorded.store, "append", written_but_not_said)
    for _ in range(30):
        clock.at_s += 10
        watcher.evaluator.tick()

    assert left == [0]
    assert len(recorded.store.events(everything(clock))) == 1


def test_a_thread_that_lost_its_lease_waits_for_it_again_and_says_what_else_is_wrong(
    watching: Callable[[str], Watcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "TICK_S", 0.01)
    watcher = watching(SLOW)
    faults: list[Exception] = [StoreUnavailableError("locked"), LeaseLostError("gone")]
    seen: list[tuple[str, bool]] = []

    def plan(_: Shelf) -> Plan:
        seen.append((watcher.evaluator.problem, watcher.evaluator.holds))
        if faults:
            raise faults.pop(0)
        return Plan()

    monkeypatch.setattr(Shelf, "plan", plan)
    watcher.start()
    while len(seen) < 2 or watcher.evaluator.problem:
        threading.Event().wait(0.01)
    assert seen[0] == ("", True)
    assert seen[1] == ("locked", True)
    assert watcher.stop()


def test_only_one_of_two_evaluates_and_the_other_goes_on_when_it_ends(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    one, other = watching(SLOW), watching(SLOW)
    run(one, clock, recorded, int(clock.at_s) + 100, 0.9)
    assert run(other, clock, recorded, int(clock.at_s) + 100, 0.9) == []
    assert (one.evaluator.holds, other.evaluator.holds) == (True, False)
    assert other.evaluator.checked == {}
    assert [(rule.name, rule.state) for rule in other.rules()] == [("slow", "firing")]
    one.stop()
    run(other, clock, recorded, int(clock.at_s) + 100, 0.9)

    assert other.evaluator.holds
    assert len(other.incidents(everything(clock))) == 1


def test_rules_that_another_looks_at_are_well_unless_they_fire(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    one, other = watching(SLOW), watching(SLOW)
    assert [rule.state for rule in other.rules()] == ["no data"]
    run(one, clock, recorded, int(clock.at_s) + 100, 0.1)

    assert [rule.state for rule in other.rules()] == ["ok"]


def test_who_lost_the_lease_writes_nothing(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    run(watcher, clock, recorded, int(clock.at_s) + 30, 0.1)
    with watcher.ledger.write() as db:
        db.execute("UPDATE lease SET holder = 'another', until_s = until_s + 1000")
    with pytest.raises(LeaseLostError, match="another does"):
        run(watcher, clock, recorded, int(clock.at_s) + 600, 0.9)

    assert watcher.incidents(everything(clock)) == []


def test_who_looks_for_longer_than_the_lease_writes_if_nobody_has_taken_it(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = watching(SLOW.replace('for = "1m"', ""))
    recorded.add(START_S - 20, [0.9] * 5)
    clock.at_s += 10
    look = Evaluator._look

    def slowly(self: Evaluator, *arguments: object) -> object:
        with watcher.ledger.write() as db:
            db.execute("UPDATE lease SET until_s = 1")
        self._renewed_s -= 60
        return look(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Evaluator, "_look", slowly)
    watcher.evaluator.tick()
    assert [one.state for one in watcher.incidents(everything(clock))] == ["firing"]
    clock.at_s += 30
    monkeypatch.setattr(watcher.ledger, "lease", lambda *_: False)
    watcher.evaluator._renewed_s = time.monotonic()
    with pytest.raises(LeaseLostError, match="was too slow"):
        watcher.evaluator.tick()
    assert not watcher.evaluator.holds


def test_incidents_end_with_the_last_rule(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock, tmp_path: Path
) -> None:
    watcher = watching(SLOW)
    run(watcher, clock, recorded, int(clock.at_s) + 300, 0.9)
    (tmp_path / "pitstop-rules.toml").write_text("defaults = false")
    clock.at_s += 5
    watcher.evaluator.tick()
    [incident] = watcher.incidents(everything(clock))

    assert (incident.state, incident.ended_s) == ("resolved", clock.at_s)


def test_it_runs_in_a_thread_says_so_and_ends(
    watching: Callable[[str], Watcher], recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluator, "TICK_S", 0.01)
    watcher = watching(SLOW)
    state = {one.name: one.state for one in watcher.components()}
    recorded.add(START_S - 20, [0.9] * 5)
    watcher.start()
    while "slow" not in watcher.evaluator.checked:
        threading.Event().wait(0.01)
    standing = {one.name: (one.state, one.text) for one in watcher.components()}
    monkeypatch.setattr(Shelf, "plan", lambda _: 1 / 0)
    while not watcher.evaluator.problem:
        threading.Event().wait(0.01)
    broken = {one.name: (one.state, one.text) for one in watcher.components()}

    assert state["watching"] == "down"
    assert standing["watching"] == ("ok", f"done by {watcher.evaluator.holder}")
    assert broken["watching"][0] == "degraded"
    assert "ZeroDivisionError" in broken["watching"][1]
    assert watcher.stop(5)


def test_channels_are_made_shown_tested_and_removed(watching: Callable[[str], Watcher]) -> None:
    watcher = watching(WEBHOOK)
    made = watcher.save_channel("chat", "webhook", "https://127.0.0.1:9/secret", {"secret": "s" * 20}, "ann")
    tested = {one.channel: one for one in watcher.send_test()}

    assert {one.name: one.source for one in watcher.channels()} == {"ops": "pitstop-rules.toml", "chat": "dashboard"}
    assert "secret" not in made.address
    assert not tested["chat"].ok
    assert "127.0.0.1" in tested["chat"].problem
    watcher.delete_channel("chat", "ann")
    assert [one.name for one in watcher.channels()] == ["ops"]
    for ask in (watcher.redeliver, watcher.discard):
        with pytest.raises(NotFoundError):
            ask(99, "ann")


def test_probes_run_where_the_watching_is_done(watching: Callable[[str], Watcher], clock: Clock) -> None:
    watcher = watching('[[probe]]\nname = "home"\nurl = "tcp://127.0.0.1:9"\nevery = "1s"\ntimeout = "1s"')
    watcher.evaluator.tick()
    while "home" not in watcher._prober.last():  # type: ignore[union-attr]
        threading.Event().wait(0.01)
    found = {one.name: one for one in watcher.components()}
    clock.at_s += 3
    watcher.stop()

    assert watcher._prober is None
    assert "probe home" in found


def test_a_heartbeat_is_noted_and_missed(watching: Callable[[str], Watcher], clock: Clock) -> None:
    watcher = watching('defaults = false\n[[rule]]\nname = "b"\nkind = "heartbeat"\nheartbeat = "*"\nabove = "10m"')
    watcher.beat("backup")
    for minutes in (5, 15):
        clock.at_s = START_S + minutes * 60 + 6
        watcher.evaluator.tick()
        found = [(one.labels["heartbeat"], one.state) for one in watcher.incidents(everything(clock))]
        assert found == ([("backup", "firing")] if minutes == 15 else [])


def test_objectives_are_told_for_one_service_or_all(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    for service in ("shop", "billing"):
        recorded.add(int(clock.at_s) - 60, [0.1] * 100, service=service)
    watcher = watching("")

    assert {one.labels["service"] for one in watcher.slos()} == {"shop", "billing"}
    assert {one.name for one in watcher.slos(service="shop", points=True)} == {"uptime", "errors", "P95", "P99"}
    assert all(one.points for one in watcher.slos(service="shop", points=True))


def test_who_changes_what_cannot_be_changed_is_told_so(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching(SLOW)
    start_s = int(clock.at_s)
    run(watcher, clock, recorded, start_s + 200, 0.9)
    run(watcher, clock, recorded, start_s + 800, 0.1)
    [ended] = watcher.incidents(everything(clock), service="shop", state="resolved")
    with pytest.raises(SettingError, match="has ended"):
        watcher.acknowledge(ended.id, "ann")
    with pytest.raises(NotFoundError, match="no incident 99"):
        watcher.acknowledge(99, "ann")
    for matches, why, start, end, problem in (
        ({}, "x", 0, 1, "names no label"), ({"a": "b"}, " ", 0, 1, "'why' has to be a line"),
        ({"a": "b"}, "x", 5, 5, "end after it begins"), ({"a": "b"}, "x", 0, 5, "have ended already"),
        ({"a": "b"}, "x", 0, 1e9, "within a year"),
    ):  # fmt: skip
        with pytest.raises(SettingError, match=problem):
            watcher.silence(matches, "ann", why, start, end)
    assert watcher.incidents(everything(clock), service="billing") == []


def test_who_asks_for_what_is_not_there_is_told_so(watching: Callable[[str], Watcher]) -> None:
    watcher = watching("")
    with pytest.raises(NotFoundError, match="no incident 7"):
        watcher.incident(7)
    with pytest.raises(NotFoundError, match="no silence 7"):
        watcher.unsilence(7, "ann")
    with pytest.raises(SettingError, match="silence everything"):
        watcher.silence({"service": "*"}, "ann", "because", 0, 10)
