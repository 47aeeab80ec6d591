"""Which statements take the database's time? With who runs them, and where in the code."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.leaves import LeafRow, RouteCalls, leaves, leaves_of
from pitstop.analyze.trend import Trend, automatic_step_s, trend_of
from pitstop.model import Match
from pitstop.model.series import DB
from pitstop.model.trace import TraceMatch, decode_spans

if TYPE_CHECKING:
    from pitstop.model import Store, Window

_TRACES_READ = 20  # of each of the routes that run it most: code lines repeat soon, and a trace takes 1 ms to decode
_ROUTES_READ = 3


class QueryRow(NamedTuple):
    """One normalized statement over one window. Durations in seconds; `rows` returned or touched by all calls.

    `time_ratio` is its share of the time of all statements (of the route, where one is asked for); `routes` are who
    runs it, the one that spends most time on it first.
    """

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
    rows: int
    rows_per_call: float
    time_ratio: float
    routes: tuple[RouteCalls, ...]


class CodeLine(NamedTuple):
    """A line of the host's code that ran a statement `calls` times in the kept traces of `route`."""

    line: str
    route: str
    calls: int


class QueryDetail(NamedTuple):
    """One statement. `row` None: it did not run in the window. `trend` counts its calls where it says requests."""

    statement: str
    window: Window
    row: QueryRow | None
    trend: Trend
    lines: tuple[CodeLine, ...]


def queries(
    store: Store, window: Window, service: str | None = None, route: str | None = None, *, top: int | None = None
) -> list[QueryRow]:
    """Every statement that ran in `window` (below `route`), or the `top` ones, the one that took most time first.

    Percentiles are worked out for what is returned only: with thousands of statements, `top` is much quicker.
    """
    return [_row(leaf) for leaf in leaves(store, window, DB, service, route=route, top=top)]


def query(store: Store, window: Window, service: str | None, statement: str, step_s: int | None = None) -> QueryDetail:
    """The figures of `statement`, its course, who runs it, and the code lines seen in kept traces."""
    step = step_s or automatic_step_s(window)
    found = store.rollups(window, Match(service=service, kind=DB, name=statement), step_s=step)
    rows = [_row(leaf) for leaf in leaves_of(found, window.duration_s)]
    row = rows[0] if rows else None
    return QueryDetail(
        statement=statement,
        window=window,
        row=row,
        trend=trend_of(found, window, step),
        lines=_lines(store, window, service, statement, row.routes if row else ()),
    )


def _row(leaf: LeafRow) -> QueryRow:
    return QueryRow(
        statement=leaf.name,
        calls=leaf.calls,
        errors=leaf.errors,
        rate_per_s=leaf.rate_per_s,
        total_s=leaf.total_s,
        mean_s=leaf.mean_s,
        p50_s=leaf.p50_s,
        p95_s=leaf.p95_s,
        p99_s=leaf.p99_s,
        max_s=leaf.max_s,
        rows=leaf.amount,
        rows_per_call=leaf.amount / leaf.calls,
        time_ratio=leaf.time_ratio,
        routes=leaf.routes,
    )


def _lines(
    store: Store, window: Window, service: str | None, statement: str, routes: tuple[RouteCalls, ...]
) -> tuple[CodeLine, ...]:
    calls: dict[tuple[str, str], int] = {}
    for route in routes[:_ROUTES_READ]:
        match = TraceMatch(service=service, name=route.route)
        kept = store.traces(window, match, limit=_TRACES_READ, body=True)
        for body in kept.body:
            for span in decode_spans(body) if body else ():
                if span.kind == DB and span.name == statement and span.attrs and "line" in span.attrs:
                    key = (str(span.attrs["line"]), route.route)
                    calls[key] = calls.get(key, 0) + 1
    rows = [CodeLine(line, route, number) for (line, route), number in calls.items()]
    return tuple(sorted(rows, key=lambda row: (-row.calls, row.line)))
