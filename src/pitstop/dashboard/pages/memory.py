"""Where does memory go: how much is held, what leaks, what the collector, pools of objects and limiters do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response  # noqa: TC002  FastAPI reads the annotations

from pitstop.analyze.reports import FRESH_S
from pitstop.dashboard import charts, tuning
from pitstop.dashboard.access import page_reader
from pitstop.dashboard.desk import desk_of
from pitstop.dashboard.pages.frame import Reader, Viewed, frame
from pitstop.dashboard.pages.runtime import MOST_LINES, WORKER_COLORS, short
from pitstop.dashboard.render import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.analyze import Gauge

router = APIRouter(dependencies=[Depends(page_reader)])

LONG_PAUSE_S = 0.010  # R43: pauses stay below 10 ms
LEAK_BYTES_PER_MIN = 1_000_000  # R43: a leak is more than 1 MB a minute
PRESSURE_LOOKS = {"none": "good", "elevated": "warning", "high": "slow", "critical": "critical"}
"""The badge of each level of pressure."""


@router.get("/memory")
def memory(request: Request, session: Reader, view: Viewed) -> Response:
    """The memory page."""
    desk = desk_of(request)
    answer = desk.answers.ask(view, ("memory",), lambda store: tuning.memory(store, view))
    living = [gauge for gauge in answer.rss if gauge.ts[-1] >= view.window.end_s - FRESH_S]
    drawn = {
        "rss": lines(answer.rss, "bytes", answer.step_s),
        "pauses": lines(answer.pauses, "s", answer.step_s),
    }
    values = frame(request, session, view, current="memory", title="Memory", compares=False) | {
        "answer": answer,
        "found": answer.found,
        "held_bytes": sum(gauge.last for gauge in living) if living else None,
        "highest_bytes": max((gauge.highest for gauge in answer.rss), default=None),
        "workers": len(living),
        "longest_s": max((gauge.highest for gauge in answer.pauses), default=None),
        "long_pause_s": LONG_PAUSE_S,
        "leak_bytes_per_min": LEAK_BYTES_PER_MIN,
        "panels": [
            (key, title, note)
            for key, title, note in (
                ("rss", "How much memory do the workers hold?", "resident"),
                ("pauses", "How long does garbage collection stop them?", "longest pause"),
            )
            if drawn[key]["lines"]
        ],
        "charts": drawn,
        "marks": charts.marks(desk.answers.events(view)),
        "pressure_looks": PRESSURE_LOOKS,
        "short": short,
    }
    return page(request, "memory.html", values)


def lines(gauges: Sequence[Gauge], unit: str, step_s: int) -> dict[str, Any]:
    """A line a worker, those that were heard of last first."""
    newest = sorted(gauges, key=lambda gauge: -gauge.ts[-1])[:MOST_LINES]
    return charts.gauges([(short(gauge.worker), gauge) for gauge in newest], unit, WORKER_COLORS, step_s)
