"""Housekeeping of a SQLite file: bites, checkpoints, free pages, history."""

from __future__ import annotations

import sqlite3
import threading
import time
from typing import TYPE_CHECKING

from pitstop.model import Match, Window
from pitstop.store.backfill import backfill
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore, faults, upkeep

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from conftest import HandClock, Make, Settle


def filled(store: SqliteStore, make: Make, rows: int) -> None:
    store.append(make.batch([(make.NOON + i // 50, make.series(f"{i % 50}"), [i + 1]) for i in range(rows)]))


def test_a_log_is_folded_in_when_it_is_long(
    sqlite_store: SqliteStore, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(sqlite_store, make, 2000)
    assert sqlite_store.upkeep().checkpointed_bytes == 0
    monkeypatch.setattr(upkeep, "LOG_BYTES", 50_000)
    log_bytes = sqlite_store.size().log_bytes
    assert sqlite_store.upkeep().checkpointed_bytes == log_bytes > 50_000
    assert sqlite_store.size().log_bytes == 0
    assert upkeep.LOG_BYTES == 50_000


def test_a_checkpoint_gives_way_to_a_reader_and_holds_nobody_up(sqlite_store: SqliteStore, make: Make) -> None:
    filled(sqlite_store, make, 1000)
    reader = sqlite3.connect(sqlite_store.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM rollup_1").fetchone()
    filled(sqlite_store, make, 10)
    begin = time.monotonic()
    assert sqlite_store.checkpoint() == 0
    assert time.monotonic() - begin < 1.0
    reader.execute("COMMIT")
    assert sqlite_store.checkpoint() > 0
    reader.close()


def test_free_pages_go_back_to_the_file_system(sqlite_store: SqliteStore, make: Make, clock: HandClock) -> None:
    filled(sqlite_store, make, 50_000)
    sqlite_store.checkpoint()
    before = sqlite_store.size().data_bytes
    clock.pass_s(5 * 86_400)
    assert sqlite_store.prune(make.NOON + 3 * 86_400) == 50_000
    freed = 0
    while more := sqlite_store.upkeep().freed_bytes:
        freed += more
    sqlite_store.checkpoint()
    size = sqlite_store.size()
    assert freed > before / 2
    assert size.data_bytes + freed <= before + size.free_bytes
    assert size.data_bytes < before / 2


def test_a_prune_lets_flushes_in_between_its_bites(
    sqlite_store: SqliteStore, make: Make, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BITE_ROWS", 500)
    filled(sqlite_store, make, 20_000)
    clock.pass_s(3 * 86_400)
    other = SqliteStore(sqlite_store.path, clock=clock)
    other.services()
    pruned = threading.Thread(target=sqlite_store.prune, args=(make.NOON + 86_400,))
    pruned.start()
    flushed_meanwhile = 0
    while pruned.is_alive():
        other.append(make.batch([(int(clock.now_s()), make.series("live"), [1])], worker="w2"))
        flushed_meanwhile += 1
    pruned.join()
    assert flushed_meanwhile > 10
    raw = sqlite3.connect(sqlite_store.path)
    assert raw.execute("SELECT count(*) FROM rollup_1").fetchone() == (flushed_meanwhile,)
    assert raw.execute("SELECT n_rows FROM tier WHERE name = 'rollup_1'").fetchone() == (flushed_meanwhile,)
    raw.close()
    other.close()


def test_one_round_is_bounded(sqlite_store: SqliteStore, make: Make, clock: HandClock, settle: Settle) -> None:
    filled(sqlite_store, make, 60_000)
    clock.pass_s(7200)
    first = sqlite_store.upkeep()
    assert 20_000 <= first.folded_rows <= 25_000
    settle(sqlite_store)
    got = sqlite_store.rollups(Window(make.NOON, make.NOON + 3600), Match())
    assert (sum(got.count), len(got)) == (60_000, 50)


def test_a_history_is_filled_in_and_folded(path: str, make: Make, clock: HandClock) -> None:
    parts = [
        make.rollups([(make.NOON - day * 86_400 - i * 60, make.series(), [7]) for i in range(50)]) for day in range(9)
    ]
    for store in (SqliteStore(path, clock=clock), MemoryStore("h", clock=clock)):
        backfill(store, parts)
        day_s = make.NOON // 86_400 * 86_400
        assert sum(store.rollups(Window(day_s - 9 * 86_400, day_s + 86_400), Match()).count) == 450
        if isinstance(store, SqliteStore):
            assert {table.name: table.rows for table in store.size().tables}["rollup_86400"] == 8
        store.close()


def test_a_file_that_somebody_else_has_set_aside_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "p.db"
    file.write_bytes(b"new")
    assert faults.set_aside(str(file), file.stat().st_ino + 1) is None
    assert file.read_bytes() == b"new"
    assert faults.set_aside(str(tmp_path / "gone.db"), 5) is None


def test_names_are_forgotten_after_retention_also_in_other_processes(
    path: str, make: Make, clock: HandClock, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BELIEVED_AFTER_S", 0)
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    samples = make.samples([(make.NOON, "shop", "w1", "rss_bytes", 1.0)])
    for seq_of in (store, other):
        seq_of.append(make.batch([(make.NOON, make.series("old"), [1])], samples=samples))
    for _ in range(800):
        clock.pass_s(86_400)
        store.upkeep()
    settle(store)
    assert (store.size().series, store.services()) == (0, [])
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM worker").fetchone() == (0,)
    assert raw.execute("SELECT count(*) FROM gauge").fetchone() == (0,)
    raw.close()
    now = int(clock.now_s())
    other.append(
        make.batch([(now, make.series("old"), [1])], samples=make.samples([(now, "shop", "w1", "rss_bytes", 2.0)]))
    )
    assert make.answer(other, now, now + 1)[make.series("old")][0] == 1
    assert other.samples(Window(now, now + 1)).value == [2.0]
    store.close()
    other.close()


def test_the_houses_clock_never_passes_the_real_one_after_a_pause(path: str, make: Make, clock: HandClock) -> None:
    store = SqliteStore(path, clock=clock)
    store.upkeep()
    clock.pass_s(3 * 86_400)
    batch = make.batch([(int(clock.now_s()), make.series(), [1])])
    store.append(batch)
    store.upkeep()
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT value FROM house WHERE name = 'now_s'").fetchone()[0] == int(clock.now_s())
    raw.close()
    store.append(batch)  # its worker is still known
    assert make.answer(store, int(clock.now_s()), int(clock.now_s()) + 1)[make.series()][0] == 1
    store.close()
