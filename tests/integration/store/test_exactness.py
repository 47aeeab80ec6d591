"""Nothing is counted twice or missed, whenever rows come, are folded, deleted and asked for."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pitstop.model import Match, Window
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore, fold, packs

DAY_S = 86_400

row = st.tuples(
    st.one_of(st.integers(0, 90), st.integers(0, 7200), st.integers(0, 20 * DAY_S)),  # how late
    st.integers(0, 3),  # which series
    st.lists(st.integers(1, 10**10), min_size=1, max_size=4),
)
step = st.one_of(
    st.tuples(st.just("append"), st.sampled_from(["w1", "w2"]), st.lists(row, min_size=1, max_size=12)),
    st.tuples(st.just("retry"), st.just(""), st.just([])),
    st.tuples(st.just("fold"), st.just(""), st.just([])),
    st.tuples(st.just("wait"), st.sampled_from([1, 7, 25, 61, 700, 3700, DAY_S, 3 * DAY_S]), st.just([])),
)
question = st.tuples(
    st.one_of(st.integers(0, 4000), st.integers(0, 25 * DAY_S)),
    st.one_of(st.integers(1, 4000), st.integers(1, 25 * DAY_S)),
    st.sampled_from([None, 1, 7, 10, 60, 90, 600, 3600, DAY_S]),
)

if TYPE_CHECKING:
    from typing import Any

    from conftest import HandClock, Make, Settle

    from pitstop.model import Series, Store
    from pitstop.store.sqlite.connection import Connections
    from pitstop.store.sqlite.tiers import Tier


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(step, min_size=1, max_size=25), questions=st.lists(question, min_size=1, max_size=6))
def test_answers_equal_a_plain_list_of_everything(  # noqa: C901  one branch a kind of step
    make: Make, clock: HandClock, steps: list[tuple[str, Any, Any]], questions: list[tuple[int, int, int | None]]
) -> None:
    clock.wall_s = float(make.NOON)
    make.seqs.clear()
    with tempfile.TemporaryDirectory() as folder:
        stores = [SqliteStore(f"{folder}/p.db", clock=clock), MemoryStore("x", clock=clock)]
        everything = []
        last = None
        for kind, argument, rows in steps:
            now = int(clock.now_s())
            if kind == "append":
                made = [(now - late, make.series(str(which)), durations) for late, which, durations in rows]
                everything += made
                last = make.batch(made, worker=argument)
            if kind in ("append", "retry") and last is not None:
                for store in stores:
                    store.append(last)
            elif kind == "fold":
                for store in stores:
                    store.upkeep()
            elif kind == "wait":
                clock.pass_s(argument)
        now = int(clock.now_s())
        for store in stores:
            for back, length, step_s in questions:
                check(make, store, everything, Window(now - back, now - back + length), step_s)
            store.close()
        for path in Path(folder).glob("p.db"):
            make.check_row_numbers(str(path))


def check(
    make: Make, store: Store, everything: list[tuple[int, Series, list[int]]], window: Window, step_s: int | None
) -> None:
    """Whole days are exact; anything else lies between what is inside and the days around it, the last hour exact."""
    days = window.aligned(DAY_S)
    for match in (Match(), Match(name="1")):
        wanted = [r for r in everything if match.accepts(r[1])]
        exact = make.totals(make.rollups(r for r in wanted if days.start_s <= r[0] < days.end_s))
        assert make.totals(store.rollups(days, match, step_s=step_s)) == exact
        got = make.totals(store.rollups(window, match, step_s=step_s))
        inside = make.totals(make.rollups(r for r in wanted if window.start_s <= r[0] < window.end_s))
        for series, total in inside.items():
            assert got[series][0] >= total[0]
        for series, total in got.items():
            assert total[0] <= exact[series][0]
    plain = store.rollups(days, Match(), step_s=step_s, hist=False)
    assert sum(plain.count) == sum(len(r[2]) for r in everything if days.start_s <= r[0] < days.end_s)


def test_the_last_hour_is_exact_to_the_second_through_all_tiers(make: Make, clock: HandClock, path: str) -> None:
    store = SqliteStore(path, clock=clock)
    everything = []
    for i in range(0, 3000, 3):
        rows = [(make.NOON - 3000 + i, make.series(str(i % 5)), [i + 1])]
        everything += rows
        store.append(make.batch(rows, worker=f"w{i % 4}"))
        if i % 300 == 0:
            store.upkeep()
            late = [(make.NOON - 3000 + i // 2, make.series("late"), [7])]
            everything += late
            store.append(make.batch(late))
    for start, end, step_s in ((1, 2999, None), (17, 1801, 60), (599, 1201, None), (600, 2400, 600), (5, 6, 1)):
        window = Window(make.NOON - 3000 + start, make.NOON - 3000 + end)
        wanted = make.totals(make.rollups(r for r in everything if window.start_s <= r[0] < window.end_s))
        assert make.answer(store, *window, step_s) == wanted
        assert len(wanted) in (0, 1, 6)
    store.close()


def test_each_tier_holds_the_sum_of_the_finer_ones(make: Make, clock: HandClock, path: str, settle: Settle) -> None:
    store = SqliteStore(path, clock=clock)
    for hour in range(60):
        store.append(
            make.batch([(make.NOON - hour * 3600 - i, make.series(str(i % 3)), [i + 1, 5]) for i in range(0, 3600, 40)])
        )
    settle(store)
    raw = sqlite3.connect(path)
    end = raw.execute("SELECT mark_s FROM tier WHERE name = 'rollup_86400'").fetchone()[0]
    assert end > make.NOON - 2 * DAY_S
    sums = set()
    for table in ("rollup_3600", "rollup_86400"):
        counts, sums_ns, mins_ns, maxes_ns, bytes_, _ = zip(*(v for *_, v in make.kept(path, table, end)), strict=True)
        sums.add((sum(counts), sum(sums_ns), min(mins_ns), max(maxes_ns), sum(bytes_)))
    assert len(sums) == 1
    ((count, sum_ns, min_ns, max_ns, nbytes),) = sums
    got = make.answer(store, 0, end).values()
    assert (sum(t[0] for t in got), sum(t[1] for t in got)) == (count, sum_ns)
    assert (min(t[2] for t in got), max(t[3] for t in got), sum(t[4] for t in got)) == (min_ns, max_ns, nbytes)
    assert sum(sum(t[5].values()) for t in got) == count
    raw.close()
    store.close()


def test_a_row_that_comes_while_its_interval_is_folded_is_not_missed(
    make: Make, clock: HandClock, path: str, monkeypatch: pytest.MonkeyPatch, settle: Settle
) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    store.append(make.batch([(make.NOON - 100 + i, make.series(), [1]) for i in range(20)]))
    write_piece = fold._write_piece
    came = Counter()

    def meanwhile(connections: Connections, finer: Tier, coarser: Tier, mark_s: int, piece: fold.Piece) -> bool:
        if not came:
            came["late"] += 1
            other.append(make.batch([(make.NOON - 90, make.series("late"), [1])], worker="w2"))
        return write_piece(connections, finer, coarser, mark_s, piece)

    monkeypatch.setattr(fold, "_write_piece", meanwhile)
    settle(store)
    assert sum(values[0] for *_, values in make.kept(path, "rollup_10")) == 21
    assert sum(values[0] for *_, values in make.kept(path, "rollup_60")) >= 10
    assert sum(t[0] for t in make.answer(store, make.NOON - 1000, make.NOON).values()) == 21


def test_two_housekeepers_at_once_fold_each_row_once(
    make: Make, clock: HandClock, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    monkeypatch.setattr(packs, "SERIES", 1)
    monkeypatch.setattr(fold, "WRITE_PACKS", 3)
    store.append(make.batch([(make.NOON - 100, make.series(str(i)), [1]) for i in range(20)]))
    write_piece = fold._write_piece
    depth = Counter()

    def raced(connections: Connections, finer: Tier, coarser: Tier, mark_s: int, piece: fold.Piece) -> bool:
        depth["all"] += 1
        if depth["all"] == 1:
            while other.upkeep().folded_rows:
                pass
        return write_piece(connections, finer, coarser, mark_s, piece)

    monkeypatch.setattr(fold, "_write_piece", raced)
    while store.upkeep().folded_rows:
        pass
    assert [values[0] for *_, values in make.kept(path, "rollup_10")] == [1] * 20
    assert sum(t[0] for t in make.answer(store, make.NOON - 1000, make.NOON).values()) == 20


def test_a_fold_that_dies_between_its_transactions_leaves_answers_exact(
    make: Make, clock: HandClock, path: str, monkeypatch: pytest.MonkeyPatch, settle: Settle
) -> None:
    store = SqliteStore(path, clock=clock)
    monkeypatch.setattr(packs, "SERIES", 2)
    monkeypatch.setattr(fold, "WRITE_PACKS", 2)
    store.append(make.batch([(make.NOON - 100, make.series(str(i)), [1]) for i in range(20)]))
    unchanged = fold._unchanged

    def dies(*_arguments: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(fold, "_unchanged", dies)
    with pytest.raises(KeyboardInterrupt):
        store.upkeep()
    assert len(make.kept(path, "rollup_10")) == 16
    assert sum(t[0] for t in make.answer(store, make.NOON - 1000, make.NOON).values()) == 20
    monkeypatch.setattr(fold, "_unchanged", unchanged)
    settle(store)
    assert [values[0] for *_, values in make.kept(path, "rollup_10")] == [1] * 20
    assert sum(t[0] for t in make.answer(store, make.NOON - 1000, make.NOON).values()) == 20


@pytest.mark.parametrize("who", ["a known worker", "a new worker", "nobody", "another second"])
def test_many_seconds_are_folded_only_when_nothing_came_meanwhile(
    make: Make, clock: HandClock, path: str, settle: Settle, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    monkeypatch.setattr(fold, "COUNT_ROWS", 10)
    store, other = SqliteStore(path, clock=clock), SqliteStore(path, clock=clock)
    at = make.NOON - 100
    store.append(make.batch([(at + i % 7, make.series(str(i)), [1]) for i in range(70)]))
    write_piece = fold._write_piece
    outcomes: list[bool] = []

    def meanwhile(connections: Connections, finer: Tier, coarser: Tier, mark_s: int, piece: fold.Piece) -> bool:
        if not outcomes:
            assert piece.seqs is not None
            ts = make.NOON - 1 if who == "another second" else at + 3
            if who != "nobody":
                other.append(make.batch([(ts, make.series("0"), [1])], worker="w2" if "new" in who else "w1"))
        outcomes.append(write_piece(connections, finer, coarser, mark_s, piece))
        return outcomes[-1]

    monkeypatch.setattr(fold, "_write_piece", meanwhile)
    settle(store)
    assert outcomes[0] is (who in ("nobody", "another second"))
    for _ in range(3):
        clock.pass_s(100)
        settle(store)
    extra = 0 if who == "nobody" else 1
    assert sum(values[0] for *_, values in make.kept(path, "rollup_10")) == 70 + extra
    assert sum(t[0] for t in make.answer(store, make.NOON - 1000, make.NOON).values()) == 70 + extra
    store.close()
    other.close()
