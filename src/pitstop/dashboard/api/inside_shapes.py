"""The shapes of what happens inside requests; the same names as the commands' ``--json`` (docs/json.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from pitstop.model import Window

if TYPE_CHECKING:
    from pitstop.analyze import BreakdownTrend, ErrorRow, NPlusOneRow, QueryRow, TraceRow, TraceTree, TreeSpan

_NONE = {"line", "fingerprint", "message", "trace_id"}  # "" where there is none; null in JSON


def _fields(row: Any, shape: type[BaseModel], **more: object) -> dict[str, Any]:
    """What `shape` takes from `row` by name."""
    found = {name: getattr(row, name) for name in shape.model_fields if name not in more and hasattr(row, name)}
    return {name: None if name in _NONE and not value else value for name, value in found.items()} | more


class RouteCallsOut(BaseModel):
    """How often a route ran something, and how long in all; ``""`` is outside of any request."""

    route: str
    calls: int
    total_s: float


class QueryOut(BaseModel):
    """One normalized statement."""

    statement: str
    calls: int
    errors: int
    rate_per_s: float | None
    total_s: float
    mean_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float
    rows: int = Field(description="returned or touched by all calls")
    rows_per_call: float
    time_ratio: float = Field(description="share of the time of all statements")
    routes: list[str] = Field(description="who runs it, the one that spends most time on it first")
    by_route: list[RouteCallsOut]

    @classmethod
    def of(cls, row: QueryRow) -> QueryOut:
        """The row as the API writes it."""
        by_route = [RouteCallsOut(**one._asdict()) for one in row.routes]
        return cls(**_fields(row, cls, routes=[one.route for one in row.routes], by_route=by_route))


class NPlusOneOut(BaseModel):
    """A statement that requests of a route repeat; `count` times in the mean one."""

    route: str
    statement: str
    count: int
    requests: int
    requests_ratio: float | None
    repetitions: int
    total_s: float
    per_request_s: float
    line: str | None
    hint: str

    @classmethod
    def of(cls, row: NPlusOneRow) -> NPlusOneOut:
        """The row as the API writes it."""
        return cls(**_fields(row, cls))


class QueriesOut(BaseModel):
    """Statements of one window; `total` counts them before `limit`."""

    window: Window
    total: int
    queries: list[QueryOut]
    n_plus_one: list[NPlusOneOut]


class CodeLineOut(BaseModel):
    """A code line that ran a statement so often in the kept traces of a route."""

    line: str
    route: str
    calls: int


class QueryDetailOut(BaseModel):
    """One statement, its course and who runs it."""

    window: Window
    query: QueryOut
    n_plus_one: list[NPlusOneOut]
    lines: list[CodeLineOut]
    step_s: int
    ts: list[int]
    calls: list[int | None]
    mean_s: list[float | None]
    p95_s: list[float | None]


class TraceOut(BaseModel):
    """One kept request. `weight` is how many of its like it stands for."""

    trace_id: str
    service: str
    kind: str
    route: str
    started_at: float
    duration_s: float
    outcome: str
    reason: str
    weight: int
    spans: int
    left_out: int
    bytes: int
    fingerprint: str | None
    worker: str

    @classmethod
    def of(cls, row: TraceRow) -> TraceOut:
        """The row as the API writes it."""
        return cls(**_fields(row, cls, bytes=row.nbytes))


class HistogramOut(BaseModel):
    """Kept traces by duration: bar i is from `edges_s[i]` to `edges_s[i + 1]`."""

    edges_s: list[float]
    counts: list[int]
    weights: list[int]
    complete: bool


class TracesOut(BaseModel):
    """Kept requests and how long they took; the histogram leaves `min` and `max` out."""

    window: Window
    traces: list[TraceOut]
    histogram: HistogramOut


class GapOut(BaseModel):
    """Time of a span that nothing below it has."""

    start_s: float
    duration_s: float
    name: str


class SpanOut(BaseModel):
    """One span in the order of the waterfall; `parent` is the place of its parent."""

    place: int
    parent: int | None
    depth: int
    span_id: str
    service: str
    kind: str
    name: str
    outcome: str
    start_s: float
    duration_s: float
    self_s: float
    critical_s: float
    rows: int | None
    line: str | None
    attrs: dict[str, Any]
    gaps: list[GapOut]
    shifted_s: float

    @classmethod
    def of(cls, span: TreeSpan) -> SpanOut:
        """The span as the API writes it."""
        return cls(
            **_fields(
                span,
                cls,
                parent=span.parent if span.parent >= 0 else None,
                rows=span.nbytes if span.kind == "db" else None,
                attrs=dict(span.attrs),
                gaps=[GapOut(**gap._asdict()) for gap in span.gaps],
            )
        )


class PartOut(BaseModel):
    """One service's or task's part of a trace; `place` of its root among the spans."""

    place: int
    service: str
    worker: str
    kind: str
    route: str
    outcome: str
    reason: str
    weight: int
    spans: int
    left_out: int
    fingerprint: str | None


class TraceTreeOut(BaseModel):
    """One trace with all that is kept of it. `self_s` is self time by kind."""

    trace_id: str
    started_at: float
    duration_s: float
    route: str
    outcome: str
    left_out: int
    self_s: dict[str, float]
    parts: list[PartOut]
    spans: list[SpanOut]

    @classmethod
    def of(cls, tree: TraceTree) -> TraceTreeOut:
        """The trace as the API writes it."""
        parts = [PartOut(**_fields(part, PartOut)) for part in tree.parts]
        return cls(
            **_fields(tree, cls, self_s=tree.self_by_kind, parts=parts, spans=[SpanOut.of(span) for span in tree.spans])
        )


class ErrorOut(BaseModel):
    """One cause in one route; `count` is exact."""

    type: str
    service: str
    route: str
    line: str | None
    count: int
    message: str | None
    first_s: int
    last_s: int
    is_new: bool
    fingerprint: str
    stack: list[str]
    trace_id: str | None

    @classmethod
    def of(cls, row: ErrorRow) -> ErrorOut:
        """The row as the API writes it."""
        return cls(**_fields(row, cls, stack=row.stack.splitlines()))


class ErrorsOut(BaseModel):
    """Causes of one window; `total` counts them before `limit`."""

    window: Window
    total: int
    errors: list[ErrorOut]


class BreakdownOut(BaseModel):
    """Where the time of a route's requests went, seconds a request, and over time. Null: no requests."""

    window: Window
    route: str | None
    breakdown: dict[str, float | None]
    step_s: int
    ts: list[int]
    mean_s: list[float | None]
    parts: dict[str, list[float | None]]

    @classmethod
    def of(cls, seconds: dict[str, float | None], course: BreakdownTrend) -> BreakdownOut:
        """Both answers in one."""
        return cls(
            window=course.window,
            route=course.route,
            breakdown=seconds,
            step_s=course.step_s,
            ts=list(course.ts),
            mean_s=list(course.mean_s),
            parts={f"{name}_s": list(values) for name, values in course.parts.items()},
        )


