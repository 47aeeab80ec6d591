"""The requests that were kept, and one of them as a waterfall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop import analyze
from pitstop.analyze.loading import hint
from pitstop.analyze.units import duration_text
from pitstop.analyze.wave_runs import wave_runs
from pitstop.dashboard import charts, inside, waterfall, wave_chart
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import base_of, desk_of
from pitstop.dashboard.inside import TracesWanted
from pitstop.dashboard.kinds import OWN, kind_of
from pitstop.dashboard.pages.frame import Reader, Viewed, changed, frame
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import NotFoundError, SettingError, Window
from pitstop.model.series import DB
from pitstop.model.trace import REASONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.analyze import Plan, TraceTree, TreeSpan
    from pitstop.dashboard.view import View
    from pitstop.model import Store

router = APIRouter(dependencies=[Depends(page_reader)])

LONGEST_ID = 200
ROUTE_SPAN_S = 3600  # around a trace: what its route's usual duration is taken from
FEWEST_REPEATED, LEAST_S, LEAST_RATIO = 5, 0.05, 0.2  # Sentry's N+1: more than 5; 50 ms or 20 % of the request
MOST_NAMED = 3
MOST_PLANS = 5
ORDERS = ("newest", "slowest")


def traces_wanted(
    route: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    reason: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    outcome: Annotated[str | None, Query(max_length=LONGEST_NAME)] = None,
    shortest: Annotated[str | None, Query(alias="min", max_length=40, description="seconds, included")] = None,
    longest: Annotated[str | None, Query(alias="max", max_length=40, description="seconds, not included")] = None,
    by: Annotated[str, Query(max_length=20, description="newest or slowest first")] = "newest",
) -> TracesWanted:
    """Which traces the address asks for. Empty is the same as absent, so that a plain form works."""
    if reason and reason not in REASONS:
        raise SettingError(f"reason='{reason[:40]}' is none of {', '.join(REASONS)}")
    if by not in ORDERS:
        raise SettingError(f"by='{by[:40]}' is none of {', '.join(ORDERS)}")
    return TracesWanted(
        route or None, reason or None, outcome or None, _seconds(shortest, "min"), _seconds(longest, "max"),
        slowest=by == "slowest",
    )  # fmt: skip


Wanted = Annotated[TracesWanted, Depends(traces_wanted)]


@router.get("/traces")
def traces(request: Request, session: Reader, view: Viewed, wanted: Wanted) -> Response:
    """The list."""
    answers = desk_of(request).answers
    answer = answers.ask(view, ("traces", wanted), lambda store: inside.traces(store, view, wanted))
    names = answers.ask(view, ("route names",), lambda store: inside.route_names(store, view))
    values = frame(request, session, view, current="traces", title="Traces", compares=False) | {
        "rows": answer.rows,
        "bars": charts.bars(answer.histogram),
        "histogram": answer.histogram,
        "wanted": wanted,
        "reasons": REASONS,
        "outcomes": sorted({*answer.outcomes, *([wanted.outcome] if wanted.outcome else [])}),
        "names": names if wanted.route is None or wanted.route in names else [wanted.route, *names],
        "to": changed(request, view, "/traces", **parameters(wanted)),
        "csv": changed(request, view, "/api/v1/traces.csv", **parameters(wanted))(),
        "most": inside.MOST_TRACES,
        "filtered": wanted not in (TracesWanted(), TracesWanted(slowest=True)),
    }
    return page(request, "traces.html", values)


@router.get("/trace")
def trace(
    request: Request,
    session: Reader,
    view: Viewed,
    id: Annotated[str, Query(max_length=LONGEST_ID)],  # noqa: A002
) -> Response:
    """One trace as a waterfall."""
    answers = desk_of(request).answers
    values = frame(request, session, view, current="traces", title="Trace", live=False, compares=False) | {
        "trace_id": id
    }
    try:
        tree = answers.ask(view, ("trace", id), lambda store: analyze.trace_tree(store, id))
    except NotFoundError:
        return page(request, "trace_missing.html", values, status=404)
    around = Window(int(tree.started_at) - ROUTE_SPAN_S, int(tree.started_at) + ROUTE_SPAN_S)

    def usual(store: Store) -> float | None:
        return analyze.route_detail(store, around, None, tree.route).stats.p50_s

    taken = answers.ask(
        view, ("plans of all",), lambda store: analyze.plans(store, int(desk_of(request).clock.now_s()))
    )
    planned = plans_in(tree, taken)
    rows = waterfall.rows_of(tree)
    at = base_of(request)
    links = {"db": f"{at}/query{with_more(view)}statement=", "http": f"{at}/route{with_more(view)}route="}
    values |= {
        "title": f"{tree.route} took {duration_text(tree.duration_s)}",
        "tree": tree,
        "root": tree.parts[0],
        "usual_s": answers.ask(view, ("usual", id), usual),
        "statements": sum(1 for span in tree.spans if span.kind == DB),
        "shares": shares_of(tree),
        "repeated": repeated_in(tree),
        "plans": planned,
        "charts": [(run, wave_chart.lanes_of(run)) for run in wave_runs(tree)],
        "first": waterfall.first_frame(rows, tree.duration_s),
        "island": {
            "waterfall": waterfall.island(rows, tree, links) | {"plans": [one.statement for one in planned]},
            "window": view.window,
            "marks": [],
        },
        "rows": len(rows),
    }
    return page(request, "trace.html", values)


def parameters(wanted: TracesWanted) -> dict[str, str | None]:
    """What the address says of `wanted`."""
    return {
        "route": wanted.route,
        "reason": wanted.reason,
        "outcome": wanted.outcome,
        "min": None if wanted.min_s is None else str(wanted.min_s),
        "max": None if wanted.max_s is None else str(wanted.max_s),
        "by": "slowest" if wanted.slowest else None,
    }


def with_more(view: View) -> str:
    """The view's query, ready for one more parameter."""
    query = view.query()
    return f"{query}&" if query else "?"


