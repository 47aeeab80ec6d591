"""What the memory store keeps of the inside of requests: traces, errors, profiles. Used under the store's lock."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.model.columns import Errors, Profiles, Reports, Traces
from pitstop.model.series import OTHER
from pitstop.model.trace import SAMPLE
from pitstop.store.examples import PLAIN, PLAIN_KEPT_S, REPORTS_KEPT_S, THINNING, largest
from pitstop.store.stacks import OF_ERRORS, OF_PROFILES, bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.model.columns import Batch
    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window

PROFILE_TIERS = ((60, 24 * 3600), (3600, 14 * 86_400), (86_400, 0))  # step, how long it is kept so fine
ROW_BYTES = 400  # a row with texts of its own: for the size report only


class _Trace(NamedTuple):
    """A row of Traces, its columns in their order there."""

    body: bytes
    duration_ns: int
    fingerprint: str
    kind: str
    left_out: int
    name: str
    nbytes: int
    outcome: str
    parent_id: str
    reason: str
    service: str
    span_id: str
    spans: int
    start_ns: int
    tenant: str
    trace_id: str
    ts: int
    weight: int
    worker: str


class _Error(NamedTuple):
    """A row of Errors."""

    fingerprint: str
    line: str
    message: str
    route: str
    service: str
    stack: str
    trace_id: str
    ts: int
    type: str


Stack = tuple[str, str, str, str]  # service, mode, route, stack
Sampled = dict[Stack, tuple[int, int]]  # samples, weight_ns


class Inside:
    """Traces and errors as rows in the order they came, stacks by interval of the tiers, reports by who made them."""

    def __init__(self, trace_bytes: int) -> None:
        self.traces: list[_Trace] = []
        self.errors: list[_Error] = []
        self.reports: dict[tuple[str, str, str], tuple[int, str, str]] = {}  # by kind, name, worker: ts, service, body
        self.profiles: dict[int, dict[int, Sampled]] = {step_s: {} for step_s, _ in PROFILE_TIERS}
        self._marks = {step_s: 0 for step_s, _ in PROFILE_TIERS}  # what is older than a tier's mark is kept coarser
        self._trace_bytes = trace_bytes

    def add(self, batch: Batch) -> None:
        """Everything of `batch`."""
        for row in _rows(batch.traces):
            trace = _Trace(*row)
            self.traces.append(trace if trace.worker else trace._replace(worker=batch.worker))
        for row in _rows(batch.errors):
            error = _Error(*row)
            self.errors.append(error._replace(stack=bounded(error.stack, OF_ERRORS)))
        r = batch.reports
        for ts, service, *key, body in zip(r.ts, r.service, r.kind, r.name, r.worker, r.body, strict=True):
            kind, name, worker = key[0], key[1], key[2] or batch.worker
            if ts >= self.reports.get((kind, name, worker), (0,))[0]:
                self.reports[kind, name, worker] = (ts, service, body)
        p = batch.profiles
        columns = (p.ts, p.service, p.mode, p.route, p.stack, p.samples, p.weight_ns)
        for ts, service, mode, route, stack, samples, weight_ns in zip(*columns, strict=True):
            self._sample(ts, (service, mode, route, bounded(stack, OF_PROFILES)), (samples, weight_ns))

    def _sample(self, ts: int, stack: Stack, value: tuple[int, int]) -> None:
        step_s = next((step_s for step_s, _ in PROFILE_TIERS if ts >= self._marks[step_s]), PROFILE_TIERS[-1][0])
        _count(self.profiles[step_s].setdefault(ts // step_s * step_s, {}), stack, value)

    def traces_of(self, window: Window, match: TraceMatch, limit: int, *, slowest: bool, body: bool) -> Traces:
        """The newest or slowest that match."""
        chosen = [row for row in self.traces if window.start_s <= row.ts < window.end_s and _matches(row, match)]
        chosen.sort(key=lambda row: (row.duration_ns if slowest else row.ts, row.start_ns), reverse=True)
        del chosen[max(0, limit) :]
        return _traces(chosen if body else [row._replace(body=b"") for row in chosen])

    def trace_of(self, trace_id: str) -> Traces:
        """Every part of one trace, oldest first."""
        return _traces(sorted((row for row in self.traces if row.trace_id == trace_id), key=lambda row: row.start_ns))

    def errors_of(self, window: Window, service: str | None, route: str | None) -> Errors:
        """The newest of each failure, newest first."""
        newest: dict[tuple[str, str, str], _Error] = {}
        for row in self.errors:
            if (
                window.start_s <= row.ts < window.end_s
                and service in {None, row.service}
                and route in {None, row.route}
            ):
                failed = (row.fingerprint, row.route, row.service)
                if failed not in newest or newest[failed].ts <= row.ts:
                    newest[failed] = row
        out = Errors()
        for row in sorted(newest.values(), key=lambda row: row.ts, reverse=True):
            for field, value in zip(row._fields, row, strict=True):
                getattr(out, field).append(value)
        return out

    def reports_of(self, window: Window, service: str | None, kind: str | None) -> Reports:
        """The newest of each worker, kind and name."""
        out = Reports()
        for (of_kind, name, worker), (ts, of, body) in sorted(
            self.reports.items(), key=lambda one: (*one[0][:2], -one[1][0], one[0][2])
        ):
            if window.start_s <= ts < window.end_s and service in {None, of} and kind in {None, of_kind}:
                for field, value in zip(Reports.__slots__, (body, of_kind, name, of, ts, worker), strict=True):
                    getattr(out, field).append(value)
        return out

    def profiles_of(self, window: Window, service: str | None, route: str | None, mode: str | None) -> Profiles:
        """Stacks added up."""
        total: Sampled = {}
        for step_s, tier in self.profiles.items():
            for ts in [ts for ts in tier if ts < window.end_s and ts + step_s > window.start_s]:
                for stack, value in tier[ts].items():
                    if service in {None, stack[0]} and mode in {None, stack[1]} and route in {None, stack[2]}:
                        _count(total, stack, value)
        out = Profiles()
        for (of, in_mode, of_route, text), (samples, weight_ns) in total.items():
            out.ts.append(window.start_s)
            out.service.append(of)
            out.mode.append(in_mode)
            out.route.append(of_route)
            out.stack.append(text)
            out.samples.append(samples)
            out.weight_ns.append(weight_ns)
        return out

    def services(self) -> set[str]:
        """Every service that is still kept."""
        stacks = {stack[0] for tier in self.profiles.values() for sampled in tier.values() for stack in sampled}
        return stacks | {row.service for row in self.traces} | {row.service for row in self.errors}

    def fold(self, now_s: int) -> int:
        """Move older stacks into longer intervals; the number of stacks moved."""
        folded = 0
        for (step_s, kept_s), (longer_s, _) in pairwise(PROFILE_TIERS):
            mark_s = (now_s - kept_s) // longer_s * longer_s
            self._marks[step_s] = max(self._marks[step_s], mark_s)
            tier = self.profiles[step_s]
            moved: dict[tuple[int, str, str, str], Sampled] = {}
            for ts in [ts for ts in tier if ts < self._marks[step_s]]:
                for stack, value in tier.pop(ts).items():
                    _count(moved.setdefault((ts // longer_s * longer_s, *stack[:3]), {}), stack, value)
                    folded += 1
            for (ts, *_), sampled in moved.items():
                by_name = largest({stack: samples for stack, (samples, _) in sampled.items()})
                for stack, value in sampled.items():
                    self._sample(ts, stack if stack in by_name else (*stack[:3], OTHER), value)
        return folded

    def trim(self, now_s: int) -> int:
        """Thin out and delete examples that are kept no longer; their number."""
        before = len(self.traces) + len(self.errors)
        self.reports = {key: row for key, row in self.reports.items() if row[0] >= now_s - REPORTS_KEPT_S}
        self.traces = [row for row in self.traces if row.reason not in PLAIN or row.ts >= now_s - PLAIN_KEPT_S]
        self._keep_within_bytes()
        for age_s, step_s in THINNING:
            until_s = (now_s - age_s) // step_s * step_s
            samples: dict[object, _Trace] = {}
            errors: dict[object, _Error] = {}
            for place, row in enumerate(sorted(self.traces, key=lambda row: row.ts)):
                root = (row.service, row.tenant, row.kind, row.name, row.outcome, row.ts // step_s)
                group = root if row.reason == SAMPLE and row.ts < until_s else place
                weight = row.weight + (samples[group].weight if group in samples else 0)
                samples[group] = row._replace(weight=weight)
            for place, error in enumerate(sorted(self.errors, key=lambda error: error.ts)):
                failed = (error.service, error.route, error.fingerprint, error.ts // step_s)
                errors[failed if error.ts < until_s else place] = error
            self.traces, self.errors = list(samples.values()), list(errors.values())
        return before - len(self.traces) - len(self.errors)

    def _keep_within_bytes(self) -> None:
        beyond = sum(len(row.body) for row in self.traces) - self._trace_bytes
        if beyond > 0:
            self.traces.sort(key=lambda row: (row.reason not in PLAIN, row.ts))
            while beyond > 0:
                beyond -= len(self.traces.pop(0).body)

    def cut(self, before_s: int, *, dry_run: bool) -> int:
        """Delete what is older; the number of rows."""
        traces = [row for row in self.traces if row.ts >= before_s]
        errors = [row for row in self.errors if row.ts >= before_s]
        old = [(tier, ts) for step_s, tier in self.profiles.items() for ts in tier if ts + step_s <= before_s]
        gone = len(self.traces) - len(traces) + len(self.errors) - len(errors)
        gone += sum(len(tier[ts]) for tier, ts in old)
        reports = {key: row for key, row in self.reports.items() if row[0] >= before_s}
        gone += len(self.reports) - len(reports)
        if not dry_run:
            self.reports = reports
            self.traces, self.errors = traces, errors
            for tier, ts in old:
                del tier[ts]
        return gone

    def sizes(self) -> list[tuple[str, int, dict[int, int]]]:
        """The name of each table, its step, seconds, and how many rows it has of each moment."""
        tables: list[tuple[str, int, dict[int, int]]] = [
            ("trace", 0, Counter(row.ts for row in self.traces)),
            ("error", 0, Counter(row.ts for row in self.errors)),
            ("report", 0, Counter(row[0] for row in self.reports.values())),
        ]
        for step_s, tier in self.profiles.items():
            tables.append((f"profile_{step_s}", step_s, {ts: len(sampled) for ts, sampled in tier.items()}))
        return tables

    def used_bytes(self) -> int:
        """About what it takes."""
        sampled = [some for tier in self.profiles.values() for some in tier.values()]
        stacks = {stack[3] for some in sampled for stack in some}
        rows = len(self.traces) + len(self.errors) + sum(map(len, sampled))
        return ROW_BYTES * rows + sum(map(len, stacks)) + sum(len(row.body) for row in self.traces)


def _rows(columns: Traces | Errors) -> Iterable[tuple[Any, ...]]:
    return zip(*columns.columns(), strict=True)


def _matches(row: _Trace, match: TraceMatch) -> bool:
    return (
        match.service in {None, row.service}
        and match.name in {None, row.name}
        and match.reason in {None, row.reason}
        and match.outcome in {None, row.outcome}
        and (match.min_ns is None or row.duration_ns >= match.min_ns)
        and (match.max_ns is None or row.duration_ns < match.max_ns)
    )


def _traces(rows: Iterable[_Trace]) -> Traces:
    out = Traces()
    for row in rows:
        for field, value in zip(row._fields, row, strict=True):
            getattr(out, field).append(value)
    return out


def _count(sampled: Sampled, stack: Stack, value: tuple[int, int]) -> None:
    have = sampled.get(stack, (0, 0))
    sampled[stack] = (have[0] + value[0], have[1] + value[1])
