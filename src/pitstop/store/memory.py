"""The memory store: for tests, trials and hosts without a disk. What it holds ends with the process.

Every operation is kept in exactly one interval: fresh ones of 1 s; `upkeep` moves older ones into 1 min, then 1 h. So
totals are exact and the memory is bounded by retention × series, not by traffic.
"""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from pitstop.model.clock import Clock, SystemClock
from pitstop.model.columns import Batch, Events, Rollups, Samples
from pitstop.model.errors import StoreUnavailableError
from pitstop.model.protocols import StoreSize, TableSize, Upkeep
from pitstop.rollup.codec import decode, encode
from pitstop.store.memory_inside import Inside

if TYPE_CHECKING:
    from pitstop.model.columns import Errors, Profiles, Reports, Traces
    from pitstop.model.series import Match, Series
    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window

DEFAULT_RETENTION_S = 90 * 86_400
WORKERS = 10_000  # whose last seq is remembered; the one not seen for longest goes first
TIERS = ((1, 3600), (60, 48 * 3600), (3600, 0))  # step, how long it is kept so fine; 0: as long as retention says
TRACE_BYTES = 32_000_000  # of spans
ROW_BYTES = 600  # a row with a histogram of some 50 values, measured with tracemalloc: for the size report only
SAMPLE_BYTES = 150

_named: dict[str, MemoryStore] = {}
_naming = threading.Lock()


def named(name: str) -> MemoryStore:
    """The one store of this `name` in this process; a closed one is followed by a new one."""
    with _naming:
        store = _named.get(name)
        if store is None or store.closed:
            _named[name] = store = MemoryStore(name)
        return store


class _Row:
    """What is known of one series in one interval."""

    __slots__ = ("count", "counts", "max_ns", "min_ns", "nbytes", "sum_ns")

    def __init__(self) -> None:
        self.count = self.sum_ns = self.max_ns = self.nbytes = 0
        self.min_ns = 1 << 62
        self.counts: dict[int, int] = {}

    def add(self, count: int, sum_ns: int, min_ns: int, max_ns: int, nbytes: int, counts: dict[int, int]) -> None:
        self.count += count
        self.sum_ns += sum_ns
        self.min_ns = min(self.min_ns, min_ns)
        self.max_ns = max(self.max_ns, max_ns)
        self.nbytes += nbytes
        for position, more in counts.items():
            self.counts[position] = self.counts.get(position, 0) + more


Tier = dict[int, "dict[Series, _Row]"]
Gauge = tuple[str, str, str]  # service, worker, name


