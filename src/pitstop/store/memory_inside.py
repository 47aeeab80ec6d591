"""What the memory store keeps of the inside of requests: traces, errors, profiles. Used under the store's lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.model.columns import Errors, Profiles, Traces
from pitstop.store.stacks import OF_ERRORS, OF_PROFILES, bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.model.columns import Batch
    from pitstop.model.trace import TraceMatch
    from pitstop.model.window import Window


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
    """Traces and errors as rows in the order they came, stacks by interval."""

    def __init__(self) -> None:
        self.traces: list[_Trace] = []
        self.errors: list[_Error] = []
        self.profiles: dict[int, Sampled] = {}

    def add(self, batch: Batch) -> None:
        """Everything of `batch`."""
        for row in _rows(batch.traces):
            trace = _Trace(*row)
            self.traces.append(trace if trace.worker else trace._replace(worker=batch.worker))
        for row in _rows(batch.errors):
            error = _Error(*row)
            self.errors.append(error._replace(stack=bounded(error.stack, OF_ERRORS)))
        p = batch.profiles
        columns = (p.ts, p.service, p.mode, p.route, p.stack, p.samples, p.weight_ns)
        for ts, service, mode, route, stack, samples, weight_ns in zip(*columns, strict=True):
            _count(
                self.profiles, ts // 60 * 60, (service, mode, route, bounded(stack, OF_PROFILES)), samples, weight_ns
            )

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

    def profiles_of(self, window: Window, service: str | None, route: str | None, mode: str | None) -> Profiles:
        """Stacks added up."""
        total: dict[int, Sampled] = {}
        for ts, sampled in self.profiles.items():
            if ts < window.end_s and ts + 60 > window.start_s:
                for stack, (samples, weight_ns) in sampled.items():
                    if service in {None, stack[0]} and mode in {None, stack[1]} and route in {None, stack[2]}:
                        _count(total, window.start_s, stack, samples, weight_ns)
        out = Profiles()
        for ts, sampled in total.items():
            for (of, in_mode, of_route, text), (samples, weight_ns) in sampled.items():
                out.ts.append(ts)
                out.service.append(of)
                out.mode.append(in_mode)
                out.route.append(of_route)
                out.stack.append(text)
                out.samples.append(samples)
                out.weight_ns.append(weight_ns)
        return out

    def services(self) -> set[str]:
        """Every service that is still kept."""
        stacks = {stack[0] for sampled in self.profiles.values() for stack in sampled}
        return stacks | {row.service for row in self.traces} | {row.service for row in self.errors}

    def cut(self, before_s: int, *, dry_run: bool) -> int:
        """Delete what is older; the number of rows."""
        traces = [row for row in self.traces if row.ts >= before_s]
        errors = [row for row in self.errors if row.ts >= before_s]
        old = [ts for ts in self.profiles if ts + 60 <= before_s]
        gone = len(self.traces) - len(traces) + len(self.errors) - len(errors)
        gone += sum(len(self.profiles[ts]) for ts in old)
        if not dry_run:
            self.traces, self.errors = traces, errors
            for ts in old:
                del self.profiles[ts]
        return gone


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


def _count(profiles: dict[int, Sampled], ts: int, stack: Stack, samples: int, weight_ns: int) -> None:
    sampled = profiles.setdefault(ts, {})
    have = sampled.get(stack, (0, 0))
    sampled[stack] = (have[0] + samples, have[1] + weight_ns)
