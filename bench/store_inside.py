"""What the SQLite store costs for the inside of requests: traces, errors and profiles, beside their budgets.

Takes about three minutes, most of it writing a million traces.

    python bench/store_inside.py
"""

from __future__ import annotations

import json
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from pitstop.model import Batch, Errors, Match, Profiles, Span, TraceMatch, Traces, Window
from pitstop.model.trace import encode_spans
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.store.sqlite import SqliteStore, trim
from pitstop.store.sqlite.fold_profiles import fold_profiles
from store import DAY_S, NOW, PROCESSES, Clock, columns, histograms, line, percentile, route, timed

DICE = random.Random(3)
ROUNDS, TICK_S = 20, 1.0
REASONS = ("sample",) * 96 + ("slow",) * 2 + ("failed", "n+1")


def body(spans: int) -> bytes:
    """Spans as a request with a few queries has them."""
    rows = []
    at = 10**5
    for i in range(spans):
        took = int(DICE.lognormvariate(14, 1))
        statement = (
            f"SELECT t{i % 7}.id, t{i % 7}.name, t{i % 7}.price FROM table_{i % 7} AS t{i % 7} WHERE t{i % 7}.id = ?"
        )
        attrs = {"db.system": "postgresql", "line": f"shop/orders.py:{12 + i % 7} in list_orders"}
        rows.append(Span(DICE.getrandbits(48), 0, "db", statement, "ok", at, took, 1, attrs))
        at += took + DICE.randrange(10**5)
    return encode_spans(rows)


BODIES = [body(5) for _ in range(50)]


def traces(moments: list[int], routes: int = 20, bodies: list[bytes] | None = None) -> Traces:
    """A trace a moment."""
    out = Traces()
    for ts in moments:
        reason = DICE.choice(REASONS)
        out.ts.append(ts)
        out.start_ns.append(ts * 10**9 + DICE.randrange(10**9))
        out.duration_ns.append(int(DICE.lognormvariate(17, 0.8)))
        out.trace_id.append(f"{DICE.getrandbits(128):032x}")
        out.span_id.append(f"{DICE.getrandbits(64):016x}")
        out.parent_id.append("")
        out.service.append("shop")
        out.worker.append("w")
        out.tenant.append("")
        out.kind.append("http")
        out.name.append(f"GET /route/{min(routes - 1, int(DICE.expovariate(0.2)))}/{{id}}")
        out.outcome.append("500" if reason == "failed" else "200")
        out.nbytes.append(900)
        out.reason.append(reason)
        out.weight.append(1)
        out.fingerprint.append("")
        out.spans.append(5)
        out.left_out.append(0)
        out.body.append(DICE.choice(bodies) if bodies else b"")
    return out


