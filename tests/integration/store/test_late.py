"""Rows that folding has passed: kept beside the folded ones, merged when they are many, never lost."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from pitstop.store.sqlite import SqliteStore, compact

if TYPE_CHECKING:
    from conftest import HandClock, Make, Settle

    from pitstop.store.sqlite.write import Groups, PackRow

DAY_S = 86_400
TABLES = ("rollup_10", "rollup_60", "rollup_300", "rollup_3600")


def crowd(make: Make, store: SqliteStore, settle: Settle, workers: int = 12) -> int:
    """An hour two days ago that `workers` late batches came into; its start."""
    at = (make.NOON - 2 * DAY_S) // 3600 * 3600
    store.append(make.batch([(at + i, make.series(str(i % 3)), [i + 1]) for i in range(60)]))
    settle(store)
    for i in range(workers):
        store.append(make.batch([(at + 5, make.series(str(i % 5)), [100 + i])], worker=f"late{i}"))
    return at


def packs_at(path: str, table: str, ts: int) -> int:
    raw = sqlite3.connect(path)
    (found,) = raw.execute(f"SELECT count(*) FROM {table} WHERE ts = ?", (ts,)).fetchone()
    raw.close()
    return int(found)


def test_an_interval_with_many_late_rows_is_compacted_and_answers_the_same(
    make: Make, clock: HandClock, path: str, settle: Settle
) -> None:
    store = SqliteStore(path, clock=clock)
    at = crowd(make, store, settle)
    window = (at, at + 3600)
    before = [make.answer(store, *window, step_s) for step_s in (None, 3600, 300)]
    assert packs_at(path, "rollup_3600", at) == 13
    settle(store)
    for table in ("rollup_60", "rollup_300", "rollup_3600"):
        assert packs_at(path, table, at) == 1, table
    assert [make.answer(store, *window, step_s) for step_s in (None, 3600, 300)] == before
    make.check_row_numbers(path)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM late").fetchone() == (0,)
    raw.close()
    assert sum(total[0] for total in before[0].values()) == 60 + 12
    store.close()


def test_a_few_late_rows_are_left_alone(make: Make, clock: HandClock, path: str, settle: Settle) -> None:
    store = SqliteStore(path, clock=clock)
    at = crowd(make, store, settle, workers=compact.LATE_PACKS)
    settle(store)
    assert packs_at(path, "rollup_3600", at) == 1 + compact.LATE_PACKS
    store.close()


@pytest.mark.parametrize("meanwhile", ["a late row", "another housekeeper", "both"])
def test_a_row_that_comes_while_its_interval_is_compacted_is_not_lost(
    make: Make, clock: HandClock, path: str, settle: Settle, monkeypatch: pytest.MonkeyPatch, meanwhile: str
) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    at = crowd(make, store, settle)
    plain = compact.pack_rows
    came = 0

    def raced(groups: Groups, kinds: dict[int, str]) -> list[PackRow]:
        nonlocal came
        if not came:
            came = 1
            if meanwhile != "a late row":
                other.upkeep()
            if meanwhile != "another housekeeper":
                for i in range(12):
                    other.append(make.batch([(at + 5, make.series("x"), [i])], worker=f"later{i}"))
                    came += 1
        return plain(groups, kinds)

    monkeypatch.setattr(compact, "pack_rows", raced)
    store.upkeep()
    settle(store)
    assert sum(t[0] for t in make.answer(store, at, at + 3600).values()) == 60 + 12 + came - 1
    assert came == (1 if meanwhile == "another housekeeper" else 13)
    make.check_row_numbers(path)
    store.close()
    other.close()


def test_compaction_is_bounded_a_round(
    make: Make, clock: HandClock, path: str, settle: Settle, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SqliteStore(path, clock=clock)
    at = crowd(make, store, settle)
    monkeypatch.setattr(compact, "ROUND_ROWS", 1)
    store.upkeep()
    assert sum(packs_at(path, table, at) == 1 for table in TABLES) == 1
    settle(store)
    for _ in range(5):
        store.upkeep()
    assert packs_at(path, "rollup_3600", at) == 1
    store.close()


def test_notes_of_late_rows_go_with_the_rows(make: Make, clock: HandClock, path: str, settle: Settle) -> None:
    store = SqliteStore(path, clock=clock)
    crowd(make, store, settle, workers=3)
    raw = sqlite3.connect(path)
    assert raw.execute("SELECT count(*) FROM late").fetchone()[0] >= 3
    store.prune(make.NOON)
    names = {name for (name,) in raw.execute("SELECT tier FROM late WHERE tier != 'rollup_86400'")}
    assert names == set()
    raw.close()
    store.close()
