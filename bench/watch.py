"""What watching costs: CPU of a look at the built-in rules, and of rules of each kind, over a day of 100 routes.

Takes about a minute.

    python bench/watch.py
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections import Counter
from itertools import chain
from pathlib import Path

from pitstop.model import Batch, Rollups, Samples, Series, Window
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.backfill import backfill
from pitstop.store.sqlite import SqliteStore
from pitstop.watch.conditions import KINDS
from pitstop.watch.ledger import Ledger
from pitstop.watch.rulebook import default_rules
from pitstop.watch.rules import parse_rule
from pitstop.watch.watcher import Watcher

DAY_S = 86_400
NOW = 1_790_000_000 // DAY_S * DAY_S + 45_290
FINE_S = 900  # of the newest, second by second
ROUTES = 100
LOOKS = 40  # twenty minutes of the usual ones
DICE = random.Random(1)
OF_EACH_KIND = (
    {"kind": "threshold", "metric": "p95", "above": 5.0},
    {"kind": "threshold", "metric": "p95", "above": 5.0, "by": ["route"]},
    {"kind": "threshold", "metric": "error_ratio", "above": 0.5},
    {"kind": "anomaly"},
    {"kind": "change_point"},
    {"kind": "finding", "finding": "n_plus_one"},
    {"kind": "finding", "finding": "new_error"},
    {"kind": "finding", "finding": "health"},
)


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


def rows(ts: int, values: list[tuple[int, int, bytes]], services: tuple[str, ...] = ("shop",)) -> Rollups:
    """Every route once, and what an application's other kinds add."""
    out = Rollups()
    for service in services:
        for i in range(ROUTES):
            name = f"GET /route/{i}/{{id}}"
            series = [Series(service, "", "http", name, "", "200")]
            series += [Series(service, "", "db", f"SELECT {i % 40} FROM t", name, "ok")]
            series += [Series(service, "", "http", name, "", "500")] if (ts + i) % 997 == 0 else []
            for one in series:
                count, sum_ns, hist = values[(ts + i) % len(values)]
                if one.outcome == "500":
                    count, sum_ns, hist = 1, 10**7, encode({position_of(10**7): 1})
                for column, value in zip(
                    (out.ts, out.series, out.count, out.sum_ns, out.min_ns, out.max_ns, out.nbytes, out.hist),
                    (ts, one, count, sum_ns, 10**6, 10**9, 1000, hist),
                    strict=True,
                ):
                    column.append(value)  # type: ignore[attr-defined]
    return out


def values(number: int) -> list[tuple[int, int, bytes]]:
    """Fifty sets of `number` durations."""
    out = []
    for _ in range(50):
        durations = [int(DICE.lognormvariate(17.5, 0.6)) for _ in range(number)]
        out.append((number, sum(durations), encode(dict(Counter(map(position_of, durations))))))
    return out


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock(NOW + 10)
        store = SqliteStore(f"{folder}/pitstop.db", clock=clock)
        per_minute, per_second = values(50), values(2)
        minutes = (rows(ts, per_minute) for ts in range(NOW - DAY_S, NOW - FINE_S, 60))
        seconds = (rows(ts, per_second) for ts in range(NOW - FINE_S, NOW, 1))
        backfill(store, chain(minutes, seconds))
        for seq, ts in enumerate(range(NOW - 3600, NOW, 10)):
            gauges = Samples(
                [ts] * 4, ["shop"] * 4, [f"w{i}" for i in range(4)], ["process.memory.rss_bytes"] * 4, [1e8] * 4
            )
            store.append(Batch("gauges", seq, samples=gauges))
        store.checkpoint()
        print(f"{ROUTES} routes, 24 h, {sum(table.rows for table in store.size().tables)} rows kept")
        print()
        watcher = Watcher(store, Ledger(Path(folder) / "pitstop.watch.db"), clock=clock)
        looks(watcher, clock)
        each(watcher)
        replays(watcher)
        store.close()


def looks(watcher: Watcher, clock: Clock) -> None:
    """The built-in rules as they are looked at, one look each half minute."""
    taken, wall = [], []
    for i in range(LOOKS):
        clock.at_s = NOW - LOOKS * 30 + i * 30 + 10
        began_ns, began_wall = time.process_time_ns(), time.perf_counter()
        watcher.evaluator.tick()
        taken.append((time.process_time_ns() - began_ns) / 1e6)
        wall.append((time.perf_counter() - began_wall) * 1e3)
    mean = statistics.mean(taken)
    print("built-in rules and objectives           CPU ms a look")
    print(f"  mean of {LOOKS} looks, one each 30 s      {mean:8.1f}   {mean / 30_000:.3%} of one core")
    print(f"  median                                {statistics.median(taken):8.1f}")
    print(f"  longest                               {max(taken):8.1f}   wall {max(wall):.0f} ms")
    print()


def each(watcher: Watcher) -> None:
    """One look at one rule, warm; what is kept for an hour is made in the first."""
    print("one rule                                first ms     then ms   every")
    at_s = NOW - 60
    rules = [*default_rules().rules, *(parse_rule({"name": "r", **table}, "bench") for table in OF_EACH_KIND)]
    for rule in rules:
        kept: dict[object, object] = {}
        times = []
        for _ in range(4):
            began_ns = time.process_time_ns()
            KINDS[rule.kind].read(rule, watcher._sight(at_s, kept))  # noqa: SLF001  that is what is measured
            times.append((time.process_time_ns() - began_ns) / 1e6)
        what = rule.name if rule.name != "r" else f"{rule.kind} {rule.metric or rule.wanted.get('finding', '')}"
        what += " by route" if rule.by else ""
        print(f"  {what:<36}{times[0]:>10.1f}{statistics.median(times[1:]):>12.1f}{rule.every_s:>6} s")


def replays(watcher: Watcher) -> None:
    """What `pitstop alerts test-rule` and the page Rules wait for."""
    print()
    print("a replay                                 wall s    looks")
    tables: tuple[dict[str, object], ...] = (
        {"kind": "threshold", "metric": "p95", "above": 0.2},
        {"kind": "threshold", "metric": "p95", "above": 0.2, "by": ["route"]},
        {"kind": "no_data"},
        {"kind": "burn_rate"},
        {"kind": "anomaly"},
        {"kind": "change_point"},
    )
    for table in tables:
        rule = parse_rule({"name": "r", **table}, "bench")
        for hours in (1, 24):
            began = time.perf_counter()
            done = watcher.test_rule(rule.text, Window(NOW - hours * 3600, NOW))
            taken = time.perf_counter() - began
            what = f"{rule.kind}{' by route' if rule.by else ''}, {hours} h"
            print(f"  {what:<36}{taken:>9.2f}{done.looks:>9}")


if __name__ == "__main__":
    main()
