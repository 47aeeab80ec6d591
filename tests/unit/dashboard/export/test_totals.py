"""Totals only grow, whatever happens to workers, dashboard, store and clock."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.dashboard.export import totals as module
from pitstop.dashboard.export.totals import Totals
from pitstop.dashboard.export.totals_file import TotalsFile
from pitstop.model import StoreNewerError, StoreUnavailableError
from pitstop.rollup.codec import decode
from pitstop.rollup.histogram import merged
from pitstop.store.sqlite import SqliteStore

DAY_S = 86_400


def _count(totals: Totals, now_s: float, **wanted: str) -> int:
    rows = totals.read(now_s).rows.get("http")
    if rows is None:
        return 0
    chosen = [all(getattr(s, name) == value for name, value in wanted.items()) for s in rows.series]
    told = sum(count for count, meant in zip(rows.count, chosen, strict=True) if meant)
    hists = merged(decode(hist) for hist, meant in zip(rows.hist, chosen, strict=True) if meant)
    assert sum(hists.values()) == told  # buckets and counts say the same
    return told


@pytest.fixture
def file(tmp_path: Path) -> TotalsFile:
    return TotalsFile(tmp_path / "pitstop.totals.db")


def test_every_request_counts_once_at_every_moment_of_ninety_minutes(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any
) -> None:
    totals = Totals(store, file)
    told = 0
    for minute in range(90):
        for second in range(0, 60, 30):
            clock.at_s += 30
            write(int(clock.at_s), (request_series(), [20_000_000] * (1 + minute % 3)), worker=f"w{second}")
            told += 1 + minute % 3
        store.upkeep()
        assert _count(totals, clock.at_s) == told
    assert _count(Totals(store, file), clock.at_s) == told  # the dashboard was restarted
    assert _count(Totals(store, None), clock.at_s) == told  # from the store alone


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 400)),
        st.tuples(st.just("write"), st.integers(0, 540)),  # how late, s
        st.tuples(st.sampled_from(["upkeep", "restart", "read"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(OPERATIONS)
def test_totals_never_fall_and_have_everything_in_the_end(
    clock: Any, writing: Any, request_series: Any, operations: list[tuple[str, int]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(f"{folder}/pitstop.db", clock=clock)
        write = writing(store)
        file = TotalsFile(Path(folder) / "pitstop.totals.db")
        totals, told, written = Totals(store, file), 0, 0
        for what, number in operations:
            if what == "wait":
                clock.at_s += number
            elif what == "write":
                written += 1
                write(int(clock.at_s) - number, (request_series(), [10**6 * (number + 1)]), worker=f"w{written}")
            elif what == "upkeep":
                store.upkeep()
            elif what == "restart":
                totals = Totals(store, file)
            else:
                now = _count(totals, clock.at_s)
                assert told <= now <= written
                told = now
        clock.at_s += 1300
        assert _count(totals, clock.at_s) == written
        store.close()


def test_a_history_is_counted_when_counting_begins(store: Any, write: Any, clock: Any, request_series: Any) -> None:
    for _ in range(40):
        clock.at_s += DAY_S
        write(int(clock.at_s), (request_series(), [1_000_000] * 3))
        store.upkeep()
    assert _count(Totals(store, None), clock.at_s) == 120


def test_a_batch_that_comes_two_minutes_late_is_counted_within_a_minute(
    store: Any, write: Any, clock: Any, request_series: Any
) -> None:
    totals = Totals(store, None)
    write(int(clock.at_s), (request_series(), [10]))
    assert _count(totals, clock.at_s) == 1
    late_s = int(clock.at_s)
    clock.at_s += 120
    assert _count(totals, clock.at_s) == 1
    write(late_s, (request_series(), [10] * 5), worker="late")
    clock.at_s += module.AGAIN_S
    assert _count(totals, clock.at_s) == 6


def test_what_was_told_stays_counted_when_the_store_is_pruned(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any, caplog: Any
) -> None:
    totals = Totals(store, file)
    for _ in range(30):
        clock.at_s += 60
        write(int(clock.at_s), (request_series(), [10] * 2))
    clock.at_s += 15
    assert _count(totals, clock.at_s) == 60
    store.prune(int(clock.at_s))
    clock.at_s += 60
    assert _count(totals, clock.at_s) == 60
    assert "lost rows" in caplog.text
    write(int(clock.at_s), (request_series(), [10]))
    assert _count(totals, clock.at_s) == 61
    assert _count(Totals(store, file), clock.at_s) == 61


def test_two_dashboards_count_the_same_and_nothing_twice(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any
) -> None:
    one, other = Totals(store, file), Totals(store, TotalsFile(file.path))
    for minute in range(60):
        clock.at_s += 60
        write(int(clock.at_s), (request_series(), [10] * 4))
        store.upkeep()
        if minute % 3:
            assert _count(one, clock.at_s) == 4 * (minute + 1)
        if minute % 2:
            assert _count(other, clock.at_s) == 4 * (minute + 1)


def test_whoever_only_reads_leaves_the_file_as_it_is(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any
) -> None:
    write(int(clock.at_s), (request_series(), [10]))
    clock.at_s += 3600
    assert _count(Totals(store, file, writable=False), clock.at_s) == 1
    assert not file.path.exists()


def test_a_series_that_nothing_came_of_for_two_weeks_is_told_no_more(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any
) -> None:
    totals = Totals(store, file)
    write(int(clock.at_s), (request_series("GET /old"), [10]))
    for _ in range(16):
        clock.at_s += DAY_S
        write(int(clock.at_s), (request_series(), [10]))
        store.upkeep()
        totals.read(clock.at_s)
    assert _count(totals, clock.at_s, name="GET /old") == 0
    assert _count(totals, clock.at_s) == 16


def test_names_beyond_the_cap_are_counted_as_others_and_never_come_back(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_PER_KIND", 10)
    totals = Totals(store, file)
    for round_ in range(1, 5):
        clock.at_s += 400
        found = [(request_series(f"GET /{number}"), [10]) for number in range(25)]
        write(int(clock.at_s), *found)
        counted = totals.read(clock.at_s)
        assert sum(counted.rows["http"].count) == 25 * round_
        assert _count(totals, clock.at_s, name="__other__") == 15 * round_
        assert counted.series["http"] <= 11


def test_a_file_that_cannot_be_used_is_done_without(
    store: Any, write: Any, clock: Any, tmp_path: Path, request_series: Any, caplog: Any
) -> None:
    path = tmp_path / "missing" / "pitstop.totals.db"
    totals = Totals(store, TotalsFile(path))
    write(int(clock.at_s), (request_series(), [10]))
    clock.at_s += 3600
    assert _count(totals, clock.at_s) == 1
    assert "kept in memory" in caplog.text
    clock.at_s += 3600
    assert _count(totals, clock.at_s) == 1


def test_a_file_of_a_newer_version_is_refused_and_left_alone(file: TotalsFile) -> None:
    with sqlite3.connect(file.path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreNewerError, match="version 99"):
        file.load()
    file.path.write_bytes(b"no database" * 100)
    with pytest.raises(StoreUnavailableError):
        file.load()


def test_a_damaged_file_does_not_keep_metrics_from_being_told(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any, caplog: Any
) -> None:
    file.path.write_bytes(b"no database" * 100)
    totals = Totals(store, file)
    for told in range(1, 40):
        write(int(clock.at_s), (request_series(), [10]))
        assert _count(totals, clock.at_s) == told
        clock.at_s += 100
    assert caplog.text.count("kept in memory") == 1
    assert file.path.read_bytes() == b"no database" * 100


def test_one_process_sends_until_it_gives_the_right_back(file: TotalsFile) -> None:
    assert file.hold_sender("a", 100, 60)
    assert not file.hold_sender("b", 120, 60)
    assert file.hold_sender("a", 120, 60)
    assert file.hold_sender("b", 181, 60)
    file.release_sender("b")
    assert file.hold_sender("a", 182, 60)


def test_after_weeks_without_anybody_asking_nothing_counts_twice(
    store: Any, write: Any, clock: Any, file: TotalsFile, request_series: Any
) -> None:
    write(int(clock.at_s), (request_series(), [10]))
    clock.at_s += 1200
    totals = Totals(store, file)
    assert _count(totals, clock.at_s) == 1
    for _ in range(20 * 24):
        clock.at_s += 3600
        write(int(clock.at_s), (request_series(), [10]))
        store.upkeep()
    assert 20 * 24 - 1 <= _count(totals, clock.at_s) <= 20 * 24 + 1  # less the rest of one hour
