"""Traces, errors and profiles in a file: indexes, bounds, and what happens when several do the same at once."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import StoreCorruptError, StoreError, StoreUnavailableError, TraceMatch, Window
from pitstop.store.sqlite import SqliteStore, fold_profiles, trim, upkeep
from pitstop.store.sqlite.listing import MOST_PATHS, paths_of
from pitstop.store.sqlite.names import STACKS
from pitstop.store.sqlite.profiles import packed_stacks

if TYPE_CHECKING:
    from conftest import HandClock, Make, Settle

    from pitstop.store.sqlite.connection import Connections
    from pitstop.store.sqlite.tiers import Tier

S = 10**9
DAY_S = 86_400


def figures(path: str, *queries: str) -> list[int]:
    raw = sqlite3.connect(path)
    found = [raw.execute(query).fetchone()[0] for query in queries]
    raw.close()
    return found


@pytest.mark.parametrize(
    ("match", "slowest", "index"),
    [
        (TraceMatch(), False, "USING PRIMARY KEY (ts>? AND ts<?)"),
        (TraceMatch(service="shop"), False, "USING PRIMARY KEY (ts>? AND ts<?)"),
        (TraceMatch(name="GET /"), False, "trace_of_series (series=? AND reason=? AND ts>? AND ts<?)"),
        (TraceMatch(name="GET /", reason="slow"), True, "trace_of_series (series=? AND reason=? AND ts>? AND ts<?)"),
        (TraceMatch(reason="failed"), False, "trace_of_reason (reason=? AND ts>? AND ts<?)"),
        (TraceMatch(reason="failed"), True, "trace_of_reason (reason=? AND ts>? AND ts<?)"),
        (TraceMatch(), True, "trace_of_day (<expr>=?"),
        (TraceMatch(reason="sample"), True, "trace_of_day (<expr>=?"),
        (TraceMatch(min_ns=5), False, "trace_of_day (<expr>=? AND duration_ns>?)"),
    ],
)
def test_every_list_of_traces_uses_an_index(
    sqlite_store: SqliteStore, make: Make, match: TraceMatch, slowest: bool, index: str
) -> None:
    sqlite_store.append(make.batch(traces=make.traces([{}, {"outcome": "500", "reason": "failed"}])))
    with sqlite_store._connections.read() as connection:
        paths = paths_of(connection, Window(make.NOON - DAY_S, make.NOON + DAY_S), match, slowest=slowest)
        assert paths
        for path in paths:
            where, values = path.where(7, slowest=slowest)
            column = "duration_ns" if slowest else "ts"
            query = f"EXPLAIN QUERY PLAN SELECT {column} FROM trace WHERE {where} ORDER BY {column} DESC LIMIT 100"
            plan = " | ".join(row[3] for row in connection.execute(query, values))
            assert index in plan
            assert "SCAN" not in plan
            in_order = not slowest or "trace_of_day" in index
            assert ("TEMP B-TREE" not in plan) == (in_order and (match.min_ns is None))


def test_a_trace_and_a_failure_are_found_by_index(sqlite_store: SqliteStore) -> None:
    with sqlite_store._connections.read() as connection:
        for query, index in (
            ("SELECT * FROM trace WHERE trace_id = 'x'", "trace_parts (trace_id=?)"),
            ("SELECT ts FROM error WHERE failure = 1 AND ts >= 1 AND ts < 2 ORDER BY ts DESC", "error_of_failure"),
            ("SELECT id FROM stack WHERE digest = x'00'", "stack_digest (digest=?)"),
            ("SELECT id FROM frame WHERE text = 'x'", "frame_text (text=?)"),
        ):
            plan = " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
            assert index in plan
            assert "SCAN" not in plan


def test_a_question_about_very_many_series_is_answered_from_the_window(sqlite_store: SqliteStore, make: Make) -> None:
    rows = [
        {"start_ns": (make.NOON + i) * S, "name": f"GET /{i}", "duration_ns": 10**6 + i} for i in range(MOST_PATHS + 9)
    ]
    rows.append({"start_ns": make.NOON * S, "service": "till", "duration_ns": 1 << 40})
    sqlite_store.append(make.batch(traces=make.traces(rows)))
    window = Window(make.NOON, make.NOON + 1000)
    newest = sqlite_store.traces(window, TraceMatch(service="shop"), limit=3)
    assert newest.name == [f"GET /{MOST_PATHS + i}" for i in (8, 7, 6)]
    slowest = sqlite_store.traces(window, TraceMatch(service="shop", reason="slow"), limit=3, slowest=True)
    assert slowest.name == newest.name
    assert len(sqlite_store.traces(window, TraceMatch(service="shop", reason="sample"), limit=3, slowest=True)) == 0


def test_spans_are_kept_within_their_budget_and_samples_go_first(
    path: str, make: Make, clock: HandClock, settle: Settle
) -> None:
    store = SqliteStore(path, clock=clock, trace_bytes=100_000)
    rows = [
        {"start_ns": (make.NOON - 3000 + i) * S, "reason": "sample" if i % 3 else "slow", "body": os.urandom(500)}
        for i in range(600)
    ]
    store.append(make.batch(traces=make.traces(rows)))
    settle(store)
    left = store.traces(Window(0, make.NOON), TraceMatch(), limit=1000)
    assert set(left.reason) == {"slow"}
    assert left.ts == sorted(left.ts, reverse=True)
    assert 0 < len(left) <= 200
    assert left.ts[0] == make.NOON - 3000 + 597
    held, rows_kept, bodies = figures(
        path, "SELECT value FROM house WHERE name = 'trace_bytes'", "SELECT count(*) FROM trace",
        "SELECT sum(length(spans)) FROM trace_body",
    )  # fmt: skip
    assert held == bodies <= 100_000
    assert rows_kept == len(left)
    make.check_row_numbers(path)
    store.close()


def test_flushes_get_in_between_bites_of_traces(
    sqlite_store: SqliteStore, make: Make, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trim, "BITE_TRACES", 20)
    for at in range(0, 1000, 200):
        rows = [{"start_ns": (make.NOON + at + i) * S} for i in range(200)]
        sqlite_store.append(make.batch(traces=make.traces(rows)))
    clock.pass_s(3 * DAY_S)
    other = SqliteStore(sqlite_store.path, clock=clock)
    other.services()
    pruned = threading.Thread(target=sqlite_store.prune, args=(make.NOON + DAY_S,))
    pruned.start()
    flushed = 0
    while pruned.is_alive():
        other.append(make.batch(worker="w2", traces=make.traces([{"start_ns": int(clock.now_s()) * S + flushed}])))
        flushed += 1
    pruned.join()
    assert flushed > 10
    assert figures(sqlite_store.path, "SELECT count(*) FROM trace", "SELECT count(*) FROM trace_body") == [flushed] * 2
    make.check_row_numbers(sqlite_store.path)
    other.close()


def test_two_housekeepers_at_once_count_nothing_twice(path: str, make: Make, clock: HandClock, settle: Settle) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    samples = [{"start_ns": (make.NOON + i) * S, "reason": "sample"} for i in range(3000)]
    store.append(make.batch(traces=make.traces(samples)))
    store.append(make.batch(profiles=make.profiles([(make.NOON + i, f"a;{i % 40}", 2) for i in range(3000)])))
    clock.pass_s(2 * DAY_S)
    failures: list[BaseException] = []

    def keep(one: SqliteStore) -> None:
        try:
            settle(one)
        except BaseException as error:  # noqa: BLE001  a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=keep, args=(one,)) for one in (store, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    everything = Window(make.NOON - DAY_S, make.NOON + DAY_S)
    assert sum(store.traces(everything, TraceMatch()).weight) == 3000
    assert sum(store.profiles(everything).samples) == 6000
    make.check_row_numbers(path)
    store.close()
    other.close()


def test_a_batch_that_comes_while_profiles_are_folded_is_not_lost(
    path: str, make: Make, clock: HandClock, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    store.append(make.batch(profiles=make.profiles([(make.NOON, "a", 1)])))
    clock.pass_s(120)
    read_piece = fold_profiles._read_piece
    late = [make.batch(worker="late", profiles=make.profiles([(make.NOON + 1, "a", 5)]))]

    def meanwhile(connection: sqlite3.Connection, *arguments: Tier) -> object:
        piece = read_piece(connection, *arguments)
        if late:
            other.append(late.pop())
        return piece

    monkeypatch.setattr(fold_profiles, "_read_piece", meanwhile)
    settle(store)
    assert late == []
    for length_s in (1, 60, 3600):
        start_s = make.NOON // length_s * length_s
        assert sum(store.profiles(Window(start_s, start_s + max(60, length_s))).samples) == 6
    clock.pass_s(2 * DAY_S)
    settle(store)
    assert store.profiles(Window(make.NOON - DAY_S, make.NOON + DAY_S)).samples == [6]
    store.close()
    other.close()


def test_stacks_frames_and_failures_are_forgotten_with_their_last_row(
    path: str, make: Make, clock: HandClock, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BELIEVED_AFTER_S", 0)
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)

    def write(one: SqliteStore, worker: str, stack: str) -> None:
        now = int(clock.now_s())
        inside = {"profiles": make.profiles([(now, stack, 1)]), "errors": make.errors([{"ts": now, "stack": stack}])}
        one.append(make.batch(worker=worker, **inside))

    write(store, "w1", "main;old")
    write(other, "w2", "main;old")
    for _ in range(100):
        clock.pass_s(DAY_S)
        write(store, "w1", "main;new")
        store.upkeep()
    settle(store)
    texts = "SELECT count(*) FROM frame WHERE text IN ('old', 'main;old')"
    assert figures(path, texts, "SELECT count(*) FROM frame WHERE text = 'main'") == [0, 1]
    assert figures(path, "SELECT count(*) FROM stack", "SELECT count(*) FROM source") == [3, 1]
    write(other, "w2", "main;old")  # whose process remembers ids that are gone
    now = int(clock.now_s())
    assert sorted(other.profiles(Window(now, now + 60)).stack) == ["main;new", "main;old"]
    assert other.errors(Window(now, now + 1)).stack[0] == "main;old"
    store.prune(now + 400 * DAY_S)
    clock.pass_s(200 * DAY_S)
    for _ in range(250):
        clock.pass_s(DAY_S)
        store.upkeep()
    assert figures(path, "SELECT count(*) FROM stack", "SELECT count(*) FROM frame") == [1, 1]
    assert figures(path, "SELECT count(*) FROM failure", "SELECT count(*) FROM source") == [0, 0]
    store.close()
    other.close()


def test_a_process_remembers_so_many_stacks_and_no_more(
    sqlite_store: SqliteStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pitstop.store.sqlite.names.STACKS", 10)
    for i in range(50):
        sqlite_store.append(make.batch(profiles=make.profiles([(make.NOON, f"a;{i}", 1)])))
    assert len(sqlite_store._names.stacks) <= 11 < STACKS
    assert len(sqlite_store.profiles(Window(make.NOON, make.NOON + 60))) == 50


def test_damaged_stacks_are_told_and_not_guessed(sqlite_store: SqliteStore, make: Make, path: str) -> None:
    sqlite_store.append(make.batch(profiles=make.profiles([(make.NOON, "a", 1)])))
    raw = sqlite3.connect(path)
    for damaged in (b"", b"\x01\x01", packed_stacks({1: (2, 3)}) + b"\x00", b"\x03\x01\x01" + b"\x00" * 5):
        raw.execute("UPDATE profile_1 SET stacks = ?", (damaged,))
        raw.commit()
        with pytest.raises(StoreCorruptError, match="wrong length"):
            sqlite_store.profiles(Window(make.NOON, make.NOON + 60))
    raw.close()


def test_a_reader_sees_the_inside_while_a_writer_works_and_changes_nothing(
    sqlite_store: SqliteStore, make: Make, path: str
) -> None:
    reader = SqliteStore(path, readonly=True)
    for i in range(20):
        now = make.NOON + i
        inside = {
            "traces": make.traces([{"start_ns": now * S}]), "errors": make.errors([{"ts": now}]),
            "profiles": make.profiles([(make.NOON, "a", 1)]),
        }  # fmt: skip
        sqlite_store.append(make.batch(**inside))
        window = Window(make.NOON, make.NOON + 60)
        assert len(reader.traces(window, TraceMatch(), body=True)) == i + 1
        assert reader.errors(window).ts == [now]
        assert reader.profiles(window).samples == [i + 1]
        assert len(reader.trace(f"{now * S:032x}")) == 1
    with pytest.raises(StoreUnavailableError, match="readonly"):
        reader.append(make.batch(traces=make.traces([{}])))
    reader.close()


def test_children_forked_between_batches_know_stacks_and_lose_no_trace(
    sqlite_store: SqliteStore, make: Make, path: str
) -> None:
    def write(worker: str, n: int) -> None:
        for i in range(n):
            stacks = make.profiles([(make.NOON, f"main;{worker if i % 2 else 'both'}", 1)])
            sqlite_store.append(make.batch(worker=worker, traces=make.traces([{"worker": worker}]), profiles=stacks))

    write("parent", 2)
    children = []
    for n in range(3):
        child = os.fork()
        if not child:
            failed = 1
            try:
                write(f"child{n}", 20)
                failed = 0
            finally:
                os._exit(failed)
        children.append(child)
        write("parent", 10)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    window = Window(make.NOON, make.NOON + 60)
    found = Counter(sqlite_store.traces(window, TraceMatch(), limit=1000).worker)
    assert found == {"parent": 32, "child0": 20, "child1": 20, "child2": 20}
    stacks = {key[3]: samples for key, (samples, _) in make.stacks(sqlite_store.profiles(window)).items()}
    assert stacks == {"main;both": 46, "main;parent": 16, **{f"main;child{n}": 10 for n in range(3)}}
    assert figures(path, "SELECT count(*) FROM frame WHERE text = 'main'", "SELECT count(*) FROM stack") == [1, 6]


def test_a_batch_that_fails_in_the_middle_leaves_nothing(
    sqlite_store: SqliteStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = {
        "traces": make.traces([{}]),
        "errors": make.errors([{}]),
        "profiles": make.profiles([(make.NOON, "a;b", 1)]),
    }
    batch = make.batch([(make.NOON, make.series(), [1])], **inside)

    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("pitstop.store.sqlite.write.append_profiles", refuse)
        with pytest.raises(StoreError, match="full"):
            sqlite_store.append(batch)
    window = Window(make.NOON, make.NOON + 60)
    assert len(sqlite_store.traces(window, TraceMatch())) == len(sqlite_store.errors(window)) == 0
    sqlite_store.append(batch)
    sqlite_store.append(batch)
    assert sqlite_store.trace(batch.traces.trace_id[0]) == batch.traces
    assert sqlite_store.errors(window) == batch.errors
    assert sqlite_store.profiles(window).stack == ["a;b"]
    make.check_row_numbers(sqlite_store.path)


def test_the_fold_gives_way_when_the_mark_has_moved(
    path: str, make: Make, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    store.append(make.batch(profiles=make.profiles([(make.NOON, "a", 1)])))
    clock.pass_s(120)
    to_raise = fold_profiles._to_raise
    once = [1]

    def meanwhile(*arguments: object) -> object:
        if once:
            once.pop()
            other.upkeep()
        return to_raise(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(fold_profiles, "_to_raise", meanwhile)
    connections: Connections = store._connections
    fold_profiles.fold_profiles(connections, int(clock.now_s()))
    assert store.profiles(Window(make.NOON, make.NOON + 60)).samples == [1]
    make.check_row_numbers(path)
    store.close()
    other.close()
