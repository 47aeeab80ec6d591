"""The same answers as CSV, for a spreadsheet. Times are ISO 8601, UTC; empty is "no data"."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from pitstop import analyze
from pitstop.analyze.breakdown import PART_NAMES
from pitstop.dashboard.access import api_reader
from pitstop.dashboard.api.shapes import RouteOut
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Viewed  # noqa: TC001  FastAPI reads the annotations
from pitstop.dashboard.view import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

router = APIRouter(dependencies=[Depends(api_reader)], default_response_class=Response)
RouteName = Annotated[str | None, Query(max_length=LONGEST_NAME)]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a cell that starts so is run by spreadsheets: OWASP, CSV injection


@router.get("/routes.csv")
def routes(request: Request, view: Viewed) -> Response:
    """Every route."""
    names = [name for name in RouteOut.model_fields if name != "breakdown"]
    parts = [f"{name}_s" for name in PART_NAMES]
    rows = [RouteOut.of(row).model_dump() for row in desk_of(request).answers.routes(view).rows]
    cells = ([*(row[name] for name in names), *((row["breakdown"] or {}).get(name) for name in parts)] for row in rows)
    return csv_of("routes", [*names, *parts], cells)


@router.get("/trend.csv")
def trend(request: Request, view: Viewed, route: RouteName = None) -> Response:
    """The course of one route, or of all."""
    found = analyze.trend(desk_of(request).store, view.window, view.service, route)
    names = ("requests", "errors", "rate_per_s", "mean_s", "p50_s", "p95_s", "p99_s", "max_s")
    rows = ([iso(ts), *(getattr(found, name)[i] for name in names)] for i, ts in enumerate(found.ts))
    return csv_of("trend", ["time", *names], rows)


@router.get("/heatmap.csv")
def heatmap(request: Request, view: Viewed, route: RouteName = None) -> Response:
    """How many requests took how long; a row for each cell that is not empty."""
    found = analyze.heatmap(desk_of(request).store, view.window, view.service, route)
    rows = (
        [iso(found.ts[column]), found.lower_s[row], found.upper_s[row], count]
        for column, counts in enumerate(found.counts)
        for row, count in enumerate(counts)
        if count
    )
    return csv_of("heatmap", ["time", "longer_than_s", "up_to_s", "requests"], rows)


@router.get("/runtime.csv")
def runtime(request: Request, view: Viewed) -> Response:
    """Every gauge of every worker."""
    found = desk_of(request).answers.runtime(view)
    rows = (
        [iso(ts), gauge.worker, gauge.name, value]
        for gauge in found.gauges
        for ts, value in zip(gauge.ts, gauge.values, strict=True)
    )
    return csv_of("runtime", ["time", "worker", "gauge", "value"], rows)


def csv_of(name: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """The file `pitstop-<name>.csv`."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    headers = {"content-disposition": f'attachment; filename="pitstop-{name}.csv"'}
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def iso(ts: float) -> str:
    """A moment as spreadsheets take it."""
    return datetime.fromtimestamp(ts, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
