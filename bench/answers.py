"""Answers about the inside of requests: 100 routes with 20 statements each over 90 days, traces, profiles.

The history is written through the store and folded by its own housekeeping: a row a day and series, hours at the edges
of the window and minutes in the last one. Every question is what one page or command asks of the store.
"""

from __future__ import annotations

import random
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

from pitstop import analyze
from pitstop.analyze.trace_tree import trace_tree_of
from pitstop.model import Batch, Match, Profiles, Rollups, Series, Span, Traces, Window
from pitstop.model.series import DB, HTTP, PART, PARTS
from pitstop.model.trace import encode_spans
from pitstop.store import open_store
from queries import DAY_S, HOUR_S, ROUTES, drawn, measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.model import Store

STATEMENTS = 20
SHARED = 5  # of the statements of a route, those that every route runs: the session, the user …
BUDGET_MS = 100
SPANS, FRAMES = 5_000, 50_000


def series() -> list[Series]:
    """Requests, parts and statements of every route."""
    out = []
    for i in range(ROUTES):
        route = f"GET /route/{i}/{{item_id}}"
        out.append(Series("shop", "", HTTP, route, "", "200"))
        out += [Series("shop", "", PART, part, route, "") for part in PARTS]
        for n in range(STATEMENTS):
            table = f"shared_{n}" if n < SHARED else f"table_{i}_{n}"
            out.append(Series("shop", "", DB, f"SELECT id, name, total FROM {table} WHERE id = ?", route, "ok"))
    return out


def fill(store: Store, now: int) -> int:
    """Write the history and fold it; the rows written."""
    rng = random.Random(20)
    pool = [drawn(rng, 1000) for _ in range(150)]
    every = series()
    hour, day = now // HOUR_S * HOUR_S, now // DAY_S * DAY_S
    first = (now - 90 * DAY_S) // DAY_S * DAY_S
    moments = [*range(first + DAY_S, day, DAY_S), *range(first, first + DAY_S, HOUR_S), *range(day, hour, HOUR_S)]
    moments += range(hour, now, 60)
    written = 0
    for seq, ts in enumerate(sorted(moments)):
        rollups = Rollups()
        for one in every:
            count, sum_ns, min_ns, max_ns, hist = rng.choice(pool)
            for column, value in zip(
                ("ts", "series", "count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist"),
                (ts, one, count, sum_ns, min_ns, max_ns, count * 3, hist),
                strict=True,
            ):
                getattr(rollups, column).append(value)
        store.append(Batch("bench:1:1", seq, rollups))
        written += len(rollups)
        while store.upkeep().folded_rows:
            pass
    return written


def trace_of(number: int) -> Traces:
    """One trace of `number` spans, a few levels deep."""
    spans = [
        Span(
            i + 1, (i - 1) // 4 + 1 if i else 0, "db", f"SELECT {i % 50}", "ok", i * 1000, 5_000_000 // (i + 1), 1, None
        )
        for i in range(number)
    ]
    kept = Traces()
    for column in Traces.__slots__:
        getattr(kept, column).append("")
    kept.start_ns[0], kept.duration_ns[0], kept.left_out[0], kept.body[0] = 10**18, 10**9, 0, encode_spans(spans)
    return kept


def profile_of(frames: int) -> Profiles:
    """Stacks of 50 frames that make a tree of about `frames` nodes."""
    rng = random.Random(7)
    found = Profiles()
    for _ in range(frames // 25):
        shared = rng.randrange(5, 45)
        stack = [f"shared_{depth} (lib.py:{depth})" for depth in range(shared)]
        stack += [f"f{rng.randrange(2000)} (app/module_{depth}.py:{depth})" for depth in range(shared, 50)]
        for column, value in zip(
            ("ts", "service", "mode", "route", "stack", "samples", "weight_ns"),
            (0, "shop", "wall", "GET /a", ";".join(stack), 3, 60_000_000),
            strict=True,
        ):
            getattr(found, column).append(value)
    return found


def shown(question: str, work: Callable[[], object], rows: int | str = "", budget: float | str = "") -> None:
    """One line of the table."""
    median, best = measured(work)
    print(f"{question:44}{rows:>9}{median:11.1f}{best:9.1f}{budget:>8}", flush=True)


def main() -> None:
    """Print the table."""
    now = int(time.time())
    print(f"{'question':44}{'rows':>9}{'median ms':>11}{'best ms':>9}{'budget':>8}")
    kept, profile, window = trace_of(SPANS), profile_of(FRAMES), Window(now - 900, now)
    shown(f"waterfall of {SPANS} spans", partial(trace_tree_of, kept), SPANS, 50)
    shown("flame graph", partial(analyze.flame_graph, profile, least_ratio=0), FRAMES)
    shown("functions", partial(analyze.top_functions, profile), FRAMES)
    shown("two profiles compared", partial(analyze.profile_diff, profile, profile), FRAMES)
    shown("folded", partial(analyze.folded, profile), FRAMES, 1000)
    shown("speedscope", partial(analyze.speedscope, profile, "shop"), FRAMES, 1000)
    shown("pprof", partial(analyze.pprof, profile, window), FRAMES, 1000)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(f"sqlite:///{folder}/bench.db")
        start = time.perf_counter()
        rows = fill(store, now)
        size = store.size().data_bytes / 1e6
        print(f"\n{rows} rows of {len(series())} series in {time.perf_counter() - start:.0f} s, {size:.0f} MB\n")
        for name, length_s in (("1 h", HOUR_S), ("24 h", DAY_S), ("90 d", 90 * DAY_S)):
            over = Window(now - length_s, now)
            of_kind = len(store.rollups(over, Match(kind=DB), hist=False))
            route, statement = "GET /route/7/{item_id}", "SELECT id, name, total FROM shared_0 WHERE id = ?"
            asked: list[tuple[str, Callable[[], object]]] = [
                ("read alone, no histograms", partial(store.rollups, over, Match(kind=DB), hist=False)),
                ("read alone", partial(store.rollups, over, Match(kind=DB))),
                ("every statement", partial(analyze.queries, store, over, "shop")),
                ("the 100 that take most of it", partial(analyze.queries, store, over, "shop", top=100)),
                ("statements of a route", partial(analyze.queries, store, over, "shop", route)),
                ("one statement", partial(analyze.query, store, over, "shop", statement)),
                ("breakdown of each route", partial(analyze.breakdowns, store, over, "shop")),
                ("breakdown over time", partial(analyze.breakdown_trend, store, over, "shop")),
                ("breakdown of a route over time", partial(analyze.breakdown_trend, store, over, "shop", route)),
                ("routes with their breakdown", partial(analyze.routes, store, over, "shop")),
            ]
            for question, work in asked:
                shown(f"{name}: {question}", work, of_kind, BUDGET_MS)
        store.close()


if __name__ == "__main__":
    main()
