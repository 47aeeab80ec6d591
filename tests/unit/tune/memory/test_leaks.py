"""The watch as a whole, by a clock of the test's own."""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.model.tuned import LEAK_REPORT
from pitstop.record import reports
from pitstop.record.recorder import RECORDER
from pitstop.tune.memory import leaks
from pitstop.tune.memory.leaks import LeakWatch
from pitstop.tune.memory.naming import Growth
from pitstop.tune.memory.readings import held
from pitstop.tune.memory.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000


class World:
    """Time, and what the process holds."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.held = 100 * MB
        self.events: list[tuple[str, str]] = []
        self.growth = Growth("app.SEEN: list of app.Order", "9 more entries a minute", 2e6, 9.0)
        self.looks = 0


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Recording is on; what a look sees and what it costs is the test's."""
    world = World()

    def look(now_s: float) -> Any:
        world.looks += 1
        return _Look(now_s, 0.1)

    monkeypatch.setattr(leaks, "held", lambda: world.held)
    monkeypatch.setattr(leaks, "look", look)
    monkeypatch.setattr(leaks, "name_growth", lambda _looks, _bytes: world.growth)
    monkeypatch.setattr(RECORDER, "on", True)
    monkeypatch.setattr(RECORDER, "event", lambda kind, text: world.events.append((kind, text)))
    yield world
    reports.reset_after_fork()


class _Look:
    def __init__(self, now_s: float, cpu_s: float) -> None:
        self.now_s, self.cpu_s = now_s, cpu_s


def run(watch: LeakWatch, world: World, minutes: int, per_min: int) -> None:
    for _ in range(minutes * 12):
        world.now_s += 5.0
        world.held += per_min // 12
        watch.tick()


def watching(world: World, **options: Any) -> LeakWatch:
    return LeakWatch(now_s=lambda: world.now_s, **options)


def test_a_leak_is_told_once_and_reported_as_long_as_it_lasts(world: World) -> None:
    watch = watching(world)
    run(watch, world, 85, 2 * MB)
    [report] = watch.reports()
    assert (report.kind, report.name) == (LEAK_REPORT, "app.SEEN: list of app.Order")
    assert report.body["sure"]
    assert report.body["bytes_per_min"] == pytest.approx(2 * MB, rel=0.05)
    [(kind, text)] = world.events
    assert kind == "leak"
    assert text == "app.SEEN: list of app.Order grows by 2 MB a minute: 9 more entries a minute"
    run(watch, world, 40, 0)
    assert list(watch.reports()) == []
    assert not reports._waiting[LEAK_REPORT, report.name]["sure"]


def test_nothing_is_looked_at_while_memory_does_not_grow(world: World) -> None:
    watch = watching(world)
    run(watch, world, 300, 0)
    assert world.looks == 0


def test_looks_are_so_far_apart_that_they_cost_a_thousandth(world: World) -> None:
    watch = watching(world)
    run(watch, world, 600, 2 * MB)
    assert world.looks * 0.1 <= 0.001 * world.now_s


def test_a_cache_that_fills_is_not_told(world: World) -> None:
    world.growth = world.growth._replace(filling=True)
    watch = watching(world)
    run(watch, world, 120, 2 * MB)
    assert world.events == []
    assert list(watch.reports()) == []


def test_where_nothing_of_pythons_grows_the_line_is_looked_for_once(world: World) -> None:
    world.growth = Growth("memory outside", "no type grows", 2e6, 0.0, found=False)
    asked = []

    def lines() -> tuple[str, str]:
        asked.append(1)
        return "app.py:9", "80 kB more"

    watch = watching(world, lines=lines)
    run(watch, world, 120, 2 * MB)
    assert len(asked) == 1
    [report] = watch.reports()
    assert (report.body["line"], report.body["why"]) == ("app.py:9", "80 kB more")
    assert "at app.py:9" in world.events[0][1]


def test_a_full_collection_is_read_at_its_floor(world: World) -> None:
    watch = watching(world)
    watch.tick()
    world.held = 60 * MB
    watch._collected("stop", {"generation": 2})
    world.held = 100 * MB
    world.now_s += 60
    watch.tick()
    assert watch.course.floors == [60 * MB]
    watch._collected("stop", {"generation": 0})


def test_what_is_held_is_what_was_taken() -> None:
    before = held()
    assert before is not None
    taken = b"x" * 50 * MB
    after = held()
    assert after is not None
    assert after - before == pytest.approx(len(taken), rel=0.1)


def test_where_nothing_can_be_read_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaks, "held", lambda: None)
    watch = LeakWatch()
    watch.start()
    assert not watch._rounds.running


def test_rounds_go_on_when_one_fails_and_say_so_once(caplog: pytest.LogCaptureFixture) -> None:
    done, count = threading.Event(), [0]

    def step() -> None:
        count[0] += 1
        if count[0] == 4:
            done.set()
        raise ValueError("no")

    rounds = Rounds(0.001, step)
    with caplog.at_level(logging.ERROR, "pitstop"):
        rounds.start()
        rounds.start()
        assert done.wait(5)
        rounds.stop()
        rounds.stop()
    assert len(caplog.records) == 1
    assert count[0] >= 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_during_a_reading_does_not_hang_the_child() -> None:
    watch = LeakWatch()
    with watch._reading:  # as another thread has it
        pid = os.fork()
        if not pid:
            signal.alarm(10)
            try:
                watch.tick()
                os._exit(0)
            finally:
                os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
