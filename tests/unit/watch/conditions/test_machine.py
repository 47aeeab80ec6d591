"""Disk, log, heartbeats, memory and the number of series."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.model import Window
from pitstop.store import open_store
from pitstop.watch.conditions.leak import growth
from pitstop.watch.gauges import DISK_FREE_BYTES, DISK_FREE_RATIO, HEARTBEAT_AGE_S, LOG_BYTES, Recalled, measured
from pitstop.watch.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Clock, Recorded

    from pitstop.watch.conditions.reading import Reading

MB = 1e6


def test_a_disk_is_told_of_before_it_is_full(look: Callable[..., list[Reading]], recorded: Recorded) -> None:
    gauges = {DISK_FREE_RATIO: 0.06, DISK_FREE_BYTES: 6e9}
    [ratio] = look(recorded.store, 0, gauges=gauges, kind="disk", below=0.05, clear=0.07)
    [size] = look(recorded.store, 0, gauges=gauges, kind="disk", metric="free_bytes", below="10GB")

    assert (ratio.hot, ratio.calm) == (False, False)
    assert (size.hot, size.text) == (True, "6 GB of the store's disk is free")
    assert look(recorded.store, 0, kind="disk") == []  # a store that is on none


def test_a_log_that_grows_is_told_of(look: Callable[..., list[Reading]], recorded: Recorded) -> None:
    [small] = look(recorded.store, 0, gauges={LOG_BYTES: 1e6}, kind="log")
    [large] = look(recorded.store, 0, gauges={LOG_BYTES: 65e6}, kind="log")

    assert (small.hot, large.hot, large.unit) == (False, True, "bytes")
    assert look(recorded.store, 0, kind="log") == []


def test_a_heartbeat_that_stays_away_is_told_of(look: Callable[..., list[Reading]], recorded: Recorded) -> None:
    gauges = {f"{HEARTBEAT_AGE_S}backup": 7000.0, f"{HEARTBEAT_AGE_S}report": 60.0}
    found = look(recorded.store, 0, gauges=gauges, kind="heartbeat", heartbeat="*", above="1h")

    assert {one.labels["heartbeat"]: one.hot for one in found} == {"backup": True, "report": False}


def test_what_is_measured_is_recalled_from_the_store(tmp_path: Path, recorded: Recorded) -> None:
    store = open_store(f"sqlite:///{tmp_path}/pitstop.db")
    ledger = Ledger(None)
    with ledger.write() as db:
        db.execute("INSERT INTO heartbeat VALUES ('backup', 900)")
    found = measured(store, ledger, 1000)
    for at_s, value in ((1000, 1.0), (1030, 2.0)):
        recorded.gauge(at_s, DISK_FREE_RATIO, value, service="", worker="watch")
    recorded.gauge(1010, DISK_FREE_RATIO, 9.0, service="shop", worker="web:1")
    recalled = Recalled(recorded.store, Window(1000, 1200))

    assert 0 < found[DISK_FREE_RATIO] <= 1
    assert found[f"{HEARTBEAT_AGE_S}backup"] == 100
    assert found[LOG_BYTES] >= 0
    assert measured(recorded.store, ledger, 1000).keys() == {f"{HEARTBEAT_AGE_S}backup"}
    assert [recalled.at(at_s).get(DISK_FREE_RATIO) for at_s in (999, 1000, 1029, 1030, 1150, 1151)] == [
        None, 1.0, 1.0, 2.0, 2.0, None,
    ]  # fmt: skip


def memory(minutes: int, per_minute: float, chance: random.Random, noise: float = 2 * MB) -> dict[int, float]:
    return {i: 1e8 + i * per_minute + chance.gauss(0, noise) for i in range(minutes)}


@pytest.mark.parametrize("per_minute", [1.5 * MB, 5 * MB])
def test_memory_that_grows_throughout_leaks(per_minute: float) -> None:
    assert growth(memory(60, per_minute, random.Random(1))) == pytest.approx(per_minute, rel=0.4)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["noise", "saw", "warm", "step", "peak", "shrinks"]))
def test_memory_that_only_moves_does_not(seed: int, kind: str) -> None:
    chance = random.Random(seed)
    points = memory(60, 0, chance, 8 * MB)
    period = chance.choice([5, 7, 10])
    for i in points:
        points[i] += {
            "noise": 0.0,
            "saw": (i % period) * 10 * MB,
            "warm": 80 * MB * (1 - 0.7**i),
            "step": 100 * MB * (i > 22),
            "peak": 200 * MB * (i == 15),
            "shrinks": -3 * MB * i,
        }[kind]

    assert growth(points) < MB


def test_a_worker_that_was_there_for_the_whole_window_is_judged(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    end_s = int(clock.at_s)
    for i in range(60):
        recorded.gauge(end_s - 3600 + i * 60, "process.memory.rss_bytes", 1e8 + i * 3e6, worker="old")
        if i > 20:
            recorded.gauge(end_s - 3600 + i * 60, "process.memory.rss_bytes", 1e8 + i * 3e6, worker="new")
    [reading] = look(recorded.store, end_s, kind="leak")

    assert reading.hot
    assert reading.labels == {"service": "shop", "worker": "old"}
    assert reading.text == "memory of shop (old) grows by 3 MB a minute"


def test_too_many_series_of_one_kind_are_told_of(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    for i in range(30):
        recorded.add(int(clock.at_s) - 600, [0.1], route=f"GET /{i}")
    recorded.add(int(clock.at_s) - 600, [0.1], kind="cache", route="GET")
    recorded.add(int(clock.at_s) - 7200, [0.1], route="GET /old")
    found = look(recorded.store, clock.at_s, kind="cardinality", above=29)
    [size] = look(recorded.store, clock.at_s, kind="cardinality", metric="bytes", above="10kB")

    counted = {one.labels["series"]: (one.value, one.hot) for one in found}
    assert counted == {"http": (30.0, True), "cache": (1.0, False)}
    assert (size.value, size.hot) == (31 * 600, True)


def test_series_that_were_folded_are_told_of_whatever_their_number(
    look: Callable[..., list[Reading]], recorded: Recorded, clock: Clock
) -> None:
    recorded.add(int(clock.at_s) - 600, [0.1], route="__other__")
    [reading] = look(recorded.store, clock.at_s, kind="cardinality")

    assert reading.hot
    assert reading.text.endswith("; more were folded into one")
