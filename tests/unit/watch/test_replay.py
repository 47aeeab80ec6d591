"""A replay on recorded history says what happened live: same incidents, same moments, same values."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pitstop.model import NotFoundError, SettingError, Window
from pitstop.store.sqlite import SqliteStore
from pitstop.watch.ledger import Ledger
from pitstop.watch.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock, Recorded

RULES = """
defaults = false

[[slo]]
name = "answers"
kind = "availability"
target = 0.99
service = "shop"

[[rule]]
name = "slow route"
kind = "threshold"
metric = "p95"
above = "400ms"
clear = "200ms"
over = "1m"
for = "1m"
keep = "3m"
by = ["route"]

[[rule]]
name = "errors"
kind = "threshold"
metric = "error_ratio"
above = 0.2
least_events = 5
over = "2m"
every = "1m"

[[rule]]
name = "quiet"
kind = "no_data"
least_events = 3
over = "2m"
every = "10s"
keep = "1m"

[[rule]]
name = "memory"
kind = "threshold"
metric = "sample:process.memory.rss_bytes"
above = "150MB"
by = ["worker"]
keep = 0

[[rule]]
name = "leaks"
kind = "leak"
over = "20m"
every = "1m"
keep = "1m"

[[rule]]
name = "burns"
kind = "burn_rate"
severity = "page"

[[rule]]
name = "level"
kind = "change_point"
over = "10m"
baseline = "30m"
every = "1m"

[[rule]]
name = "backup"
kind = "heartbeat"
heartbeat = "backup"
above = "10m"
keep = 0
"""
STEP_S = 2
NAMES = ("slow route", "errors", "quiet", "memory", "leaks", "burns", "level", "backup")


def live(watcher: Watcher, recorded: Recorded, clock: Clock, seconds: int, seed: int) -> None:
    """A day in the life of a service that goes wrong in every way now and then; written two seconds late."""
    chance = random.Random(seed)
    written: list[tuple[int, partial[None]]] = []
    start_s = int(clock.at_s)
    for now_s in range(start_s, start_s + seconds, STEP_S):
        clock.at_s = now_s + 0.4
        phase = (now_s - start_s) / 600
        if not (4 < phase % 6 < 4.6):  # now and then nobody comes
            for route, usual_s in (("GET /a", 0.1), ("POST /b", 0.15)):
                slow = 5 if math.sin(phase * 3 + len(route)) > 0.8 else 1
                slow = slow if phase < 7 else 12
                times = [usual_s * slow * math.exp(chance.gauss(0, 0.3)) for _ in range(chance.randrange(2 * STEP_S))]
                failed = bool(times) and 2 < phase % 5 < 2.5 and chance.random() < 0.7
                written.append(
                    (now_s + 2, partial(recorded.add, now_s, times, route=route, outcome="500" if failed else "200"))
                )
        if now_s % 10 == 0:
            rss = 1e8 + (1e8 * max(0.0, math.sin(phase * 2)) if phase < 6 else 3e7 * (phase - 6))
            written.append((now_s + 1, partial(recorded.gauge, now_s, "process.memory.rss_bytes", rss)))
        if now_s % 300 == 0 and not 2000 < now_s - start_s < 3500:
            watcher.beat("backup")
        for _, write in [one for one in written if one[0] <= now_s]:
            write()
        written = [one for one in written if one[0] > now_s]
        watcher.evaluator.tick()
        if now_s % 60 == 0:
            watcher.store.upkeep()


def test_a_replay_of_a_rule_equals_what_happened_live(tmp_path: Path, recorded: Recorded, clock: Clock) -> None:
    recorded.store = SqliteStore(f"{tmp_path}/pitstop.db", clock=clock)
    (tmp_path / "rules.toml").write_text(RULES)
    watcher = Watcher(recorded.store, Ledger(tmp_path / "w.db"), rules_path=tmp_path / "rules.toml", clock=clock)
    start_s = int(clock.at_s)
    live(watcher, recorded, clock, 5400, seed=7)
    clock.at_s += 5400  # all of it is folded into longer steps
    while watcher.store.upkeep().folded_rows:
        pass
    window = Window(start_s, start_s + 5400)
    happened = [one for one in watcher.incidents(window) if one.fired_s is not None]

    assert {one.rule for one in happened} == set(NAMES)
    for name in NAMES:
        replayed = watcher.test_rule(name, window).incidents
        lived = sorted((one for one in happened if one.rule == name), key=lambda one: (one.began_s, one.key))
        assert [one._replace(id=0) for one in replayed] == [one._replace(id=0) for one in lived], name
    watcher.stop()
    recorded.store.close()


def test_a_rule_is_tested_before_it_is_saved(
    watching: Callable[[str], Watcher], recorded: Recorded, clock: Clock
) -> None:
    watcher = watching("")
    start_s = int(clock.at_s)
    for ts in range(start_s, start_s + 3600, 10):
        recorded.add(ts, [0.9 if 1200 <= ts - start_s < 1800 else 0.1] * 5)
    clock.at_s = start_s + 3600
    text = 'name = "slow"\nkind = "threshold"\nmetric = "p95"\nabove = "500ms"\nover = "1m"\nkeep = "1m"'
    found = watcher.test_rule(text, Window(start_s, start_s + 3600))

    [incident] = found.incidents
    assert (incident.fired_s, incident.ended_s) == (start_s + 1230, start_s + 1860)
    assert found.looks == found.values[-1][0] // 30 - start_s // 30 + 1
    assert dict(found.values)[start_s + 1500] == pytest.approx(0.9, rel=0.011)
    assert (found.limit, found.unit, found.step_s) == (0.5, "s", 30)
    assert [one for one in watcher.rules() if one.name == "slow"] == []


def test_what_cannot_be_tested_says_why(watching: Callable[[str], Watcher], clock: Clock) -> None:
    watcher = watching('[[rule]]\nname = "well"\nkind = "component"')
    hour = Window(int(clock.at_s) - 3600, int(clock.at_s))
    with pytest.raises(NotFoundError, match="no rule 'nothing'"):
        watcher.test_rule("nothing", hour)
    with pytest.raises(SettingError, match="is not recorded"):
        watcher.test_rule("well", hour)
    with pytest.raises(SettingError, match="shorter than 30 s"):
        watcher.test_rule("no requests", Window(hour.end_s - 20, hour.end_s - 10))
    with pytest.raises(SettingError, match="no rule; only rules"):
        watcher.test_rule('[[slo]]\nname = "x"\nkind = "availability"\ntarget = 0.9', hour)
