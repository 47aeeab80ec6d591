"""What the SQLite store costs: flushes of eight processes, questions over 24 h, 7 d and 90 d, prunes, bytes.

Takes two to three minutes.

    python bench/store.py

Times depend on the machine; the ratios of one run do not, much.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.model import Batch, Match, Rollups, Series, Window
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.backfill import backfill
from pitstop.store.sqlite import SqliteStore, fold
from pitstop.store.sqlite.packs import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

DAY_S = 86_400
NOW = 1_790_000_000 // DAY_S * DAY_S + 45_296
PROCESSES, SERIES, ROUNDS, TICK_S = 8, 200, 25, 1.0
DICE = random.Random(1)


class Clock:
    """Stands where it is put."""

    def __init__(self, now_s: float) -> None:
        self.at_s = now_s

    def now_s(self) -> float:
        """Unix time."""
        return self.at_s

    def monotonic_ns(self) -> int:
        """Moves with it."""
        return int(self.at_s * 1e9)


def route(number: int, outcome: str = "200") -> Series:
    """A series."""
    return Series("shop", "", "http", f"GET /route/{number}/{{id}}", "", outcome)


def histograms(values: int, kinds: int = 50) -> list[tuple[int, int, int, int, int, bytes]]:
    """Count, sum, min, max, bytes and histogram of `values` log-normal durations, a few different ones."""
    out = []
    for _ in range(kinds):
        durations = [int(DICE.lognormvariate(17, 0.8)) for _ in range(values)]
        hist = encode(dict(Counter(map(position_of, durations))))
        out.append((values, sum(durations), min(durations), max(durations), 900 * values, hist))
    return out


def columns(rows: Iterable[tuple[int, Series, tuple[int, int, int, int, int, bytes]]]) -> Rollups:
    """Rows as columns."""
    out = Rollups()
    for ts, series, (count, sum_ns, min_ns, max_ns, nbytes, hist) in rows:
        out.ts.append(ts)
        out.series.append(series)
        out.count.append(count)
        out.sum_ns.append(sum_ns)
        out.min_ns.append(min_ns)
        out.max_ns.append(max_ns)
        out.nbytes.append(nbytes)
        out.hist.append(hist)
    return out


def percentile(values: list[float], q: float) -> float:
    """Of rank q."""
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def timed(action: Callable[[], object], times: int = 9) -> float:
    """The median, ms."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken)


def line(what: str, got: float, unit: str, budget: float | None, note: str = "") -> None:
    """One line of the table."""
    ratio = f"{got / budget:6.2f} ×" if budget else " " * 8
    print(f"{what:<58} {got:10.2f} {unit:<6} {f'{budget:g}' if budget else '–':>7} {ratio}  {note}", flush=True)


