"""Which caches pay off, what they hold and for how long; and one region from all sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze import Gauge
from pitstop.analyze.regions import HIGH_RATIO, TARGET_RATIO
from pitstop.analyze.units import cut_middle
from pitstop.dashboard import charts, tuning
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.runtime import WORKER_COLORS
from pitstop.dashboard.render import page
from pitstop.dashboard.view import LONGEST_NAME
from pitstop.model import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import RegionCourse

router = APIRouter(dependencies=[Depends(page_reader)])

LEGEND_WIDTH = 20  # characters of a region's name
OUTCOMES = (("hits", "cache"), ("stale", "wait"), ("misses", "http-client"), ("errors", "bad"))
"""What lookups come to, and its colour."""


@router.get("/caches")
def caches(
    request: Request, session: Reader, view: Viewed, q: Annotated[str, Query(max_length=LONGEST_NAME)] = ""
) -> Response:
    """The table of all regions, and of what goes over a wire."""
    desk = desk_of(request)
    answer = desk.answers.ask(view, ("caches",), lambda store: tuning.caches(store, view))
    held = [row.held for row in answer.rows if row.held]
    drawn = {
        "ratio": ratios(answer.courses),
        "lookups": lookups(answer.course),
    }
    values = frame(request, session, view, current="caches", title="Caches", compares=False) | {
        "answer": answer,
        "held": held,
        "entries": sum(one.entries for one in held),
        "nbytes": sum(one.nbytes for one in held),
        "open": [row.region for row in answer.rows if row.held and row.held.breaker in {"open", "half-open"}],
        "charts": drawn,
        "marks": charts.marks(desk.answers.events(view)),
        "search": q,
        "high_ratio": HIGH_RATIO,
        "target_ratio": TARGET_RATIO,
    }
    return page(request, "caches.html", values)


@router.get("/cache")
def cache(
    request: Request, session: Reader, view: Viewed, name: Annotated[str, Query(max_length=LONGEST_NAME)]
) -> Response:
    """One region."""
    desk = desk_of(request)
    values = frame(request, session, view, current="caches", title=name) | {"region": name}
    try:
        answer = desk.answers.ask(view, ("cache", name), lambda store: tuning.region(store, view, name))
    except NotFoundError:
        return page(request, "cache_missing.html", values, status=404)
    values |= {
        "row": answer.row,
        "one": answer.row.held,
        "was": answer.base,
        "charts": {"ratio": ratios([("hit ratio", answer.course)]), "lookups": lookups(answer.course)},
        "marks": charts.marks(desk.answers.events(view)),
    }
    return page(request, "cache.html", values)


def ratios(courses: Sequence[tuple[str, RegionCourse]]) -> dict[str, Any]:
    """The hit ratio of each region over time."""
    lines = [(cut_middle(name, LEGEND_WIDTH), gauge(name, course, course.hit_ratio)) for name, course in courses]
    step_s = courses[0][1].step_s if courses else 1
    return charts.gauges([(name, one) for name, one in lines if one.ts], "ratio", WORKER_COLORS, step_s) | {"most": 1}


def lookups(course: RegionCourse) -> dict[str, Any]:
    """Lookups a second by what they came to; what never happened is left out."""
    columns = {name: getattr(course, name) for name, _ in OUTCOMES}
    shown = [(name, color) for name, color in OUTCOMES if name == "hits" or any(columns[name])]
    lines = []
    for name, _ in shown:
        per_s = [None if value is None else value / course.step_s for value in columns[name]]
        lines.append((name, gauge(name, course, per_s)))
    lines = [(name, one) for name, one in lines if one.ts]
    return charts.gauges(lines, "count", tuple(color for _, color in shown), course.step_s)


def gauge(name: str, course: RegionCourse, values: Sequence[float | None]) -> Gauge:
    """The steps that have a value, as a line."""
    seen = [(ts, value) for ts, value in zip(course.ts, values, strict=True) if value is not None]
    return Gauge(name, "", tuple(ts for ts, _ in seen), tuple(value for _, value in seen))