def shares_of(tree: TraceTree) -> list[tuple[str, str, float, float]]:
    """Kind, label, seconds and share of all self time, the largest first; own code last. Nothing is left out."""
    whole = sum(tree.self_by_kind.values()) or 1.0
    found = [(name, kind_of(name).label, s, s / whole) for name, s in tree.self_by_kind.items() if s > 0]
    return sorted(found, key=lambda one: (one[0] == OWN, -one[2]))


class Repeated(NamedTuple):
    """A statement that a trace runs again and again."""

    name: str
    times: int
    spent_s: float
    line: str
    hint: str


def repeated_in(tree: TraceTree) -> list[Repeated]:
    """What this trace repeats, by the measure that is used while recording, what took most time first."""
    runs: dict[tuple[int, str], list[TreeSpan]] = {}
    for span in tree.spans:
        if span.kind == DB:
            runs.setdefault((span.parent, span.name), []).append(span)
    found = []
    for (_, name), spans in runs.items():
        spent_s = sum(span.duration_s for span in spans)
        if len(spans) > FEWEST_REPEATED and (spent_s > LEAST_S or spent_s > LEAST_RATIO * tree.duration_s):
            found.append(Repeated(name, len(spans), spent_s, spans[0].line, hint(name)))
    return sorted(found, key=lambda one: -one.spent_s)[:MOST_NAMED]


def plans_in(tree: TraceTree, taken: Mapping[str, Plan]) -> list[Plan]:
    """Plans of the statements that this trace ran, of those that took it longest first."""
    spent_s: dict[str, float] = {}
    for span in tree.spans:
        if span.kind == DB and span.name in taken:
            spent_s[span.name] = spent_s.get(span.name, 0.0) + span.duration_s
    return [taken[name] for name in sorted(spent_s, key=lambda name: -spent_s[name])[:MOST_PLANS]]


def _seconds(text: str | None, name: str) -> float | None:
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not 0 <= seconds <= 1e6:  # noqa: PLR2004  eleven days; NaN is refused, too
        raise SettingError(f"{name}='{text[:40]}' is no duration in seconds, 0 … 1000000")
    return seconds