def flusher(path: str, worker: str, start_s: float, how: str, out: str) -> None:
    """One of the eight processes: flushes 200 series at every tick."""
    values = histograms(5)
    series = [route(i) for i in range(SERIES)]
    store = SqliteStore(path)
    taken = []
    if how == "upsert":
        raw = sqlite3.connect(path, isolation_level=None, timeout=5)
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=NORMAL")
    for seq in range(1, ROUNDS + 1):
        at = start_s + seq * TICK_S
        while (left := at - time.time()) > 0:
            time.sleep(left)
        rollups = columns((int(at), each, values[(seq + i) % len(values)]) for i, each in enumerate(series))
        begin = time.perf_counter()
        if how == "upsert":
            raw.execute("BEGIN IMMEDIATE")
            raw.executemany(
                "INSERT INTO naive VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count,"
                " sum_ns = sum_ns + excluded.sum_ns, hist = hist || excluded.hist",
                [(each.name, ts // 60, n, s, h) for each, ts, n, s, h in
                 zip(rollups.series, rollups.ts, rollups.count, rollups.sum_ns, rollups.hist, strict=True)],
            )  # fmt: skip
            raw.execute("COMMIT")
        else:
            store.append(Batch(worker, seq, rollups))
        taken.append((time.perf_counter() - begin) * 1e3)
    Path(out).write_text(json.dumps(taken))


def flushes(folder: str, how: str) -> list[float]:
    """Every flush's time, ms, of all processes; the first five of each are left out."""
    path = f"{folder}/{how}.db"
    keeper = SqliteStore(path)
    keeper.services()
    if how == "upsert":
        raw = sqlite3.connect(path)
        raw.execute(
            "CREATE TABLE naive (series TEXT, minute INTEGER, count INTEGER, sum_ns INTEGER, hist BLOB,"
            " PRIMARY KEY (series, minute))"
        )
        raw.close()
    context = multiprocessing.get_context("spawn")
    start_s = time.time() + 3
    processes = [
        context.Process(target=flusher, args=(path, f"w{i}", start_s, how, f"{folder}/{how}.{i}"))
        for i in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    stop = threading.Event()

    def keep_house() -> None:
        while not stop.wait(0.5):
            keeper.upkeep()

    if how == "append with housekeeping":
        threading.Thread(target=keep_house).start()
    for process in processes:
        process.join()
    stop.set()
    if any(process.exitcode for process in processes):
        sys.exit("a flush failed")
    if how != "upsert":
        total = sum(keeper.rollups(Window(0, int(time.time()) + DAY_S), Match()).count)
        assert total == PROCESSES * SERIES * ROUNDS * 5, total
    return [ms for i in range(PROCESSES) for ms in json.loads(Path(f"{folder}/{how}.{i}").read_text())[5:]]


def history(path: str) -> SqliteStore:
    """90 days × 100 routes: hours, minutes of the last day, 10 s of the last hour, seconds of the last minute."""
    clock = Clock(NOW)
    store = SqliteStore(path, clock=clock)
    hours, minutes, seconds = histograms(1000), histograms(50), histograms(3)
    start = time.perf_counter()
    days = (
        range(NOW - day * DAY_S, NOW - (day - 1) * DAY_S - (DAY_S if day == 1 else 0), 3600) for day in range(90, 0, -1)
    )
    parts = (columns((ts, route(i), hours[(ts + i) % 50]) for ts in at for i in range(100)) for at in days)
    recent = [
        *((ts, minutes) for ts in range(NOW - DAY_S, NOW - 3600, 60)),
        *((ts, minutes) for ts in range(NOW - 3600, NOW - 60, 10)),
        *((ts, seconds) for ts in range(NOW - 60, NOW)),
    ]
    live = (columns((ts, route(i), kinds[(ts + i) % 50]) for i in range(100)) for ts, kinds in recent)
    backfill(store, chain(parts, live))
    rows = sum(table.rows for table in store.size().tables)
    line(f"history written and folded, {rows} rows kept", time.perf_counter() - start, "s", None)
    store.checkpoint()
    return store


def questions(store: SqliteStore) -> None:
    """Fetch times, histograms not decoded."""
    for what, days, step_s, budget in (
        ("24 h", 1, None, 4), ("24 h by 5 min", 1, 300, None), ("7 d", 7, None, 12), ("7 d by hour", 7, 3600, None),
        ("90 d", 90, None, 35), ("90 d by day", 90, DAY_S, None),
    ):  # fmt: skip
        window = Window(NOW - days * DAY_S, NOW)
        for hist in (True, False):
            taken = timed(lambda w=window, s=step_s, h=hist: store.rollups(w, Match(kind="http"), step_s=s, hist=h))
            rows = len(store.rollups(window, Match(kind="http"), step_s=step_s, hist=hist))
            line(f"{what} × 100 routes{'' if hist else ', no histograms'}", taken, "ms", budget, f"{rows} rows")
    window = Window(NOW - DAY_S, NOW)
    one = Match(kind="http", name=route(5).name)
    line("24 h by minute, one route of 100", timed(lambda: store.rollups(window, one, step_s=60)), "ms", None)
    fine = Window(NOW - 900, NOW)
    line("15 min by 10 s × 100 routes", timed(lambda: store.rollups(fine, Match(kind="http"), step_s=10)), "ms", None)
    raw = sqlite3.connect(store.path)
    newest = "SELECT * FROM rollup_3600 ORDER BY ts DESC LIMIT 10"
    line("newest 10 rows", timed(lambda: raw.execute(newest).fetchall()), "ms", 1)
    line("size report", timed(store.size), "ms", None)
    raw.close()


def prunes(folder: str) -> None:
    """Bites out of 2 M rows, 50 to a pack."""
    path = f"{folder}/prune.db"
    store = SqliteStore(path, clock=Clock(NOW))
    store.services()
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN")
    values = histograms(50)
    ((first, last, n, numbers, hists),) = packed(list(enumerate(values)))
    packs = ((ts * 30, first, 0, 0, last, "http", n, numbers, hists) for ts in range(40_000))
    raw.executemany("INSERT INTO rollup_60 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", packs)
    raw.execute("UPDATE tier SET n_rows = 2000000 WHERE name = 'rollup_60'")
    raw.execute("COMMIT")
    store.checkpoint()
    taken = []
    for bite in range(1, 6):
        raw.execute("UPDATE tier SET floor_s = ? WHERE name = 'rollup_60'", (bite * 6000,))
        begin = time.perf_counter()
        deleted, _ = store._house._bite("rollup_60")  # noqa: SLF001  one bite is what is measured
        taken.append((time.perf_counter() - begin) * 1e3)
        assert deleted == 10_000, deleted
    line("prune 10,000 of 2 M rows", statistics.median(taken), "ms", 10, f"worst of 5: {max(taken):.1f}")
    begin = time.perf_counter()
    log_bytes = store.checkpoint()
    line(f"checkpoint of {log_bytes / 1e6:.1f} MB", (time.perf_counter() - begin) * 1e3, "ms", None)
    raw.close()
    store.close()


def small_service(folder: str) -> None:
    """1,000 requests a day for 90 days over 20 routes: each request a row of its own."""
    clock = Clock(NOW - 90 * DAY_S)
    store = SqliteStore(f"{folder}/small.db", clock=clock)
    requests = 0
    for day in range(90):
        start = NOW - (90 - day) * DAY_S
        rows = []
        for _ in range(1000):
            duration = int(DICE.lognormvariate(17, 0.8))
            value = (1, duration, duration, duration, 900, encode({position_of(duration): 1}))
            rows.append((start + DICE.randrange(DAY_S), route(min(19, int(DICE.expovariate(0.2)))), value))
        requests += len(rows)
        clock.at_s = start + DAY_S
        backfill(store, [columns(rows)])
    while any((done := store.upkeep()).deleted_rows or done.freed_bytes for _ in range(1)):
        pass
    store.checkpoint()
    size = store.size()
    got = store.rollups(Window(NOW - 91 * DAY_S, NOW + DAY_S), Match())
    assert sum(got.count) == requests, (sum(got.count), requests)
    note = ", ".join(f"{table.name} {table.rows}" for table in size.tables if table.rows)
    line("1,000 requests/day × 90 days × 20 routes", size.data_bytes / 1e6, "MB", 5, note)
    store.close()


def many_series(folder: str) -> None:
    """5,000 series of 8 workers in each of ten seconds: what folding does while it holds the write lock."""
    start = NOW // 10 * 10
    clock = Clock(start)
    store = SqliteStore(f"{folder}/many.db", clock=clock)
    values = histograms(5)
    for seq in range(10):
        rollups = columns((start + seq, route(i), values[i % 50]) for i in range(5000))
        for worker in range(PROCESSES):
            store.append(Batch(f"w{worker}", seq + 1, rollups))
    clock.at_s = start + 20
    checks: list[float] = []
    unchanged, write_piece = fold._unchanged, fold._write_piece  # noqa: SLF001  this step is what is measured

    def timed_check(*arguments: Any) -> bool:
        begin = time.perf_counter()
        found = unchanged(*arguments)
        checks.append((time.perf_counter() - begin) * 1e3)
        return found

    def meanwhile(*arguments: Any) -> bool:
        for worker in range(PROCESSES):
            store.append(Batch(f"w{worker}", 11, columns([(start + 15, route(1), values[0])])))
        return write_piece(*arguments)

    fold._unchanged, fold._write_piece = timed_check, meanwhile  # noqa: SLF001
    folded = store.upkeep().folded_rows
    fold._unchanged, fold._write_piece = unchanged, write_piece  # noqa: SLF001
    line(f"fold's check inside the lock, {folded} rows", max(checks), "ms", 20)
    store.close()


def main() -> None:
    """Everything, about two minutes."""
    print(f"SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}")
    print(f"{'what':<58} {'measured':>10} {'':<6} {'budget':>7} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        p99 = {}
        for how in ("append", "append with housekeeping", "upsert"):
            taken = flushes(folder, how)
            p99[how] = percentile(taken, 0.99)
            line(f"flush of 200 series, 8 processes at once, {how}, p50", percentile(taken, 0.5), "ms", None)
            line(f"flush of 200 series, 8 processes at once, {how}, p99", p99[how], "ms", 20, f"worst {max(taken):.1f}")
        line("upsert p99 over append p99", p99["upsert"] / p99["append"], "×", None)
        store = SqliteStore(f"{folder}/ingest.db")
        rollups = columns((NOW, route(i), value) for i, value in zip(range(200), histograms(50) * 4, strict=True))
        seqs = iter(range(1, 10_000))
        taken_ms = timed(lambda: store.append(Batch("w", next(seqs), rollups)), 200)
        line("rows appended by one process", 200 / taken_ms, "k/s", None)
        store.close()
        questions(history(f"{folder}/history.db"))
        prunes(folder)
        many_series(folder)
        small_service(folder)


if __name__ == "__main__":
    main()
