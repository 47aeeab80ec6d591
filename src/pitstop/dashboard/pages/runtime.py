"""How the processes are doing: memory, CPU, garbage collection, event loop, and what recording itself costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze.runtime import (
    CPU_RATIO,
    DROPPED,
    FLUSH_S,
    GC_PAUSE_MAX_S,
    GC_PAUSE_S,
    LOOP_LAG_S,
    OPEN_FILES,
    PEAK_BYTES,
    REQUEST_COST_S,
    RSS_BYTES,
    THREADS,
)
from pitstop.dashboard import charts
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.render import page

if TYPE_CHECKING:
    from pitstop.analyze import Gauge, Runtime

router = APIRouter(dependencies=[Depends(page_reader)])

WORKER_COLORS = ("p95", "http-client", "cache", "template", "db", "wait")
MOST_LINES = 12  # in one chart; more cannot be told apart, the table has them all


class _Chart(NamedTuple):
    key: str
    title: str
    note: str
    unit: str
    gauges: tuple[tuple[str, str], ...]  # name, and what to call it beside its worker


_CHARTS = (
    _Chart("memory", "How much memory do they hold?", "resident", "bytes", ((RSS_BYTES, ""),)),
    _Chart("cpu", "How busy are they?", "of one core", "ratio", ((CPU_RATIO, ""),)),
    _Chart("lag", "Does anything block the event loop?", "longest lag", "s", ((LOOP_LAG_S, ""),)),
    _Chart("gc", "How long does garbage collection stop them?", "longest pause", "s", ((GC_PAUSE_MAX_S, ""),)),
    _Chart("threads", "Threads and files", "open", "count", ((THREADS, "threads"), (OPEN_FILES, "files"))),
    _Chart("cost", "What does recording cost?", "a request", "s", ((REQUEST_COST_S, ""),)),
)

_COLUMNS = (
    (RSS_BYTES, "Memory", "bytes"),
    (PEAK_BYTES, "Peak", "bytes"),
    (CPU_RATIO, "CPU", "ratio"),
    (GC_PAUSE_MAX_S, "GC pause", "s"),
    (LOOP_LAG_S, "Loop lag", "s"),
    (THREADS, "Threads", "count"),
    (OPEN_FILES, "Files", "count"),
    (REQUEST_COST_S, "Own cost", "s"),
    (FLUSH_S, "Flush", "s"),
    (DROPPED, "Dropped", "count"),
)
_KNOWN = {name for chart in _CHARTS for name, _ in chart.gauges} | {name for name, _, _ in _COLUMNS} | {GC_PAUSE_S}


@router.get("/runtime")
def runtime(request: Request, session: Reader, view: Viewed) -> Response:
    """The runtime page."""
    desk = desk_of(request)
    answer = desk.answers.runtime(view)
    workers = sorted(answer.workers, key=lambda worker: -_last_s(answer, worker))
    drawn = {chart.key: _drawn(chart, answer, workers[:MOST_LINES]) for chart in _CHARTS}
    values = frame(request, session, view, current="runtime", title="Runtime") | {
        "workers": [(short(worker), worker, answer.worker(worker)) for worker in workers],
        "columns": [column for column in _COLUMNS if answer.of(column[0])],
        "panels": [(chart.key, chart.title, chart.note) for chart in _CHARTS if drawn[chart.key]["lines"]],
        "charts": drawn,
        "others": [gauge for gauge in answer.gauges if gauge.name not in _KNOWN],
        "marks": charts.marks(desk.answers.events(view)),
        "short": short,
    }
    return page(request, "runtime.html", values)


def short(worker: str) -> str:
    """A worker's name without what tells one life of a process id from the next: ``web-1:4412``."""
    host, _, rest = worker.partition(":")
    pid = rest.partition(":")[0]
    return f"{host.split('.')[0]}:{pid}" if pid else worker


def _drawn(chart: _Chart, answer: Runtime, workers: list[str]) -> dict[str, Any]:
    lines: list[tuple[str, Gauge]] = []
    for worker in workers:
        by_name = answer.worker(worker)
        lines += [(f"{short(worker)} {what}".strip(), by_name[name]) for name, what in chart.gauges if name in by_name]
    return charts.gauges(lines, chart.unit, WORKER_COLORS, answer.step_s)


def _last_s(answer: Runtime, worker: str) -> int:
    return max(gauge.ts[-1] for gauge in answer.worker(worker).values())
