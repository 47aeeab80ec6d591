"""The JSON of what happens inside requests: queries, traces, errors, profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import (
        Breakdown,
        ErrorRow,
        FlameGraph,
        FlameNode,
        FunctionRow,
        NPlusOneRow,
        ProfileDiff,
        QueryRow,
        TracePart,
        TraceRow,
        TraceTree,
        TreeSpan,
    )

Json = dict[str, Any]


def breakdown(seen: Breakdown | None) -> dict[str, float | None] | None:
    """Seconds per request of every part; null where it was not asked for."""
    return None if seen is None else seen.seconds()


def query(row: QueryRow) -> Json:
    """One statement."""
    return {
        "statement": row.statement,
        "calls": row.calls,
        "errors": row.errors,
        "rate_per_s": row.rate_per_s,
        "total_s": row.total_s,
        "mean_s": row.mean_s,
        "p50_s": row.p50_s,
        "p95_s": row.p95_s,
        "p99_s": row.p99_s,
        "max_s": row.max_s,
        "rows": row.rows,
        "rows_per_call": row.rows_per_call,
        "time_ratio": row.time_ratio,
        "routes": [one.route for one in row.routes],
        "by_route": [one._asdict() for one in row.routes],
    }


def n_plus_one(row: NPlusOneRow) -> Json:
    """One repeated statement."""
    return {
        "route": row.route,
        "statement": row.statement,
        "count": row.count,
        "requests": row.requests,
        "requests_ratio": row.requests_ratio,
        "repetitions": row.repetitions,
        "total_s": row.total_s,
        "per_request_s": row.per_request_s,
        "line": row.line or None,
        "hint": row.hint,
    }


def trace(row: TraceRow) -> Json:
    """One kept request."""
    return {
        "trace_id": row.trace_id,
        "service": row.service,
        "kind": row.kind,
        "route": row.route,
        "started_at": row.started_at,
        "duration_s": row.duration_s,
        "outcome": row.outcome,
        "reason": row.reason,
        "weight": row.weight,
        "spans": row.spans,
        "left_out": row.left_out,
        "bytes": row.nbytes,
        "fingerprint": row.fingerprint or None,
        "worker": row.worker,
    }


def trace_tree(tree: TraceTree) -> Json:
    """One trace with all its spans, in the order of a waterfall."""
    return {
        "trace_id": tree.trace_id,
        "started_at": tree.started_at,
        "duration_s": tree.duration_s,
        "route": tree.route,
        "outcome": tree.outcome,
        "left_out": tree.left_out,
        "self_s": tree.self_by_kind,
        "parts": [_part(part) for part in tree.parts],
        "spans": [_span(span) for span in tree.spans],
    }


def _part(part: TracePart) -> Json:
    return {
        "place": part.place,
        "service": part.service,
        "worker": part.worker,
        "kind": part.kind,
        "route": part.route,
        "outcome": part.outcome,
        "reason": part.reason,
        "weight": part.weight,
        "spans": part.spans,
        "left_out": part.left_out,
        "fingerprint": part.fingerprint or None,
    }


def _span(span: TreeSpan) -> Json:
    return {
        "place": span.place,
        "parent": span.parent if span.parent >= 0 else None,
        "depth": span.depth,
        "span_id": span.span_id,
        "service": span.service,
        "kind": span.kind,
        "name": span.name,
        "outcome": span.outcome,
        "start_s": span.start_s,
        "duration_s": span.duration_s,
        "self_s": span.self_s,
        "critical_s": span.critical_s,
        "rows": span.nbytes if span.kind == "db" else None,
        "line": span.line or None,
        "attrs": dict(span.attrs),
        "gaps": [gap._asdict() for gap in span.gaps],
        "shifted_s": span.shifted_s,
    }


def error(row: ErrorRow) -> Json:
    """One cause in one route."""
    return {
        "type": row.type,
        "service": row.service,
        "route": row.route,
        "line": row.line or None,
        "count": row.count,
        "message": row.message or None,
        "first_s": row.first_s,
        "last_s": row.last_s,
        "is_new": row.is_new,
        "fingerprint": row.fingerprint,
        "stack": row.stack.splitlines(),
        "trace_id": row.trace_id or None,
    }


def profile(graph: FlameGraph, functions: Sequence[FunctionRow], compared: ProfileDiff | None) -> Json:
    """The flame graph, the functions, and what changed where two windows are compared."""
    return {
        "mode": graph.mode or None,
        "samples": graph.samples,
        "total_s": graph.total_s,
        "functions": [row._asdict() for row in functions],
        "tree": _nested(graph.root),
        "compared": None
        if compared is None
        else {
            "before_total_s": compared.before_total_s,
            "functions": [delta._asdict() for delta in compared.functions],
        },
    }


def _nested(root: FlameNode) -> Json:
    """Without recursion: stacks may be deeper than Python's."""
    made: Json = {}
    todo = [(root, made)]
    while todo:
        node, out = todo.pop()
        children: list[Json] = [{} for _ in node.children]
        out.update(name=node.name, self_s=node.self_s, total_s=node.total_s, samples=node.samples, children=children)
        todo += zip(node.children, children, strict=True)
    return made
