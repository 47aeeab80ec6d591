"""A past for the demo, so that its charts are not empty: made up, labelled so, and written as workers write.

Six hours in fine steps and a week behind them in steps of five minutes, with the hours of a day, two workers and an
incident: a deploy makes the checkout slow until it is rolled back. A few seconds of work.

    python -m shop.history sqlite:///pitstop.db    (in examples/)
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pitstop.app import open_store
from pitstop.model import Batch, Events, Rollups, Samples, Series
from pitstop.model.series import DB, HTTP, PART, REGION
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import BORDERS_NS, POSITIONS
from shop.habits import HABITS, INCIDENT, ORDER_LINES
from shop.traffic import of_day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.model import Store
    from shop.habits import Habit

    Durations = np.ndarray[Any, np.dtype[np.int64]]

SERVICE = "shop"
VISITORS_PER_S = 12.0
HOUR_S, DAY_S = 3600, 86_400
FINEST_S = HOUR_S  # at the end, where short windows look
FINEST_STEP_S, FINE_STEP_S, COARSE_STEP_S, GAUGE_STEP_S = 10, 30, 300, 60
DEPLOY_BEFORE_END_S, ROLLBACK_BEFORE_END_S = 130 * 60, 80 * 60
SLOWER = 9.0  # the checkout, by the deploy
ROWS_A_BATCH = 2000
INSIDE_S = {FINEST_STEP_S: 60, FINE_STEP_S: 300, COARSE_STEP_S: 1800}  # a row of what they did, by their own step
WORKERS = ("history:1", "history:2")


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
        mine, inside = Rollups(), _Inside()
        for ts, step_s in steps[number :: len(WORKERS)]:  # they take turns: half the rows, and the sums are the same
            requests += _step(mine, inside, draw, ts, step_s, slower=SLOWER if _incident(ts, end_s) else 1.0)
            if len(mine) >= ROWS_A_BATCH:
                append(worker, mine, Samples(), Events())
                mine = Rollups()
        append(worker, mine, _gauges(worker, draw, range(fine_s, end_s, GAUGE_STEP_S)), Events())
    while store.upkeep().folded_rows:
        pass
    return requests


def _incident(ts: int, end_s: int) -> bool:
    return end_s - DEPLOY_BEFORE_END_S <= ts < end_s - ROLLBACK_BEFORE_END_S


def _step(out: Rollups, inside: _Inside, draw: np.random.Generator, ts: int, step_s: int, *, slower: float) -> int:
    """Add one interval of every route to `out`, with what its requests did; the number of requests."""
    visitors = VISITORS_PER_S * of_day((ts % DAY_S / HOUR_S - 9) / 24) * step_s
    total = 0
    inside.write(out, ts, step_s)
    for habit in HABITS:
        count = int(draw.poisson(visitors * habit.share))
        if not count:
            continue
        more = slower if habit.name == INCIDENT else 1.0
        durations = (habit.median_ms * 1e6 * more * np.exp(draw.normal(0.0, habit.sigma, count))).astype(np.int64)
        _add(out, ts, Series(SERVICE, "", HTTP, habit.name, "", habit.outcome), durations, nbytes=habit.nbytes)
        inside.took(habit, more, durations)
        total += count
    return total


class _Inside:
    """What requests did, in rows that last longer than theirs: there are many of them and they say less."""

    def __init__(self) -> None:
        self._at = 0
        self._took: dict[tuple[Habit, float], list[Durations]] = {}

    def took(self, habit: Habit, more: float, durations: Durations) -> None:
        """Keep what an interval's requests took for the next row."""
        if habit.parts or habit.lookups:
            self._took.setdefault((habit, more), []).append(durations)

    def write(self, out: Rollups, ts: int, step_s: int) -> None:
        """Write what was kept when `ts` is in another row."""
        row = ts - ts % INSIDE_S[step_s]
        if row == self._at:
            return
        at, self._at = self._at, row
        for (habit, more), kept in self._took.items():
            durations = np.concatenate(kept)
            for kind, share in habit.parts:
                _add(out, at, Series(SERVICE, "", PART, kind, habit.name, ""), durations, _grown(share, kind, more))
                for text, calls, of_db, rows, asked in habit.statements if kind == DB else ():
                    # the deploy reads order by order what one statement read before: more calls, none of them slower
                    times = round(calls * _grown(share, DB, more) * more / share) if text == ORDER_LINES else calls
                    each = _grown(share, DB, more) * of_db / times
                    series = Series(SERVICE, "", DB, text, habit.name, "ok")
                    _add(out, at, series, durations[: _some(len(durations), asked)], each, times=times, nbytes=rows)
            for lookup in habit.lookups:
                hits = round(len(durations) * lookup.hits)
                spread = durations / durations.mean()  # what is slow is slow in all its parts
                for outcome, took in (
                    ("hit", spread[:hits] * lookup.hit_us * 1e3),
                    ("miss", spread[hits:] * lookup.make_ms * 1e6),
                ):
                    if len(took):
                        series = Series(SERVICE, "", REGION, lookup.region, habit.name, outcome)
                        _add(out, at, series, took.astype(np.int64))
        self._took.clear()


def _some(number: int, share: float) -> int:
    """That share of them, and at least one."""
    return max(1, round(number * share))


def _grown(share: float, kind: str, more: float) -> float:
    """The share of a request's time that `kind` has when the database alone made it `more` times as long."""
    return 1 - (1 - share) / more if kind == DB else share / more


def _add(
    out: Rollups, ts: int, series: Series, durations: Durations, share: float = 1.0, *, times: int = 1, nbytes: int = 0
) -> None:
    """A row of what took `share` of each of `durations`, `times` in each."""
    took = durations if share == 1.0 else (durations * share).astype(np.int64)
    positions, counts = np.unique(np.minimum(_BORDERS.searchsorted(took), POSITIONS - 1), return_counts=True)
    count = len(took) * times
    out.ts.append(ts)
    out.series.append(series)
    out.count.append(count)
    out.sum_ns.append(int(took.sum()) * times)
    out.min_ns.append(int(took.min()))
    out.max_ns.append(int(took.max()))
    out.nbytes.append(count * nbytes)
    out.hist.append(encode(dict(zip(positions.tolist(), (counts * times).tolist(), strict=True))))


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
    yield "gc.pause_max_s", float(0.004 + 0.003 * busy * draw.exponential())
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
