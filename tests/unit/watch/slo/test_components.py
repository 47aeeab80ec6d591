from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Samples, StoreUnavailableError
from pitstop.model.watching import DEGRADED, DOWN, NO_DATA, OK, Channel
from pitstop.store import open_store
from pitstop.watch import machine
from pitstop.watch.components import components
from pitstop.watch.machine import Memory, disk_state, memory, memory_state
from pitstop.watch.probes import Probed

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Service

    from pitstop.model import Store

NOW_S = int(time.time())


def states(store: Store, **arguments: object) -> dict[str, str]:
    return {one.name: one.state for one in components(store, NOW_S, **arguments)}  # type: ignore[arg-type]


def texts(store: Store, **arguments: object) -> dict[str, str]:
    return {one.name: one.text for one in components(store, NOW_S, **arguments)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("failed", "of", "state"), [(0, 100, OK), (4, 100, OK), (5, 100, DEGRADED), (60, 100, DOWN), (3, 4, OK)]
)
@pytest.mark.parametrize(("kind", "word"), [("db", "database"), ("cache", "cache"), ("http_client", "outgoing calls")])
def test_what_the_service_calls_is_judged_by_how_its_calls_end(
    happened: Service, kind: str, word: str, failed: int, of: int, state: str
) -> None:
    if of > failed:
        happened.add(NOW_S - 60, {0.01: of - failed}, kind=kind, name="x", outcome="ok")
    if failed:
        happened.add(NOW_S - 60, {0.01: failed}, kind=kind, name="x", outcome="error")
    happened.add(NOW_S - 4000, {0.01: 1000}, kind=kind, name="x", outcome="error")
    store = happened.write()
    assert states(store)[f"shop {word}"] == state
    assert f"{failed} of {of} failed" in texts(store)[f"shop {word}"]


@pytest.mark.parametrize(("wait_s", "state"), [(0.01, OK), (0.3, DEGRADED), (9.0, DOWN)])
def test_a_pool_that_lets_wait_is_too_small(happened: Service, wait_s: float, state: str) -> None:
    happened.add(NOW_S - 60, {wait_s: 20}, kind="pool_wait", name="waited", outcome="ok")
    assert states(happened.write())["shop pools"] == state


def test_a_probe_that_failed_once_is_degraded_and_twice_is_down(happened: Service) -> None:
    for name, outcomes in (("fine", "eo"), ("shaky", "ooe"), ("gone", "oee")):
        for at, outcome in enumerate(outcomes):
            word = {"o": "ok", "e": "error"}[outcome]
            happened.add(NOW_S - 100 + at * 30, {0.01: 1}, kind="probe", name=name, service="", outcome=word)
    store = happened.write()
    found = states(store, probes=["new"])
    assert (found["probe fine"], found["probe shaky"], found["probe gone"]) == (OK, DEGRADED, DOWN)
    assert found["probe new"] == NO_DATA
    said = {"gone": Probed(NOW_S - 40, 5, "answered 503, not 200 … 299")}
    assert texts(store, probed=said)["probe gone"] == "answered 503, not 200 … 299"


def sampled(store: Store, values: dict[str, list[float]]) -> None:
    samples = Samples()
    for name, course in values.items():
        for at, value in enumerate(course):
            for column, one in zip(
                ("ts", "service", "worker", "name", "value"),
                (NOW_S - 60 + at * 10, "shop", "w:1:1", name, value),
                strict=True,
            ):
                getattr(samples, column).append(one)
    store.append(Batch("test:2:2", 0, samples=samples))


@pytest.mark.parametrize(
    ("values", "state", "said"),
    [
        ({"pitstop.dropped": [7, 7, 7]}, OK, "1 running, 50 MB of memory"),
        ({"pitstop.dropped": [7, 7, 9]}, DEGRADED, "2 operations were dropped"),
        ({"pitstop.overhead_ratio": [0.004, 0.2]}, DEGRADED, "recording takes 20 % of a core"),
    ],
)
def test_workers_say_how_recording_goes(
    happened: Service, values: dict[str, list[float]], state: str, said: str
) -> None:
    sampled(happened.store, values | {"process.memory.rss_bytes": [40e6, 50e6]})
    assert states(happened.store)["shop workers"] == state
    assert said in texts(happened.store)["shop workers"]


def test_a_service_whose_workers_are_silent_is_no_data(happened: Service) -> None:
    happened.add(NOW_S - 3000, {0.1: 3})
    assert states(happened.write())["shop workers"] == NO_DATA


def test_a_store_in_use_is_fine_and_one_that_is_damaged_is_down(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/pitstop.db")
    assert {states(store)[name] for name in ("store", "housekeeping")} == {OK}
    assert str(tmp_path) in texts(store)["disk"]
    store.lease("test", 60)
    assert texts(store)["housekeeping"] == "done by test"
    store.close()

    class Locked:
        url = "memory://locked"

        def size(self) -> None:
            raise StoreUnavailableError("the database is locked")

    found = components(Locked(), NOW_S)  # type: ignore[arg-type]
    assert (found[0].name, found[0].state, found[0].text) == ("store", DOWN, "the database is locked")
    assert {one.name for one in found} == {"store", "memory"}


def test_nobody_keeping_house_is_said(happened: Service) -> None:
    happened.add(NOW_S - 60, {0.1: 3})
    assert states(happened.write())["housekeeping"] == DEGRADED


@pytest.mark.parametrize(
    ("free", "total", "state"),
    [(50e9, 100e9, OK), (9e9, 100e9, DEGRADED), (11e9, 500e9, OK), (150e6, 100e9, DOWN), (30e6, 1e9, DEGRADED)],
)
def test_little_room_on_the_disk_is_degraded_and_none_is_down(
    tmp_path: Path, free: float, total: float, state: str
) -> None:
    assert disk_state(int(free), int(total), tmp_path).state == state
    assert machine.disk(tmp_path / "nowhere").state == NO_DATA


def test_memory_is_what_the_machine_or_the_tighter_container_has_left(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  1000 kB\nMemFree:  10 kB\nMemAvailable:  500 kB\n")
    assert memory(meminfo, tmp_path) == Memory(512_000, 1_024_000, "machine")
    for name, text in (("max", "100000"), ("current", "99000"), ("stat", "anon 90000\ninactive_file 4000\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert memory(meminfo, tmp_path) == Memory(5_000, 100_000, "container")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory(meminfo, tmp_path) == Memory(512_000, 1_024_000, "machine")
    assert memory(tmp_path / "none", tmp_path / "none") is None


@pytest.mark.parametrize(("available", "state"), [(500, OK), (90, DEGRADED), (10, DOWN)])
def test_memory_that_ends_is_said_before_the_kernel_kills(available: int, state: str) -> None:
    assert memory_state(Memory(available, 1000, "machine")).state == state
    assert memory_state(None).state == NO_DATA


def test_channels_and_the_worst_of_all_come_first(happened: Service) -> None:
    def channel(name: str, state: str, problem: str, *, enabled: bool = True) -> Channel:
        return Channel(name, "webhook", "https://…", ("page",), {}, enabled, "file", state, problem, 2, 1, 7, None)

    told = [
        channel("ops", OK, ""), channel("chat", DOWN, "it answered 500"), channel("off", DOWN, "", enabled=False),
    ]  # fmt: skip
    found = components(happened.store, NOW_S, channels=told)
    assert (found[0].name, found[0].text) == ("channel chat", "it answered 500")
    assert next(one.text for one in found if one.name == "channel ops") == "7 sent, 2 waiting, 1 given up"
    assert "channel off" not in {one.name for one in found}