class CallOut(BaseModel):
    """One outgoing host, cache or template. `hits`, `misses` and `hit_ratio` are of caches."""

    name: str
    calls: int
    errors: int
    total_s: float
    mean_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float
    time_ratio: float
    hits: int | None = None
    misses: int | None = None
    hit_ratio: float | None = None
    by_route: list[RouteCallsOut]

    @classmethod
    def of(cls, row: object) -> CallOut:
        """The row as the API writes it."""
        routes = [RouteCallsOut(**one._asdict()) for one in getattr(row, "routes", ())]
        return cls(**_fields(row, cls, by_route=routes))


class CallsOut(BaseModel):
    """What requests wait for besides the database."""

    window: Window
    http_client: list[CallOut]
    cache: list[CallOut]
    template: list[CallOut]


class FunctionOut(BaseModel):
    """One function over all stacks; recursion counts once."""

    name: str
    self_s: float
    total_s: float
    self_ratio: float
    total_ratio: float
    samples: int


class FunctionDeltaOut(BaseModel):
    """A function's own share now and before."""

    name: str
    self_ratio: float
    before_self_ratio: float
    delta_ratio: float


class ComparedOut(BaseModel):
    """What changed since the span compared with."""

    before_total_s: float
    functions: list[FunctionDeltaOut]


class ProfileOut(BaseModel):
    """What was running: functions by their own time, and the flame graph as columns.

    `flame`: `depth`, `name` (place in `names`), `value` and `self` in µs of every frame, a frame before what it called.
    """

    window: Window
    mode: str
    route: str | None
    samples: int
    total_s: float
    functions: list[FunctionOut]
    flame: dict[str, Any]
    compared: ComparedOut | None