class MemoryStore:
    """`Store` in this process's memory. Any thread; after a fork the child has a copy of its own."""

    def __init__(
        self,
        name: str = "",
        *,
        clock: Clock | None = None,
        retention_s: int = DEFAULT_RETENTION_S,
        trace_bytes: int = TRACE_BYTES,
    ) -> None:
        self.url = f"memory://{name}"
        self.retention_s = retention_s
        self.closed = False
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._workers: OrderedDict[str, int] = OrderedDict()
        self._rollups: dict[int, Tier] = {step_s: {} for step_s, _ in TIERS}
        self._samples: dict[int, dict[Gauge, float]] = {}
        self._events: list[tuple[int, str, str, str]] = []
        self._inside = Inside(trace_bytes)
        self._marks = {step_s: 0 for step_s, _ in TIERS}  # what is older than a tier's mark is kept coarser
        self._holder = ""
        self._taken_s = self._until_s = 0.0

    def append(self, batch: Batch) -> None:
        """Write all of `batch` or nothing; a `seq` this worker has already written is ignored."""
        rollups, samples, events = batch.rollups, batch.samples, batch.events
        counts = [decode(hist) if hist else {} for hist in rollups.hist]
        with self._open():
            if batch.seq <= self._workers.get(batch.worker, -1):
                return
            self._workers[batch.worker] = batch.seq
            self._workers.move_to_end(batch.worker)
            while len(self._workers) > WORKERS:
                self._workers.popitem(last=False)
            columns = (rollups.count, rollups.sum_ns, rollups.min_ns, rollups.max_ns, rollups.nbytes, counts)
            for ts, series, *values in zip(rollups.ts, rollups.series, *columns, strict=True):
                self._row(ts, series).add(*values)
            for ts, *gauge, value in zip(
                samples.ts, samples.service, samples.worker, samples.name, samples.value, strict=True
            ):
                self._samples.setdefault(ts, {})[gauge[0], gauge[1], gauge[2]] = value
            self._events += zip(events.ts, events.service, events.kind, events.text, strict=True)
            if events.ts:
                self._events.sort(key=lambda event: event[0])
            self._inside.add(batch)

    def _row(self, ts: int, series: Series) -> _Row:
        """The row that an operation of `ts` belongs to: of the finest tier that is still kept there."""
        step_s = next((step_s for step_s, _ in TIERS if ts >= self._marks[step_s]), TIERS[-1][0])
        rows = self._rollups[step_s].setdefault(ts // step_s * step_s, {})
        row = rows.get(series)
        if row is None:
            rows[series] = row = _Row()
        return row

    def rollups(self, window: Window, match: Match, *, step_s: int | None = None, hist: bool = True) -> Rollups:  # noqa: ARG002  as fine as it is kept answers any step
        """Rows of the matching series in `window`; see `pitstop.model.Store`."""
        out = Rollups(array("q"), [], array("q"), array("q"), array("q"), array("q"), array("q"), [])
        with self._open():
            for tier_s, tier in self._rollups.items():
                for ts in sorted(ts for ts in tier if ts < window.end_s and ts + tier_s > window.start_s):
                    for series, row in tier[ts].items():
                        if match.accepts(series):
                            _put(out, ts, series, row, hist=hist)
        return out

    def samples(
        self, window: Window, *, service: str | None = None, names: tuple[str, ...] = (), step_s: int = 1
    ) -> Samples:
        """Gauges in `window`, the last value of each step; see `pitstop.model.Store`."""
        last: dict[tuple[int, Gauge], tuple[int, float]] = {}
        with self._open():
            for ts in sorted(ts for ts in self._samples if window.start_s <= ts < window.end_s):
                for gauge, value in self._samples[ts].items():
                    if (service is None or gauge[0] == service) and (not names or gauge[2] in names):
                        last[ts // step_s, gauge] = (ts, value)
        out = Samples()
        for (_, (of, worker, name)), (ts, value) in sorted(last.items(), key=lambda item: item[1][0]):
            out.ts.append(ts)
            out.service.append(of)
            out.worker.append(worker)
            out.name.append(name)
            out.value.append(value)
        return out

    def events(self, window: Window, *, service: str | None = None) -> Events:
        """Events in `window`, oldest first."""
        with self._open():
            chosen = [
                event
                for event in self._events
                if window.start_s <= event[0] < window.end_s and (service is None or event[1] == service)
            ]
        out = Events()
        if chosen:
            out.ts, out.service, out.kind, out.text = map(list, zip(*chosen, strict=True))
        return out

    def traces(
        self, window: Window, match: TraceMatch, *, limit: int = 100, slowest: bool = False, body: bool = False
    ) -> Traces:
        """Kept traces that started in `window`, newest (or slowest) first; see `pitstop.model.Store`."""
        with self._open():
            return self._inside.traces_of(window, match, limit, slowest=slowest, body=body)

    def trace(self, trace_id: str) -> Traces:
        """Every kept part of one trace with its spans, oldest first."""
        with self._open():
            return self._inside.trace_of(trace_id)

    def errors(self, window: Window, *, service: str | None = None, route: str | None = None) -> Errors:
        """The newest row of each failure of a route seen in `window`, newest first."""
        with self._open():
            return self._inside.errors_of(window, service, route)

    def profiles(
        self, window: Window, *, service: str | None = None, route: str | None = None, mode: str | None = None
    ) -> Profiles:
        """Stacks sampled in `window`, added up; see `pitstop.model.Store`."""
        with self._open():
            return self._inside.profiles_of(window, service, route, mode)

    def reports(self, window: Window, *, service: str | None = None, kind: str | None = None) -> Reports:
        """The newest report of each worker, kind and name; see `pitstop.model.Store`."""
        with self._open():
            return self._inside.reports_of(window, service, kind)

    def services(self) -> list[str]:
        """Every service that is still kept, sorted."""
        with self._open():
            of_rollups = {
                series.service for tier in self._rollups.values() for rows in tier.values() for series in rows
            }
            of_samples = {gauge[0] for gauges in self._samples.values() for gauge in gauges}
            of_inside = self._inside.services()
        return sorted((of_rollups | of_samples | of_inside) - {""})

    def lease(self, holder: str, ttl_s: float) -> bool:
        """Take or renew the right to keep house; False when another holder has it."""
        now_s = self._clock.now_s()
        with self._open():
            valid = self._taken_s <= now_s < self._until_s
            if valid and self._holder != holder:
                return False
            self._holder, self._taken_s, self._until_s = holder, now_s, now_s + ttl_s
            return True

    def upkeep(self, *, retention_s: int | None = None) -> Upkeep:
        """Move what is old into longer intervals and delete what is past retention."""
        now_s = int(self._clock.now_s())
        with self._open():
            folded = self._fold(now_s) + self._inside.fold(now_s)
            deleted = self._cut(now_s - (retention_s or self.retention_s)) + self._inside.trim(now_s)
            return Upkeep(folded_rows=folded, deleted_rows=deleted)

    def _fold(self, now_s: int) -> int:
        folded = 0
        for (step_s, kept_s), (longer_s, _) in pairwise(TIERS):
            mark_s = (now_s - kept_s) // longer_s * longer_s
            self._marks[step_s] = max(self._marks[step_s], mark_s)
            tier = self._rollups[step_s]
            for ts in [ts for ts in tier if ts < self._marks[step_s]]:
                for series, row in tier.pop(ts).items():
                    values = (row.count, row.sum_ns, row.min_ns, row.max_ns, row.nbytes, row.counts)
                    self._row(ts, series).add(*values)
                    folded += 1
        for ts in [ts for ts in self._samples if ts < self._marks[1] and ts % TIERS[1][0]]:
            minute = self._samples.setdefault(ts // 60 * 60, {})
            for gauge, value in sorted(self._samples.pop(ts).items()):
                minute[gauge] = value
        return folded

    def prune(self, before_s: int, *, dry_run: bool = False) -> int:
        """Delete what is older than `before_s`; a longer interval that holds newer data, too, stays whole."""
        before_s = min(before_s, int(self._clock.now_s()))
        with self._open():
            return self._cut(before_s, dry_run=dry_run)

    def _cut(self, before_s: int, *, dry_run: bool = False) -> int:
        old = [(tier, ts) for step_s, tier in self._rollups.items() for ts in tier if ts + step_s <= before_s]
        old_samples = [ts for ts in self._samples if ts < before_s]
        old_events = sum(event[0] < before_s for event in self._events)
        rows = sum(len(tier[ts]) for tier, ts in old) + sum(len(self._samples[ts]) for ts in old_samples) + old_events
        if not dry_run:
            for tier, ts in old:
                del tier[ts]
            for ts in old_samples:
                del self._samples[ts]
            del self._events[:old_events]
        return rows + self._inside.cut(before_s, dry_run=dry_run)

    def checkpoint(self) -> int:
        """Nothing: there is no log."""
        return 0

    def size(self) -> StoreSize:
        """What it takes; bytes are an estimate from the number of rows. Never raises."""
        with self._lock:
            tables = [
                _table(f"rollup_{step_s}", step_s, {ts: len(rows) for ts, rows in tier.items()})
                for step_s, tier in self._rollups.items()
            ]
            events: dict[int, int] = defaultdict(int)
            for event in self._events:
                events[event[0]] += 1
            tables.append(_table("event", 0, events))
            samples = _table("sample_1", 1, {ts: len(gauges) for ts, gauges in self._samples.items()})
            series = {series for tier in self._rollups.values() for rows in tier.values() for series in rows}
            used = ROW_BYTES * sum(table.rows for table in tables) + SAMPLE_BYTES * samples.rows
            used += self._inside.used_bytes()
            inside = [_table(*table) for table in self._inside.sizes()]
            state = "closed" if self.closed else "ok"
            return StoreSize(
                self.url, 1, used, 0, 0, (*tables, samples, *inside), len(series), self._holder, self._until_s, state
            )

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self.closed = True
            for tier in self._rollups.values():
                tier.clear()
            self._samples.clear()
            self._events.clear()
            self._inside = Inside(0)

    def _open(self) -> threading.RLock:
        if self.closed:
            raise StoreUnavailableError(f"the store '{self.url}' is closed")
        return self._lock


def _put(out: Rollups, ts: int, series: Series, row: _Row, *, hist: bool) -> None:
    out.ts.append(ts)
    out.series.append(series)
    out.count.append(row.count)
    out.sum_ns.append(row.sum_ns)
    out.min_ns.append(row.min_ns)
    out.max_ns.append(row.max_ns)
    out.nbytes.append(row.nbytes)
    out.hist.append(encode(row.counts) if hist and row.counts else b"")


def _table(name: str, step_s: int, rows: dict[int, int]) -> TableSize:
    return TableSize(name, sum(rows.values()), step_s, min(rows, default=None), max(rows, default=None))
