"""Rows of what is kept: a request with everything below it, and the failures that were seen."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pitstop.model.columns import Errors, Traces
from pitstop.model.trace import Span, encode_spans
from pitstop.model.traceparent import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.record import ChildFields, Fields
    from pitstop.model.traceparent import Remote
    from pitstop.rollup.gather import Whole

MOST_ERRORS = 1000  # fingerprints and routes a minute; more are counted in their series all the same


class Kept:
    """Traces and errors until `take`. `most_spans` of a trace are written. For one thread."""

    def __init__(self, service: str, worker: str, most_spans: int) -> None:
        self._service = service
        self._worker = worker
        self._most_spans = most_spans
        self._traces = Traces()
        self._errors = Errors()
        self._minute = 0
        self._seen: set[tuple[str, str]] = set()  # fingerprint and route, in this minute
        self._told: dict[int, str] = {}  # trace id by record, of those whose failure got a row

    def take(self) -> tuple[Traces, Errors]:
        """What was kept since the last call."""
        taken = self._traces, self._errors
        self._traces, self._errors = Traces(), Errors()
        return taken

    def has_error(self, record: Fields) -> bool:
        """Whether the failure of `record` got a row of its own in this round."""
        return id(record) in self._told

    def errors(self, failures: Sequence[Fields], offset_ns: int) -> None:
        """A row for each fingerprint and route that was not seen in this minute."""
        self._told = {}
        for record in failures:
            failure, route = record[12], record[2]
            assert failure is not None
            ts = (record[6] + offset_ns) // 1_000_000_000
            if ts // 60 != self._minute:
                self._minute = ts // 60
                self._seen.clear()
            key = (failure.fingerprint, route)
            if key in self._seen or len(self._seen) >= MOST_ERRORS:
                continue
            self._seen.add(key)
            trace_id = self._told[id(record)] = _ids(record)[0]
            errors = self._errors
            errors.ts.append(ts)
            errors.service.append(self._service)
            errors.route.append(route)
            errors.fingerprint.append(failure.fingerprint)
            errors.type.append(failure.type)
            errors.message.append(failure.message)
            errors.line.append(failure.line)
            errors.stack.append(failure.stack)
            errors.trace_id.append(trace_id)

    def trace(self, record: Fields, reason: str, weight: int, whole: Whole | None, offset_ns: int) -> None:
        """Keep `record`, which stands for `weight` of its like; `whole` has what it handed over before it ended."""
        tenant, kind, name, _, outcome, start_ns, end_ns, nbytes, _, children, _, _, failure = record
        trace_id, remote = _ids(record)
        below, lost = (children or (), 0) if whole is None else whole
        spans = spans_of(below, start_ns, self._most_spans)
        traces = self._traces
        traces.ts.append((start_ns + offset_ns) // 1_000_000_000)
        traces.start_ns.append(start_ns + offset_ns)
        traces.duration_ns.append(end_ns - start_ns)
        traces.trace_id.append(self._told.get(id(record), trace_id))
        traces.span_id.append(f"{start_ns:016x}")
        traces.parent_id.append("" if remote is None else remote.span_id)
        traces.service.append(self._service)
        traces.worker.append(self._worker)
        traces.tenant.append(tenant)
        traces.kind.append(kind)
        traces.name.append(name)
        traces.outcome.append(outcome)
        traces.nbytes.append(nbytes)
        traces.reason.append(reason)
        traces.weight.append(weight)
        traces.fingerprint.append("" if failure is None else failure.fingerprint)
        traces.spans.append(len(spans))
        traces.left_out.append(len(below) + lost - len(spans))
        traces.body.append(encode_spans(spans))


def _ids(record: Fields) -> tuple[str, Remote | None]:
    """The trace that `record` belongs to, a new one where nothing says it, and the span that called."""
    known, header = record[11] or (None, None)
    remote = parse(header)
    return known or (os.urandom(16).hex() if remote is None else remote.trace_id), remote


def spans_of(children: Sequence[ChildFields], root_ns: int, most: int) -> list[Span]:
    """`children` of the root that started at `root_ns` as spans, by their start; the `most` that took longest.

    What is around others takes longer than they do, so a span's parent is among them. One whose parent is not, because
    it goes on after the root, is shown below the root.
    """
    if len(children) > most:
        children = sorted(children, key=_duration_ns, reverse=True)[:most]
    ids = {child[3] for child in children}
    used = {root_ns}
    spans = []
    for kind, name, outcome, start_ns, end_ns, nbytes, attrs, parent_ns in sorted(children, key=_start_ns):
        span_id = start_ns
        while span_id in used:  # filed with the same start, as a wait and what waited, maybe the root itself
            span_id += 1
        used.add(span_id)
        parent_id = parent_ns if parent_ns in ids and parent_ns not in (root_ns, start_ns) else 0
        spans.append(
            Span(
                span_id, parent_id, kind, name, outcome, start_ns - root_ns, end_ns - start_ns, nbytes,
                None if attrs is None else dict(attrs),
            )
        )  # fmt: skip
    return spans


def _duration_ns(child: ChildFields) -> int:
    return child[4] - child[3]


def _start_ns(child: ChildFields) -> tuple[int, int]:
    return child[3], -child[4]
