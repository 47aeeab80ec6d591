"""Which tasks of a trace ran side by side, who waited for whom, and what it all hangs on.

From the attributes that `pitstop.tune.waves` gives its spans; a trace may come from anywhere, so they are taken for
what they should be only where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.stats import is_error

if TYPE_CHECKING:
    from pitstop.analyze.trace_tree import TraceTree, TreeSpan


class WaveTask(NamedTuple):
    """One attempt of a task; seconds, `start_s` from the run's start. `needs` are names; `waited_s` before it started.

    `critical`: it is on the path that the run's duration hangs on. `note` is how it ended, where not with a result.
    """

    place: int
    span_id: str
    name: str
    wave: int
    needs: tuple[str, ...]
    start_s: float
    duration_s: float
    waited_s: float
    critical: bool
    failed: bool
    attempt: int
    note: str


class WaveRun(NamedTuple):
    """One run, its tasks by start. `sequential_s` is what they took together, seconds; `start_s` from the trace's."""

    place: int
    name: str
    start_s: float
    duration_s: float
    sequential_s: float
    waves: int
    max_parallel: int
    critical_path: str
    skipped: str
    tasks: tuple[WaveTask, ...]

    @property
    def speed_up(self) -> float:
        """How many times quicker than its tasks one after another."""
        return self.sequential_s / self.duration_s if self.duration_s and self.sequential_s else 1.0


def wave_runs(tree: TraceTree) -> tuple[WaveRun, ...]:
    """Every run of `pitstop.tune.waves` in a trace, by start."""
    below: dict[int, list[TreeSpan]] = {}
    for span in tree.spans:
        if _number(span.attrs.get("wave")):
            below.setdefault(span.parent, []).append(span)
    return tuple(
        _run(tree.spans[place], spans)
        for place, spans in sorted(below.items())
        if place >= 0 and _number(tree.spans[place].attrs.get("tasks"))
    )


def _run(run: TreeSpan, spans: list[TreeSpan]) -> WaveRun:
    tasks = tuple(_task(span, run.start_s) for span in sorted(spans, key=lambda span: span.start_s))
    return WaveRun(
        place=run.place,
        name=run.name,
        start_s=run.start_s,
        duration_s=run.duration_s,
        sequential_s=sum(task.duration_s for task in tasks),
        waves=max(task.wave for task in tasks),
        max_parallel=_number(run.attrs.get("max_parallel")),
        critical_path=_text(run.attrs.get("critical_path")),
        skipped=_text(run.attrs.get("skipped")),
        tasks=tasks,
    )


def _task(span: TreeSpan, run_start_s: float) -> WaveTask:
    attrs = span.attrs
    waited = attrs.get("waited_s")
    needs = _text(attrs.get("needs"))
    return WaveTask(
        place=span.place,
        span_id=span.span_id,
        name=span.name,
        wave=_number(attrs.get("wave")),
        needs=tuple(needs.split(", ")) if needs else (),
        start_s=max(0.0, span.start_s - run_start_s),
        duration_s=span.duration_s,
        waited_s=max(0.0, float(waited)) if isinstance(waited, (int, float)) else 0.0,
        critical=attrs.get("critical") is True,
        failed=is_error(span.outcome),
        attempt=_number(attrs.get("attempt")) or 1,
        note=_text(attrs.get("ended")) or _text(attrs.get("error")),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
