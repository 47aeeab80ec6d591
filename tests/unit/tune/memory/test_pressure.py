"""Limits as files of control groups say them; levels, and who gives up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from pitstop.model.errors import SettingError
from pitstop.model.tuned import PRESSURE_REPORT
from pitstop.record.recorder import RECORDER
from pitstop.tune.limit import Limiter, Priority
from pitstop.tune.memory.limits import Room, Rooms
from pitstop.tune.memory.pressure import CALM_READINGS, Level, Pressure

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = "MemTotal: 1000000 kB\nMemFree: 10 kB\nMemAvailable: 600000 kB\n"


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_group_of_version_2_counts_without_pages_that_can_be_dropped(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "0::/app/web\n",
            "proc/meminfo": MEMINFO,
            "sys/fs/cgroup/app/web/memory.max": "max\n",
            "sys/fs/cgroup/app/web/memory.current": "900\n",
            "sys/fs/cgroup/app/memory.max": "1000\n",
            "sys/fs/cgroup/app/memory.current": "900\n",
            "sys/fs/cgroup/app/memory.stat": "anon 100\ninactive_file 200\n",
        },
    )
    assert Rooms(root)() == Room(700, 1000, "cgroup")


def test_a_group_of_version_1_in_a_container_is_found_at_the_mount(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "9:cpu:/x\n4:memory:/docker/abc\n0::/\n",
            "proc/meminfo": MEMINFO,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "950\n",
            "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 50\n",
        },
    )
    assert Rooms(root)() == Room(900, 1000, "cgroup")


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    root = files(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "proc/meminfo": MEMINFO,
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "950\n",
        },
    )
    assert Rooms(root)() == Room(400_000 * 1024, 1_000_000 * 1024, "system")


def test_where_nothing_is_told_there_is_no_answer(tmp_path: Path) -> None:
    assert Rooms(tmp_path)() is None


def test_this_machine_has_memory() -> None:
    here = Rooms()()
    assert here is not None
    assert 0 < here.used_bytes < here.limit_bytes


class World:
    used = 10

    def read(self) -> Room | None:
        return Room(self.used, 100, "cgroup") if self.used else None


def test_levels_rise_at_once_and_fall_when_there_is_clearly_room() -> None:
    world = World()
    pressure = Pressure(read=world.read)
    seen = []
    for used in (10, 80, 85, 96, 92, 92, 94, 91):
        world.used = used
        pressure.step()
        seen.append(pressure.level)
    assert seen == [Level.NONE, Level.ELEVATED, Level.ELEVATED, *[Level.CRITICAL] * 5]
    for _ in range(CALM_READINGS - 1):
        pressure.step()
    assert pressure.level == Level.HIGH
    world.used = 10
    for _ in range(CALM_READINGS):
        pressure.step()
    assert pressure.level == Level.NONE


def test_caches_go_first_then_the_profiler_then_requests_and_all_come_back() -> None:
    world, limiter = World(), Limiter("test")
    pressure = Pressure(read=world.read)
    shrunk, calm = [], []
    pressure.on_pressure("cache", shrunk.append, calm=lambda: calm.append(1))
    pressure.guard(limiter)

    def state(used: int) -> tuple[int, bool, Priority | None]:
        world.used = used
        pressure.step()
        return len(shrunk), RECORDER.pressed, limiter.gate

    assert state(50) == (0, False, None)
    assert state(82) == (1, False, None)
    assert state(82) == (2, False, None)
    assert state(91) == (3, True, Priority.LOW)
    assert state(97) == (4, True, Priority.NORMAL)
    assert shrunk == [Level.ELEVATED, Level.ELEVATED, Level.HIGH, Level.CRITICAL]
    [report] = pressure.reports()
    assert report.kind == PRESSURE_REPORT
    assert report.body == {
        "level": "critical",
        "used_bytes": 97,
        "limit_bytes": 100,
        "source": "cgroup",
        "shed": ["caches", "profiler", "cache", "requests of test"],
    }
    for _ in range(CALM_READINGS):
        state(10)
    assert not RECORDER.pressed
    assert limiter.gate is None
    assert calm == [1]
    limiter.close()


def test_one_that_fails_does_not_keep_others_from_giving_up(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.used = 85
    pressure, shrunk = Pressure(read=world.read), []

    def fails(_level: Level) -> None:
        raise OSError("no")

    pressure.on_pressure("broken cache", fails)
    pressure.on_pressure("cache", shrunk.append)
    with caplog.at_level(logging.ERROR, "pitstop"):
        pressure.step()
    assert shrunk == [Level.ELEVATED]
    assert "broken cache could not give up memory" in caplog.text


def test_an_end_takes_everything_back() -> None:
    world = World()
    world.used = 99
    pressure = Pressure(read=world.read, every_s=3600).start()
    pressure.step()
    assert RECORDER.pressed
    pressure.stop()
    assert not RECORDER.pressed


def test_without_a_reading_there_is_no_pressure() -> None:
    world = World()
    world.used = 0
    pressure = Pressure(read=world.read)
    pressure.step()
    assert pressure.level == Level.NONE
    assert next(iter(pressure.reports())).body["limit_bytes"] is None


def test_thresholds_have_to_rise() -> None:
    with pytest.raises(SettingError, match=r"0\.5"):
        Pressure(thresholds={Level.HIGH: 0.5})
