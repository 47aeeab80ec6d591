"""Stores under test, a clock that the test turns, and short ways to make batches."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pitstop.model import Batch, Errors, Events, Match, Profiles, Rollups, Samples, Series, Span, Traces, Window
from pitstop.model.trace import encode_spans
from pitstop.rollup.codec import decode, encode
from pitstop.rollup.histogram import position_of
from pitstop.store.memory import MemoryStore
from pitstop.store.sqlite import SqliteStore
from pitstop.store.sqlite.packs import Unpacked
from pitstop.store.sqlite.tiers import ROLLUP_TIERS, TIERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from pitstop.model import Store
    from pitstop.store.sqlite.packs import Values

ROLLUPS = {tier.name: tier for tier in ROLLUP_TIERS}
Settle = "Callable[[Store], None]"
SPANS = encode_spans([Span(1, 0, "db", "SELECT ?", "ok", 5, 7, 1, {"line": "shop/a.py:3 in a"})])
NOON = 1_790_000_000 // 86_400 * 86_400 + 43_200


class HandClock:
    """Wall and monotonic time that move when told to."""

    def __init__(self, now_s: float = NOON) -> None:
        self.wall_s = float(now_s)
        self.ticks_ns = 0

    def now_s(self) -> float:
        return self.wall_s

    def monotonic_ns(self) -> int:
        return self.ticks_ns

    def pass_s(self, seconds: float) -> None:
        self.wall_s += seconds
        self.ticks_ns += round(seconds * 1e9)


class Make:
    """Batches of one worker, and what a store answers, added up."""

    NOON = NOON

    def __init__(self) -> None:
        self.seqs: Counter[str] = Counter()

    @staticmethod
    def series(name: str = "GET /", *, service: str = "shop", outcome: str = "200", kind: str = "http") -> Series:
        return Series(service, "", kind, name, "", outcome)

    @staticmethod
    def rollups(rows: Iterable[tuple[int, Series, list[int]]]) -> Rollups:
        out = Rollups()
        for ts, series, durations in rows:
            out.ts.append(ts)
            out.series.append(series)
            out.count.append(len(durations))
            out.sum_ns.append(sum(durations))
            out.min_ns.append(min(durations))
            out.max_ns.append(max(durations))
            out.nbytes.append(10 * len(durations))
            out.hist.append(encode(dict(Counter(map(position_of, durations)))))
        return out

    @staticmethod
    def samples(rows: Iterable[tuple[int, str, str, str, float]]) -> Samples:
        out = Samples()
        out.ts, out.service, out.worker, out.name, out.value = map(list, zip(*rows, strict=True))
        return out

    @staticmethod
    def events(rows: Iterable[tuple[int, str, str, str]]) -> Events:
        out = Events()
        out.ts, out.service, out.kind, out.text = map(list, zip(*rows, strict=True))
        return out

    @staticmethod
    def traces(rows: Iterable[dict[str, object]]) -> Traces:
        """Traces of these columns, the others as of an ordinary request; `ts` goes by `start_ns`."""
        out = Traces()
        for place, row in enumerate(rows):
            start_ns = row.get("start_ns", NOON * 10**9 + place)
            assert isinstance(start_ns, int)
            usual = {
                "ts": start_ns // 10**9, "start_ns": start_ns, "duration_ns": 10**7, "trace_id": f"{start_ns:032x}",
                "span_id": f"{place + 1:016x}", "parent_id": "", "service": "shop", "worker": "w1", "tenant": "",
                "kind": "http", "name": "GET /", "outcome": "200", "nbytes": 5, "reason": "slow", "weight": 1,
                "fingerprint": "", "spans": 1, "left_out": 0, "body": SPANS,
            }  # fmt: skip
            for field, value in {**usual, **row}.items():
                getattr(out, field).append(value)
        return out

    @staticmethod
    def errors(rows: Iterable[dict[str, object]]) -> Errors:
        out = Errors()
        for row in rows:
            usual = {
                "ts": NOON, "service": "shop", "route": "GET /", "fingerprint": "0123456789abcdef", "type": "KeyError",
                "message": "no …", "line": "shop/a.py:3 in a", "stack": "shop/b.py:9 in b\nshop/a.py:3 in a",
                "trace_id": "ab" * 16,
            }  # fmt: skip
            for field, value in {**usual, **row}.items():
                getattr(out, field).append(value)
        return out

    @staticmethod
    def profiles(rows: Iterable[tuple[int, str, int]], **source: str) -> Profiles:
        """Rows of ts, stack and samples of 20 ms each."""
        out = Profiles()
        for ts, stack, samples in rows:
            of = {"service": "shop", "mode": "wall", "route": "GET /", **source}
            for field, value in {**of, "ts": ts, "stack": stack, "samples": samples, "weight_ns": 20 * samples}.items():
                getattr(out, field).append(value)
        return out

    @staticmethod
    def stacks(profiles: Profiles) -> dict[tuple[str, str, str, str], tuple[int, int]]:
        """Samples and weight by service, mode, route and stack, each there once."""
        p = profiles
        keys = list(zip(p.service, p.mode, p.route, p.stack, strict=True))
        assert len(set(keys)) == len(keys)
        return dict(zip(keys, zip(p.samples, p.weight_ns, strict=True), strict=True))

    @staticmethod
    def kept(path: str, table: str, before_s: int = 1 << 62) -> list[tuple[int, int, Values]]:
        """Every row of a packed tier, without the store's plan of what answers what: ts, series' id and values."""
        raw = sqlite3.connect(path)
        got = Unpacked()
        got.add_packs(raw.execute(f"SELECT ts, n, numbers, hists FROM {table} WHERE ts < ?", (before_s,)))
        raw.close()
        return list(got.rows())

    def check_row_numbers(self, path: str) -> None:
        """The kept numbers of rows are the rows."""
        raw = sqlite3.connect(path)
        for name, rows in raw.execute("SELECT name, n_rows FROM tier").fetchall():
            if name in ROLLUPS and ROLLUPS[name].packed:
                assert len(self.kept(path, name)) == rows, name
            else:
                counted = TIERS[name].rows_sql if name in TIERS else "count(*)"
                assert raw.execute(f"SELECT {counted} FROM {name}").fetchone()[0] == rows, name
        raw.close()

    def batch(
        self, rows: Iterable[tuple[int, Series, list[int]]] = (), *, worker: str = "w1", **parts: object
    ) -> Batch:
        self.seqs[worker] += 1
        return Batch(worker, self.seqs[worker], self.rollups(rows), **parts)  # type: ignore[arg-type]

    @staticmethod
    def totals(rollups: Rollups) -> dict[Series, tuple[int, int, int, int, int, dict[int, int]]]:
        """Count, sum, min, max, bytes and histogram of each series."""
        out: dict[Series, tuple[int, int, int, int, int, dict[int, int]]] = {}
        columns = (rollups.count, rollups.sum_ns, rollups.min_ns, rollups.max_ns, rollups.nbytes, rollups.hist)
        for series, n, sum_ns, min_ns, max_ns, nbytes, hist in zip(rollups.series, *columns, strict=True):
            have = out.get(series, (0, 0, 1 << 62, 0, 0, {}))
            counts = dict(have[5])
            for position, more in (decode(hist) if hist else {}).items():
                counts[position] = counts.get(position, 0) + more
            out[series] = (
                have[0] + n, have[1] + sum_ns, min(have[2], min_ns), max(have[3], max_ns), have[4] + nbytes, counts
            )  # fmt: skip
        return out

    def answer(
        self, store: Store, start_s: int, end_s: int, step_s: int | None = None, **match: str
    ) -> dict[Series, tuple[int, int, int, int, int, dict[int, int]]]:
        return self.totals(store.rollups(Window(start_s, end_s), Match(**match), step_s=step_s))


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "pitstop.db")


@pytest.fixture
def sqlite_store(path: str, clock: HandClock) -> Iterator[SqliteStore]:
    store = SqliteStore(path, clock=clock)
    yield store
    store.close()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, path: str, clock: HandClock) -> Iterator[Store]:
    opened: Store = MemoryStore("test", clock=clock) if request.param == "memory" else SqliteStore(path, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def settle() -> Callable[[Store], None]:
    """Keep house until there is nothing to do."""

    def run(store: Store) -> None:
        for _ in range(1000):
            done = store.upkeep()
            if not (done.folded_rows or done.deleted_rows):
                return
        raise AssertionError("housekeeping does not come to an end")

    return run
