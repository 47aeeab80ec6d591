"""Files of other ages, and proof that questions use the key."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import pitstop
from pitstop.model import Match, StoreError, StoreUnavailableError, TraceMatch, Window
from pitstop.rollup.codec import decode
from pitstop.store.sqlite import SqliteStore, schema
from pitstop.store.sqlite.read import segment_query
from pitstop.store.sqlite.tiers import KEYS, LISTS, ROLLUP_TIERS, SAMPLE_TIERS, TIERS, Segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from conftest import HandClock, Make, Settle

    from pitstop.store.sqlite.tiers import Tier


def listing(path: str) -> set[tuple[str, str]]:
    raw = sqlite3.connect(path)
    found = set(raw.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
    raw.close()
    return found


@pytest.fixture
def old_file(path: str) -> str:
    """A file as schema 0 wrote it: no bytes column, one index missing, one table led by series, no house tables."""
    raw = sqlite3.connect(path)
    raw.executescript(
        """
        CREATE TABLE series (id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL, tenant TEXT NOT NULL,
            kind TEXT NOT NULL, name TEXT NOT NULL, parent TEXT NOT NULL, outcome TEXT NOT NULL);
        CREATE TABLE worker (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, seq INTEGER NOT NULL);
        CREATE UNIQUE INDEX worker_name ON worker (name);
        CREATE TABLE rollup_1 (ts INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
            seq INTEGER NOT NULL, count INTEGER NOT NULL, sum_ns INTEGER NOT NULL, min_ns INTEGER NOT NULL,
            max_ns INTEGER NOT NULL, hist BLOB NOT NULL, PRIMARY KEY (ts, series, worker, seq)) WITHOUT ROWID;
        CREATE TABLE rollup_10 (series INTEGER NOT NULL, ts INTEGER NOT NULL, worker INTEGER NOT NULL,
            seq INTEGER NOT NULL, count INTEGER NOT NULL, sum_ns INTEGER NOT NULL, min_ns INTEGER NOT NULL,
            max_ns INTEGER NOT NULL, nbytes INTEGER NOT NULL, hist BLOB NOT NULL,
            PRIMARY KEY (series, ts, worker, seq)) WITHOUT ROWID;
        CREATE TABLE rollup_60 (ts INTEGER NOT NULL, series INTEGER NOT NULL, worker INTEGER NOT NULL,
            seq INTEGER NOT NULL, count INTEGER NOT NULL, sum_ns INTEGER NOT NULL, min_ns INTEGER NOT NULL,
            max_ns INTEGER NOT NULL, nbytes INTEGER NOT NULL, hist BLOB NOT NULL);
        INSERT INTO series VALUES (1, 'shop', '', 'http', 'GET /old', '', '200');
        INSERT INTO worker VALUES (1, 'w1', 3);
        INSERT INTO rollup_1 VALUES (1790000000, 1, 1, 3, 2, 14, 7, 7, x'150502');
        INSERT INTO rollup_10 VALUES (1, 1789999990, 1, 2, 5, 35, 7, 7, 0, x'150505');
        INSERT INTO rollup_60 VALUES (1789999980, 1, 1, 1, 9, 63, 7, 7, 0, x'150509');
        """
    )
    raw.close()
    return path


def test_an_old_file_gets_its_columns_keys_and_indexes_and_keeps_its_rows(
    old_file: str, make: Make, clock: HandClock, tmp_path: Path
) -> None:
    store = SqliteStore(old_file, clock=clock)
    store.append(make.batch([(1_790_000_000, make.series("GET /old"), [7])], worker="w2"))
    fresh = SqliteStore(str(tmp_path / "fresh.db"), clock=clock)
    fresh.services()
    assert listing(old_file) == listing(fresh.path)
    raw = sqlite3.connect(old_file)
    wanted = sqlite3.connect(fresh.path)
    for _, table in (entry for entry in listing(fresh.path) if entry[0] == "table"):
        have = {(c[1], c[5]) for c in raw.execute(f"PRAGMA table_info({table})")}
        assert have == {(c[1], c[5]) for c in wanted.execute(f"PRAGMA table_info({table})")}
    assert make.kept(old_file, "rollup_10") == [(1789999990, 1, (5, 35, 7, 7, 0, b"\x15\x05\x05"))]
    assert make.kept(old_file, "rollup_60") == [(1789999980, 1, (9, 63, 7, 7, 0, b"\x15\x05\x09"))]
    assert raw.execute("SELECT n_rows FROM tier WHERE name = 'rollup_10'").fetchone() == (1,)
    assert raw.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert make.answer(store, 1_790_000_000, 1_790_000_001)[make.series("GET /old")][0] == 3
    raw.close()
    wanted.close()
    fresh.close()
    store.close()


@pytest.fixture
def schema_1(path: str) -> str:
    """A file that schema 1 wrote: three series over two days, some of it late, one second not folded."""
    raw = sqlite3.connect(path)
    raw.executescript((Path(__file__).parent / "schema_1.sql").read_text(encoding="utf-8"))
    raw.close()
    return path


def test_a_file_of_schema_1_answers_the_same_after_it_was_migrated(
    schema_1: str, make: Make, clock: HandClock, settle: Settle
) -> None:
    raw = sqlite3.connect(schema_1)
    wanted = {
        table: raw.execute(
            "SELECT ts, series, sum(count), sum(sum_ns), min(min_ns), max(max_ns), sum(nbytes)"
            f" FROM {table} GROUP BY ts, series ORDER BY ts, series"
        ).fetchall()
        for table in (tier.name for tier in ROLLUP_TIERS[1:])
    }
    assert len(wanted["rollup_3600"]) == 13 - 3  # of the late row and its two followers in one hour, one is left
    raw.close()
    with pytest.raises(StoreError, match="old schema 1; run 'pitstop storage migrate'"):
        SqliteStore(schema_1, readonly=True).services()
    clock.pass_s(5)
    store = SqliteStore(schema_1, clock=clock)
    store.services()
    for table, rows in wanted.items():
        kept = make.kept(schema_1, table)
        assert [(ts, series, *values[:5]) for ts, series, values in kept] == rows
        assert all(sum(decode(values[5]).values()) == values[0] for *_, values in kept)
        assert {one.name: one.rows for one in store.size().tables}[table] == len(rows)
    settle(store)
    got = make.answer(store, make.NOON - 60 * 3600, make.NOON + 100)
    assert {series.name: total[:5] for series, total in got.items()} == {
        "a": (25, 1067703797, 7, 99489141, 250),  # what schema 1 itself answered
        "b": (11, 791214879, 1767378, 96253981, 110),
        "c": (1, 5, 5, 5, 10),
    }
    assert store.size().schema == schema.VERSION == 4
    raw = sqlite3.connect(schema_1)
    assert not [name for _, name in listing(schema_1) if name.endswith("_plain")]
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    late = make.batch([(make.NOON - 26 * 3600, make.series("a"), [3])], worker="late")
    store.append(late)  # its seq 1 was written before
    assert make.answer(store, make.NOON - 60 * 3600, make.NOON + 100)[make.series("a")][0] == 25
    store.close()


def test_eight_processes_meet_a_file_of_schema_1(schema_1: str, make: Make, clock: HandClock) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(pitstop.__file__).parents[1])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", START, schema_1, f"new{i}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
        )
        for i in range(8)
    ]  # fmt: skip
    assert [process.communicate("\n", timeout=60)[1] for process in processes] == [""] * 8
    clock.pass_s(5)
    store = SqliteStore(schema_1, clock=clock)
    got = make.answer(store, make.NOON - 60 * 3600, make.NOON + 10_000)
    assert {series.name: total[0] for series, total in got.items()} == {"a": 25 + 8, "b": 11, "c": 1}
    store.close()


@pytest.fixture
def schema_2(path: str) -> str:
    """A file that schema 2 wrote: what was known before stores kept the inside of requests."""
    raw = sqlite3.connect(path)
    raw.executescript((Path(__file__).parent / "schema_2.sql").read_text(encoding="utf-8"))
    raw.close()
    return path


def test_a_file_of_schema_2_keeps_its_rows_and_takes_traces_errors_and_profiles(
    schema_2: str, make: Make, clock: HandClock, settle: Settle, tmp_path: Path
) -> None:
    raw = sqlite3.connect(schema_2)
    tables = [*(tier.name for tier in (*ROLLUP_TIERS, *SAMPLE_TIERS)), "event", "series", "worker"]
    before = {table: raw.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    raw.close()
    with pytest.raises(StoreError, match="old schema 2; run 'pitstop storage migrate'"):
        SqliteStore(schema_2, readonly=True).services()
    store = SqliteStore(schema_2, clock=clock)
    assert store.services() == ["shop"]
    fresh = SqliteStore(str(tmp_path / "fresh.db"), clock=clock)
    fresh.services()
    assert listing(schema_2) == listing(fresh.path)
    raw, wanted = sqlite3.connect(schema_2), sqlite3.connect(fresh.path)
    for _, table in (entry for entry in listing(fresh.path) if entry[0] == "table"):
        assert (
            raw.execute(f"PRAGMA table_info({table})").fetchall()
            == wanted.execute(f"PRAGMA table_info({table})").fetchall()
        )
    assert {table: raw.execute(f"SELECT * FROM {table}").fetchall() for table in tables} == before
    assert raw.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
    wanted.close()
    got = make.answer(store, make.NOON - 70 * 3600, make.NOON)
    assert {series.name: total[0] for series, total in got.items()} == {"a": 14, "b": 10, "SELECT ?": 10}
    inside = {
        "traces": make.traces([{}]),
        "errors": make.errors([{}]),
        "profiles": make.profiles([(make.NOON, "a", 1)]),
    }
    store.append(make.batch(worker="new", **inside))
    clock.pass_s(7200)
    settle(store)
    make.check_row_numbers(schema_2)
    assert len(store.traces(Window(make.NOON, make.NOON + 1), TraceMatch())) == 1
    store.close()
    fresh.close()


def test_a_file_that_is_being_made_is_no_store_yet_for_a_reader(path: str) -> None:
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA journal_mode=WAL")
    reader = SqliteStore(path, readonly=True)
    with pytest.raises(StoreUnavailableError, match="is being made right now; try again in a second"):
        reader.services()
    raw.close()
    SqliteStore(path).services()
    assert reader.services() == []
    reader.close()


def test_a_file_with_tiers_that_nobody_knows_is_a_store_error(sqlite_store: SqliteStore, path: str) -> None:
    sqlite_store.services()
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("INSERT INTO tier (name, step_s) VALUES ('rollup_600', 600)")
    raw.close()
    with pytest.raises(StoreError, match=r"tiers differs .*\(rollup_600\); the file was written by a development"):
        sqlite_store.rollups(Window(0, 1 << 40), Match())
    with pytest.raises(StoreError, match="rollup_600"):
        sqlite_store.upkeep()


def test_an_index_that_somebody_dropped_is_made_again(sqlite_store: SqliteStore, path: str, make: Make) -> None:
    sqlite_store.append(make.batch([(make.NOON, make.series(), [1])]))
    before = listing(path)
    raw = sqlite3.connect(path)
    raw.execute("DROP INDEX series_identity")
    raw.close()
    assert listing(path) != before
    SqliteStore(path).append(make.batch([(make.NOON, make.series("b"), [1])]))
    assert listing(path) == before


def test_a_reader_says_that_an_old_file_must_be_migrated(old_file: str) -> None:
    with pytest.raises(StoreError, match="old schema 0; run 'pitstop storage migrate'"):
        SqliteStore(old_file, readonly=True).services()


def test_a_file_of_this_schema_is_not_written_when_it_is_opened(
    sqlite_store: SqliteStore, path: str, make: Make
) -> None:
    sqlite_store.append(make.batch([(make.NOON, make.series(), [1])]))
    sqlite_store.checkpoint()
    second = SqliteStore(path)
    assert second.services() == ["shop"]
    assert second.size().log_bytes == 0
    second.close()


def test_a_fresh_file_has_its_pragmas(sqlite_store: SqliteStore) -> None:
    sqlite_store.services()
    with sqlite_store._connections.read() as connection:
        pragmas = ("auto_vacuum", "journal_mode", "synchronous", "wal_autocheckpoint", "busy_timeout")
        assert [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas] == [2, "wal", 1, 0, 5000]


START = """
import sys
from pitstop.model import Batch, Rollups, Series
from pitstop.store.sqlite import SqliteStore
out = Rollups()
out.ts, out.series, out.hist = [1_790_000_000], [Series("shop", "", "http", "a", "", "200")], [b""]
out.count = out.sum_ns = out.min_ns = out.max_ns = out.nbytes = [1]
store = SqliteStore(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
store.append(Batch(sys.argv[2], 1, out))
"""


def test_eight_processes_start_on_an_empty_file(path: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(pitstop.__file__).parents[1])}
    for round_ in range(3):
        file = f"{path}{round_}"
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", START, file, f"w{i}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True,
            )
            for i in range(8)
        ]  # fmt: skip
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 8
        store = SqliteStore(file)
        got = store.rollups(Window(1_790_000_000, 1_790_000_001), Match())
        assert (sum(got.count), len(set(got.series)), store.size().series) == (8, 1, 1)
        store.close()


def test_names_of_a_kind_are_found_without_a_look_at_long_statements(sqlite_store: SqliteStore) -> None:
    for condition, index in (
        ("kind = 'db' AND parent = 'GET /'", "COVERING INDEX series_of_kind (kind=? AND parent=?)"),
        ("service = 'shop' AND kind = 'http'", "COVERING INDEX series_of_kind (kind=?)"),
        ("name = 'GET /' AND kind = 'http'", "COVERING INDEX series_identity (name=? AND kind=?)"),
    ):
        assert index in explained(sqlite_store, f"SELECT id FROM series WHERE {condition}", ())


def explained(store: SqliteStore, query: str, parameters: Sequence[object]) -> str:
    with store._connections.read() as connection:
        return " | ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters))


@pytest.mark.parametrize("tier", ROLLUP_TIERS, ids=lambda tier: tier.name)
def test_reads_of_every_tier_use_the_primary_key(sqlite_store: SqliteStore, tier: Tier) -> None:
    segment = Segment(tier, 1_790_000_000, 1_790_000_000 + tier.step_s * 10)
    for ids in (None, [3], list(range(1, 100))):
        plan = explained(sqlite_store, *segment_query(segment, ids, hist=True))
        used = f"INDEX sqlite_autoindex_{tier.name}_1" if tier.packed else "PRIMARY KEY"
        assert f"SEARCH {tier.name} USING {used} (ts>? AND ts<?)" in plan
        assert "SCAN" not in plan
    plan = explained(sqlite_store, *segment_query(segment, [3], hist=True, kind="http"))
    assert f"{tier.name}_of_kind (kind=? AND ts>? AND ts<?)" in plan or not tier.packed


@pytest.mark.parametrize("table", [*TIERS, *LISTS])
def test_prunes_and_newest_rows_use_the_key_that_time_leads(sqlite_store: SqliteStore, table: str) -> None:
    key = KEYS[table]
    packed = table in TIERS and TIERS[table].packed
    used = f"INDEX sqlite_autoindex_{table}_1" if packed else "PRIMARY KEY"
    if table == "report":  # its primary key is whose report it is
        used = "INDEX report_of_time"
    for query, parameters in (
        (f"DELETE FROM {table} WHERE ts < ?", (5,)),
        (f"DELETE FROM {table} WHERE ({key}) < ({', '.join('5' for _ in key.split(','))})", ()),
        (f"SELECT {key} FROM {table} WHERE ts < ? ORDER BY {key} LIMIT 1 OFFSET ?", (5, 10)),
    ):
        plan = explained(sqlite_store, query, parameters)
        assert f"SEARCH {table} USING {used} (" in plan.replace("COVERING ", "")
        assert "SCAN" not in plan
        assert "TEMP B-TREE" not in plan
    assert "TEMP B-TREE" not in explained(sqlite_store, f"SELECT * FROM {table} ORDER BY ts DESC LIMIT 10", ())
    assert f"USING {used}" in explained(sqlite_store, f"SELECT max(ts) FROM {table}", ()).replace("COVERING ", "")
