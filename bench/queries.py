"""Answers: P50, P95 and P99 of 100 routes over 24 h, 7 d and 90 d, out of SQLite.

The history is written through the store and folded by its own housekeeping: about 1,000 requests an hour and route,
in seconds for the last hour and wherever the edges of the windows lie, in minutes and hours elsewhere.
"""

from __future__ import annotations

import random
import tempfile
import time
from bisect import bisect_left
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze import heatmap, overview, routes, sparklines, trend
from pitstop.analyze.columns import merged_by_group, quantiles_ns
from pitstop.model import Batch, Match, Rollups, Series, Window
from pitstop.rollup.codec import decode, encode
from pitstop.rollup.histogram import BORDERS_NS, merged, quantile_ns
from pitstop.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.model import Store

ROUTES = 100
HOUR_S = 3600
DAY_S = 86_400
BUDGET_MS = {"24 h": 10.0, "7 d": 25.0, "90 d": 75.0}
LENGTH_S = {"24 h": DAY_S, "7 d": 7 * DAY_S, "90 d": 90 * DAY_S}
ROUNDS = 15
PER_HOUR = 1000
STATEMENTS = 20  # of each route

Row = tuple[int, int, int, int, bytes]  # count, sum, min, max, histogram


def drawn(rng: random.Random, number: int) -> Row:
    """One row of `number` log-normal durations."""
    middle = rng.uniform(-6, 0)
    durations_ns = [int(rng.lognormvariate(middle, 0.8) * 1e9) for _ in range(number)]
    positions = Counter(bisect_left(BORDERS_NS, ns) for ns in durations_ns)
    return number, sum(durations_ns), min(durations_ns), max(durations_ns), encode(dict(positions))


def fill(store: Store, now: int) -> int:
    """Write the history and fold it; the rows written.

    Beside the routes each has STATEMENTS statements: every ten minutes where the routes are by the minute, each hour
    of the last 25, every six hours for a week.
    """
    rng = random.Random(20)
    pools = {step: [drawn(rng, max(1, PER_HOUR * step // HOUR_S)) for _ in range(150)] for step in (60, HOUR_S)}
    series = [Series("shop", "", "http", f"GET /route/{i}/{{item_id}}", "", "200") for i in range(ROUTES)]
    statements = [
        Series("shop", "", "db", f"SELECT * FROM table_{i} WHERE id = ? AND shop = ?", one.name, "ok")
        for one in series
        for i in range(STATEMENTS)
    ]
    moments = [(ts, HOUR_S) for ts in range((now - 91 * DAY_S) // HOUR_S * HOUR_S, now // HOUR_S * HOUR_S, HOUR_S)]
    fine: set[int] = {now // HOUR_S * HOUR_S}
    for length_s in LENGTH_S.values():
        fine.add((now - length_s) // HOUR_S * HOUR_S)
    fine.add(now // HOUR_S * HOUR_S - HOUR_S)
    moments = [(ts, step) for ts, step in moments if ts not in fine]
    moments += [(ts, 60) for hour in fine for ts in range(hour, min(hour + HOUR_S, now), 60)]
    written = 0
    for seq, (ts, step) in enumerate(sorted(moments)):
        rollups = Rollups()
        recent = ts >= now - 25 * HOUR_S and (step == HOUR_S or ts % 600 < step)
        with_statements = recent or (ts >= now - 8 * DAY_S and ts % (6 * HOUR_S) < step)
        for one in [*series, *(statements if with_statements else ())]:
            count, sum_ns, min_ns, max_ns, hist = rng.choice(pools[step])
            rollups.ts.append(ts)
            rollups.series.append(one)
            rollups.count.append(count)
            rollups.sum_ns.append(sum_ns)
            rollups.min_ns.append(min_ns)
            rollups.max_ns.append(max_ns)
            rollups.nbytes.append(count * 1000)
            rollups.hist.append(hist)
        store.append(Batch("bench:1:1", seq, rollups))
        written += len(rollups)
    folded = True
    while folded:
        folded = bool(store.upkeep().folded_rows)
    return written


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Median and best of ROUNDS, ms."""
    work()
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return sorted(times)[len(times) // 2], min(times)


def percentiles(hists: list[bytes], groups: np.ndarray) -> object:
    """P50, P95 and P99 of each group."""
    low, high = np.zeros(ROUTES, dtype=np.int64), np.full(ROUTES, 1 << 62)
    return quantiles_ns(merged_by_group(hists, groups, ROUTES), (0.5, 0.95, 0.99), low, high)


def columns_bench() -> None:
    """Decode and merge alone, beside the plain codec."""
    rng = random.Random(4)
    pool = [drawn(rng, 1000)[4] for _ in range(300)]
    print(f"{'histograms into 100 groups':34}{'median ms':>10}{'best ms':>9}{'budget':>8}")
    for number, budget in ((2400, 6), (9000, 40)):
        hists = [pool[i % len(pool)] for i in range(number)]
        groups = np.arange(number) % ROUTES
        median, best = measured(partial(percentiles, hists, groups))
        size = sum(map(len, hists)) / number
        print(f"{f'{number} of {size:.0f} B, whole column':34}{median:10.1f}{best:9.1f}{budget:8}")
    start = time.perf_counter()
    for group in range(ROUTES):
        quantile_ns(merged(decode(hist) for hist in hists[group::ROUTES]), 0.95)
    print(f"{f'{number}, one by one in plain Python':34}{(time.perf_counter() - start) * 1e3:10.0f}\n")


def main() -> None:
    """Print both tables."""
    columns_bench()
    now = int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/bench.db")
        start = time.perf_counter()
        rows = fill(store, now)
        size = store.size()
        took_s = time.perf_counter() - start
        print(f"{rows} rows of {ROUTES} routes written and folded in {took_s:.0f} s, {size.data_bytes / 1e6:.0f} MB\n")
        one = "GET /route/7/{item_id}"
        print(f"{'window':8}{'question':28}{'rows':>8}{'median ms':>11}{'best ms':>9}{'budget':>8}")
        for name, length_s in LENGTH_S.items():
            window = Window(now - length_s, now)
            found = len(store.rollups(window, Match(kind="http")))
            asked: list[tuple[str, Callable[[], object], str]] = [
                ("read of the store alone", lambda w=window: store.rollups(w, Match(service="shop", kind="http")), ""),
                ("P50, P95, P99 of each route", lambda w=window: routes(store, w, "shop"), f"{BUDGET_MS[name]:.0f}"),
                ("overview", lambda w=window: overview(store, w, "shop"), ""),
                ("trend of all", lambda w=window: trend(store, w, "shop"), ""),
                ("sparklines of each route", lambda w=window: sparklines(store, w, "shop"), ""),
                ("statements of a route", lambda w=window: store.rollups(w, Match(kind="db", parent=one)), ""),
                ("all statements", lambda w=window: store.rollups(w, Match(kind="db"), hist=False), ""),
                ("heatmap", lambda w=window: heatmap(store, w, "shop"), ""),
            ]
            for question, work, budget in asked:
                median, best = measured(work)
                print(f"{name:8}{question:28}{found:8}{median:11.1f}{best:9.1f}{budget:>8}")
        store.close()


if __name__ == "__main__":
    main()
