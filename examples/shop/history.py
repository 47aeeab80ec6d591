"""A past for the demo, so that its charts are not empty: made up, labelled so, and written as workers write.

Six hours in fine steps and a week behind them in steps of five minutes, with the hours of a day, two workers and an
incident: a deploy makes the checkout slow until it is rolled back. A few seconds of work.

    python -m shop.history sqlite:///pitstop.db    (in examples/)
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.app import open_store
from pitstop.model import Batch, Events, Rollups, Samples, Series
from pitstop.model.series import HTTP, UNMATCHED
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import BORDERS_NS, POSITIONS
from shop.traffic import of_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model import Store

SERVICE = "shop"
VISITORS_PER_S = 12.0
HOUR_S, DAY_S = 3600, 86_400
FINEST_S = HOUR_S  # at the end, where short windows look
FINEST_STEP_S, FINE_STEP_S, COARSE_STEP_S, GAUGE_STEP_S = 10, 30, 300, 60
DEPLOY_BEFORE_END_S, ROLLBACK_BEFORE_END_S = 130 * 60, 80 * 60
SLOWER = 9.0  # the checkout, by the deploy
ROWS_A_BATCH = 2000
WORKERS = ("history:1", "history:2")
INCIDENT = "POST /customers/{customer_id}/checkout"


class Habit(NamedTuple):
    """How one route is used: its share of the visits, its usual duration and spread, its size, its outcome."""

    name: str
    share: float
    median_ms: float
    sigma: float = 0.35  # of the logarithm
    nbytes: int = 400
    outcome: str = "200"


HABITS = (
    Habit("GET /", 0.18, 4.0, nbytes=5300),
    Habit("GET /menu", 0.12, 2.6, nbytes=577),
    Habit("GET /healthz", 0.05, 0.9, nbytes=15),
    Habit("GET /categories/{slug}", 0.09, 26.0, nbytes=1700),
    Habit("GET /products/{product_id}", 0.22, 2.4, nbytes=63),
    Habit("GET /products/{product_id}", 0.01, 2.0, nbytes=29, outcome="404"),
    Habit("GET /search", 0.08, 38.0, 0.5, nbytes=1600),
    Habit("GET /products/{product_id}/recommendations", 0.05, 115.0, 0.45),
    Habit("GET /products/{product_id}/shipping", 0.04, 2.4, nbytes=14),
    Habit("GET /products/{product_id}/shipping", 0.0004, 4.0, nbytes=21, outcome="500"),
    Habit("POST /login", 0.02, 3.4, nbytes=45, outcome="401"),
    Habit("GET /customers/{customer_id}/orders", 0.03, 27.0, 0.5, nbytes=2900),
    Habit("POST /customers/{customer_id}/cart", 0.135, 6.0, nbytes=14, outcome="201"),
    Habit(INCIDENT, 0.03, 42.0, 0.5, nbytes=38, outcome="201"),
    Habit("GET /export/sales.csv", 0.005, 260.0, 0.3, nbytes=420_000),
    Habit(UNMATCHED, 0.005, 0.8, nbytes=22, outcome="404"),
)


def write(store: Store, end_s: int, hours: int, days: int) -> int:
    """Write the past of `store` up to `end_s`, Unix seconds; the number of requests made up."""
    draw = np.random.default_rng(2026)
    seqs = dict.fromkeys(WORKERS, 0)
    requests = 0

    def append(worker: str, rollups: Rollups, samples: Samples, events: Events) -> None:
        seqs[worker] += 1
        store.append(Batch(worker, seqs[worker], rollups, samples, events))

    fine_s = (end_s - hours * HOUR_S) // COARSE_STEP_S * COARSE_STEP_S
    append(WORKERS[0], Rollups(), Samples(), _events(fine_s - days * DAY_S, end_s))
    steps = [(ts, COARSE_STEP_S) for ts in range(fine_s - days * DAY_S, fine_s, COARSE_STEP_S)]
    finest_s = max(fine_s, (end_s - FINEST_S) // FINE_STEP_S * FINE_STEP_S)
    steps += [(ts, FINE_STEP_S) for ts in range(fine_s, finest_s, FINE_STEP_S)]
    steps += [(ts, FINEST_STEP_S) for ts in range(finest_s, end_s - FINEST_STEP_S, FINEST_STEP_S)]
    for number, worker in enumerate(WORKERS):
        mine = Rollups()
        for ts, step_s in steps[number :: len(WORKERS)]:  # they take turns: half the rows, and the sums are the same
            requests += _step(mine, draw, ts, step_s, slower=SLOWER if _incident(ts, end_s) else 1.0)
            if len(mine) >= ROWS_A_BATCH:
                append(worker, mine, Samples(), Events())
                mine = Rollups()
        append(worker, mine, _gauges(worker, draw, range(fine_s, end_s, GAUGE_STEP_S)), Events())
    while store.upkeep().folded_rows:
        pass
    return requests


def _incident(ts: int, end_s: int) -> bool:
    return end_s - DEPLOY_BEFORE_END_S <= ts < end_s - ROLLBACK_BEFORE_END_S


def _step(out: Rollups, draw: np.random.Generator, ts: int, step_s: int, *, slower: float) -> int:
    """Add one interval of every route to `out`; the number of its requests."""
    visitors = VISITORS_PER_S * of_day((ts % DAY_S / HOUR_S - 9) / 24) * step_s
    total = 0
    for habit in HABITS:
        count = int(draw.poisson(visitors * habit.share))
        if not count:
            continue
        median_ns = habit.median_ms * 1e6 * (slower if habit.name == INCIDENT else 1.0)
        durations = (median_ns * np.exp(draw.normal(0.0, habit.sigma, count))).astype(np.int64)
        positions, counts = np.unique(np.minimum(_BORDERS.searchsorted(durations), POSITIONS - 1), return_counts=True)
        out.ts.append(ts)
        out.series.append(Series(SERVICE, "", HTTP, habit.name, "", habit.outcome))
        out.count.append(count)
        out.sum_ns.append(int(durations.sum()))
        out.min_ns.append(int(durations.min()))
        out.max_ns.append(int(durations.max()))
        out.nbytes.append(count * habit.nbytes)
        out.hist.append(encode(dict(zip(positions.tolist(), counts.tolist(), strict=True))))
        total += count
    return total


_BORDERS = np.array(BORDERS_NS)


def _gauges(worker: str, draw: np.random.Generator, times: range) -> Samples:
    out = Samples()
    for ts in times:
        busy = of_day((ts % DAY_S / HOUR_S - 9) / 24)
        for name, value in _moment(draw, busy, ts - times.start):
            out.ts.append(ts)
            out.service.append(SERVICE)
            out.worker.append(worker)
            out.name.append(name)
            out.value.append(value)
    return out


def _moment(draw: np.random.Generator, busy: float, age_s: int) -> Iterator[tuple[str, float]]:
    rss_bytes = 78e6 + 9e6 * (1 - np.exp(-age_s / HOUR_S)) + draw.normal(0, 4e5)
    yield "process.memory.rss_bytes", float(rss_bytes)
    yield "process.memory.peak_bytes", 90e6
    yield "process.cpu_ratio", float(max(0.01, 0.09 * busy + draw.normal(0, 0.01)))
    yield "event_loop.lag_s", float(0.0004 + 0.002 * busy * draw.exponential())
    yield "process.threads", 14.0
    yield "process.open_files", 23.0


def _events(start_s: int, end_s: int) -> Events:
    until = time.strftime("%H:%M UTC", time.gmtime(end_s))
    happened = (
        (start_s, "history", f"Generated history: all until {until} is made up by examples/shop/history.py"),
        (end_s - DEPLOY_BEFORE_END_S, "deploy", "deploy 2026.11.3 (generated)"),
        (end_s - ROLLBACK_BEFORE_END_S, "deploy", "rolled back (generated)"),
        (end_s, "history", "generated until here"),
    )
    out = Events()
    for ts, kind, text in happened:
        out.ts.append(ts)
        out.service.append(SERVICE)
        out.kind.append(kind)
        out.text.append(text)
    return out


def main() -> int:
    """Write it and say how much it was."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="for example sqlite:///pitstop.db")
    parser.add_argument("--hours", type=int, default=6, help="in fine steps")
    parser.add_argument("--days", type=int, default=7, help="in coarse steps before that")
    options = parser.parse_args()
    began_s = time.monotonic()
    store = open_store(options.store)
    requests = write(store, int(time.time()), options.hours, options.days)
    store.close()
    sys.stdout.write(f"{requests} requests made up in {time.monotonic() - began_s:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