def stack(number: int, deep: int = 50) -> str:
    """One of many stacks that share their outer half."""
    frames = [f"run_{i} (framework/layer_{i % 9}.py:{10 * i})" for i in range(deep // 2)]
    seed = random.Random(number)
    frames += [
        f"work_{i}_{(n := seed.randrange(12))} (shop/part_{i % 11}.py:{20 * n})" for i in range(deep - len(frames))
    ]
    return ";".join(frames)


def profiles(rows: list[tuple[int, str, int]], of_route: str = "GET /route/1/{id}") -> Profiles:
    """Rows of ts, stack and samples."""
    out = Profiles()
    for ts, text, samples in rows:
        out.ts.append(ts)
        out.service.append("shop")
        out.mode.append("wall")
        out.route.append(of_route)
        out.stack.append(text)
        out.samples.append(samples)
        out.weight_ns.append(samples * 20_000_000)
    return out


def flusher(path: str, worker: str, start_s: float, out: str, inside: bool) -> None:
    """One of eight busy workers: each second 200 series and, if `inside`, 2 traces and 20 rows of profiles."""
    store = SqliteStore(path)
    dice = random.Random(worker)
    values = histograms(5)
    stacks = [stack(i) for i in range(200)]
    taken = []
    for tick in range(ROUNDS):
        time.sleep(max(0.0, start_s + tick * TICK_S - time.time()))
        now = int(time.time())
        rollups = columns((now, route(i), values[(i + tick) % 50]) for i in range(200))
        kept = traces([now, now], bodies=BODIES)
        sampled = profiles([(now // 60 * 60, dice.choice(stacks), 2) for _ in range(20)])
        batch = Batch(worker, tick, rollups, traces=kept if inside else None, profiles=sampled if inside else None)
        begin = time.perf_counter()
        store.append(batch)
        taken.append((time.perf_counter() - begin) * 1e3)
    Path(out).write_text(json.dumps(taken))


def flushes(folder: str) -> None:
    """Eight of them at once, without and with the inside."""
    for inside, what in ((False, "200 series"), (True, "200 series, 2 traces, 20 stacks")):
        path = f"{folder}/flush{inside}.db"
        SqliteStore(path).services()
        start_s = time.time() + 4
        processes = [
            multiprocessing.Process(target=flusher, args=(path, f"w{i}", start_s, f"{folder}/flush.{i}", inside))
            for i in range(PROCESSES)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        if any(process.exitcode for process in processes):
            sys.exit("a flush failed")
        taken = [ms for i in range(PROCESSES) for ms in json.loads(Path(f"{folder}/flush.{i}").read_text())[5:]]
        line(f"flush of {what}, 8 processes, p50", percentile(taken, 0.5), "ms", None)
        line(f"flush of {what}, 8 processes, p99", percentile(taken, 0.99), "ms", 20, f"worst {max(taken):.1f}")


def lists(folder: str, rows: int) -> None:
    """Questions about `rows` traces of 90 days."""
    path = f"{folder}/traces_{rows}.db"
    store = SqliteStore(path, clock=Clock(NOW))
    begin = time.perf_counter()
    moments = sorted(NOW - DICE.randrange(90 * DAY_S) for _ in range(rows))
    for seq, at in enumerate(range(0, rows, 10_000)):
        store.append(
            Batch("w", seq, traces=traces(moments[at : at + 10_000], bodies=BODIES[:1] if rows < 10**5 else None))
        )
    store.checkpoint()
    line(
        f"{rows} traces written", time.perf_counter() - begin, "s", None, f"{store.size().data_bytes / rows:.0f} B each"
    )
    every, hour = Window(NOW - 90 * DAY_S, NOW), Window(NOW - 40 * DAY_S, NOW - 40 * DAY_S + 3600)
    day = Window(NOW - DAY_S, NOW)
    name = "GET /route/3/{id}"
    note = f"of {rows}"
    for what, window, match, limit, slowest, budget in (
        ("newest 10", every, TraceMatch(), 10, False, 1), ("newest 100", every, TraceMatch(), 100, False, 10),
        ("newest 100 of a route", every, TraceMatch(name=name), 100, False, 10),
        ("newest 100 of a service", every, TraceMatch(service="shop"), 100, False, 10),
        ("newest 100 failed", every, TraceMatch(reason="failed"), 100, False, 10),
        ("newest 100 failed of a route", every, TraceMatch(reason="failed", name=name), 100, False, 10),
        ("newest 100 above 150 ms", every, TraceMatch(min_ns=150 * 10**6), 100, False, 10),
        ("slowest 100 of an hour", hour, TraceMatch(), 100, True, 10),
        ("slowest 100 of a day", day, TraceMatch(), 100, True, 10),
        ("slowest 100 of 90 d", every, TraceMatch(), 100, True, 10),
        ("slowest 100 of a route in 90 d", every, TraceMatch(name=name), 100, True, 10),
        ("slowest 100 of a route in a day", day, TraceMatch(name=name), 100, True, 10),
        ("slowest 100 samples of 90 d", every, TraceMatch(reason="sample"), 100, True, None),
    ):  # fmt: skip
        taken = timed(lambda w=window, m=match, n=limit, s=slowest: store.traces(w, m, limit=n, slowest=s))
        line(f"{what}, {note}", taken, "ms", budget)
    found = store.traces(every, TraceMatch(), limit=1).trace_id[0]
    line(f"one trace by its id, {note}", timed(lambda: store.trace(found)), "ms", 1)
    store.close()


def bites(folder: str) -> None:
    """What housekeeping holds the lock for."""
    store = SqliteStore(f"{folder}/traces_1000000.db", clock=Clock(NOW))
    taken = []
    for _ in range(10):
        begin = time.perf_counter()
        gone, _ = trim.bite(store._connections, NOW)  # noqa: SLF001  one bite is what is measured
        taken.append((time.perf_counter() - begin) * 1e3)
        assert gone == trim.BITE_TRACES, gone
    line(
        f"{trim.BITE_TRACES} of 1 M traces deleted", percentile(taken, 0.5), "ms", 10, f"worst of 10: {max(taken):.1f}"
    )
    store.close()


def stacks(folder: str) -> None:
    """5,000 stacks of 50 frames of one route in each hour of a day and each day of 90."""
    clock = Clock(NOW - 90 * DAY_S)
    store = SqliteStore(f"{folder}/profiles.db", clock=clock)
    texts = [stack(i) for i in range(5000)]
    begin = time.perf_counter()
    seq = 0
    for day in range(90, 0, -1):
        hours = range(24) if day == 1 else (12,)
        for hour in hours:
            at = (NOW - day * DAY_S) // DAY_S * DAY_S + DAY_S + hour * 3600
            if at > NOW - 3600:
                continue
            seq += 1
            store.append(
                Batch("w", seq, profiles=profiles([(at + 60 * (i % 60), text, 3) for i, text in enumerate(texts)]))
            )
            clock.at_s = at + 3700
            while fold_profiles(store._connections, int(clock.at_s)):  # noqa: SLF001
                pass
    clock.at_s = NOW
    for _ in range(50):
        store.upkeep()
    store.checkpoint()
    size = store.size()
    note = ", ".join(f"{table.name} {table.rows}" for table in size.tables if table.rows)
    line("5,000 stacks in each of 90 days", time.perf_counter() - begin, "s", None, note)
    line(
        "5,000 stacks in each of 90 days",
        size.data_bytes / 1e6,
        "MB",
        None,
        f"texts {sum(map(len, texts)) / 1e6:.1f} MB",
    )
    of = "GET /route/1/{id}"
    for what, days, budget in (("24 h", 1, 100), ("90 d", 90, 300)):
        window = Window(NOW - days * DAY_S, NOW)
        taken = timed(lambda w=window: store.profiles(w, route=of), 5)
        line(f"profile of a route, {what}, 5,000 stacks", taken, "ms", budget, f"{len(store.profiles(window))} rows")
    store.close()


def always_on(folder: str) -> None:
    """Two days of one worker at 50 stacks a second over 20 routes, a row of profiles each 10 s."""
    start = NOW - 2 * DAY_S
    clock = Clock(start)
    store = SqliteStore(f"{folder}/always.db", clock=clock)
    texts = [[stack(1000 * r + i) for i in range(300)] for r in range(20)]
    seq = 0
    for at in range(start, NOW, 60):
        for _tick in range(0, 60, 10):
            seq += 1
            of = DICE.randrange(20)
            rows = [(at // 60 * 60, texts[of][min(299, int(DICE.expovariate(0.02)))], 1) for _ in range(500)]
            store.append(Batch("w", seq, profiles=profiles(rows, f"GET /route/{of}/{{id}}")))
        clock.at_s = at + 60
        if at // 60 % 10 == 0:
            store.upkeep()
    for _ in range(20):
        store.upkeep()
    store.checkpoint()
    size = store.size()
    note = ", ".join(f"{table.name} {table.rows}" for table in size.tables if table.rows)
    line("50 stacks/s for two days, 20 routes", (size.data_bytes - size.free_bytes) / 1e6, "MB", None, note)
    store.close()


def small_service(folder: str) -> None:
    """1,000 requests a day for 90 days over 20 routes, each with five queries; a worker keeps a sample a minute."""
    clock = Clock(NOW - 90 * DAY_S)
    store = SqliteStore(f"{folder}/small.db", clock=clock)
    seq = 0
    for day in range(90):
        start = NOW - (90 - day) * DAY_S
        moments = sorted(start + DICE.randrange(DAY_S) for _ in range(1000))
        kept = traces(moments, bodies=BODIES)
        rows = []
        for ts, name, duration in zip(kept.ts, kept.name, kept.duration_ns, strict=True):
            number = int(name.split("/")[2])
            rows.append((ts, route(number), (1, duration, duration, duration, 900, encode({position_of(duration): 1}))))
        errors = Errors()
        for place, reason in enumerate(kept.reason):
            if reason == "failed":
                errors.ts.append(kept.ts[place])
                errors.service.append("shop")
                errors.route.append(kept.name[place])
                errors.fingerprint.append(f"{place % 5:016x}")
                errors.type.append("KeyError")
                errors.message.append("no …")
                errors.line.append("shop/orders.py:12 in list_orders")
                errors.stack.append(stack(place % 5, 30).replace(";", "\n"))
                errors.trace_id.append(kept.trace_id[place])
        for hour in range(24):
            seq += 1
            low, high = start + hour * 3600, start + (hour + 1) * 3600
            part = [row for row in rows if low <= row[0] < high]
            whole = hour == 23
            store.append(
                Batch("w", seq, columns(part), traces=kept if whole else None, errors=errors if whole else None)
            )
        clock.at_s = start + DAY_S
        while (done := store.upkeep()).folded_rows or done.deleted_rows:
            pass
    for _ in range(50):
        store.upkeep()
    store.checkpoint()
    size = store.size()
    assert sum(store.rollups(Window(NOW - 91 * DAY_S, NOW + DAY_S), Match()).count) == 90_000
    note = ", ".join(f"{table.name} {table.rows}" for table in size.tables if table.rows)
    used = (size.data_bytes - size.free_bytes) / 1e6
    line("1,000 requests/day × 90 days × 20 routes with traces", used, "MB", 10, note)
    store.close()


def main() -> None:
    """Print the table; names of parts as arguments run only those."""
    chosen = sys.argv[1:]
    print(f"SQLite {sqlite3.sqlite_version}, Python {sys.version.split()[0]}")
    print(f"{'what':<58} {'measured':>10} {'':<6} {'budget':>7} {'ratio':>8}")
    with tempfile.TemporaryDirectory() as folder:
        for name, part in (
            ("flushes", lambda: flushes(folder)), ("lists", lambda: lists(folder, 10_000)),
            ("million", lambda: lists(folder, 1_000_000)), ("bites", lambda: bites(folder)),
            ("stacks", lambda: stacks(folder)), ("always", lambda: always_on(folder)),
            ("small", lambda: small_service(folder)),
        ):  # fmt: skip
            if not chosen or name in chosen:
                part()


if __name__ == "__main__":
    main()
