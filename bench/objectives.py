"""Objectives over 30 days and 100 routes: the states of all of them, their burn-downs, what a rule looks at.

300 series, a million requests an hour and more, folded by the store's own housekeeping. CPU time, because that is what
an evaluator costs; every line is measured beside one overview of the same 30 days.
"""

from __future__ import annotations

import random
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

from pitstop.analyze import overview
from pitstop.model import Rollups, Series, Window
from pitstop.model.series import HTTP
from pitstop.store import open_store
from pitstop.store.backfill import backfill
from pitstop.watch.bins import Kept
from pitstop.watch.budgets import burning, history, slo_states
from pitstop.watch.objectives import LATENCY, Objective, default_objectives
from queries import DAY_S, HOUR_S, ROUTES, drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.model import Store

RUNS = 7


def parts(now: int) -> Iterator[Rollups]:
    """31 days in hours, five hours in minutes, ten minutes in tens of seconds."""
    rng = random.Random(4)
    pools = {
        status: [drawn(rng, number) for _ in range(60)] for status, number in (("200", 1000), ("404", 20), ("500", 3))
    }
    every = [
        (Series("shop", "", HTTP, f"GET /{i}/{{id}}", "", status), pools[status])
        for i in range(ROUTES)
        for status in pools
    ]
    hour, minute = now // HOUR_S * HOUR_S, now // 60 * 60
    for ts in (
        *range(hour - 31 * DAY_S, hour - 5 * HOUR_S, HOUR_S),
        *range(hour - 5 * HOUR_S, minute - 600, 60),
        *range(minute - 600, now, 10),
    ):
        rollups = Rollups()
        for series, pool in every:
            count, sum_ns, min_ns, max_ns, hist = rng.choice(pool)
            row = (ts, series, count, sum_ns, min_ns, max_ns, count * 3, hist)
            columns = ("ts", "series", "count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist")
            for column, value in zip(columns, row, strict=True):
                getattr(rollups, column).append(value)
        yield rollups


def cpu_ms(work: Callable[[], object]) -> float:
    """The least CPU time of some runs, ms."""
    work()
    taken = []
    for _ in range(RUNS):
        began_s = time.process_time()
        work()
        taken.append(time.process_time() - began_s)
    return min(taken) * 1000


def compared(store: Store, now: int) -> None:
    """Print the table."""
    defaults = default_objectives(["shop"])
    routes = [*defaults, Objective("routes", LATENCY, 0.99, by=("route",), threshold_s=0.3)]
    kept = Kept()
    asked: list[tuple[str, Callable[[], object]]] = [
        ("one overview of 30 d", partial(overview, store, Window(now - 30 * DAY_S, now))),
        ("4 objectives, asked again", partial(slo_states, store, defaults, now, kept=kept)),
        ("4 objectives, first in the hour", partial(slo_states, store, defaults, now)),
        ("… with burn-down, asked again", partial(slo_states, store, defaults, now, points=True, kept=kept)),
        ("… with burn-down, first in the hour", partial(slo_states, store, defaults, now, points=True)),
        ("104 objectives, asked again", partial(slo_states, store, routes, now, kept=kept)),
        ("… with burn-down, asked again", partial(slo_states, store, routes, now, points=True, kept=kept)),
        ("burn rates of the 4, for a rule", partial(burning, store, defaults, now)),
        ("a day's history for a replay, 60 s", partial(history, store, defaults, Window(now - DAY_S, now), 60)),
    ]
    print(f"{'question':40}{'CPU ms':>9}{'× overview':>12}")
    base = cpu_ms(asked[0][1])
    for question, work in asked:
        ms = cpu_ms(work)
        print(f"{question:40}{ms:9.1f}{ms / base:12.2f}", flush=True)


def main() -> None:
    """Fill a store and ask."""
    now = int(time.time())
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/bench.db")
        backfill(store, parts(now))
        compared(store, now)
        store.close()


if __name__ == "__main__":
    main()
