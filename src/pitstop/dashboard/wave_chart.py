"""A run of tasks side by side as a chart: a lane a task, and lines from what it needed to where it began.

Every lane is a drawing of its own, a table's cell high, so that lines go on from row to row and the table stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pitstop.analyze.wave_runs import WaveRun, WaveTask

WIDTH, HEIGHT = 1000, 26  # units of a lane; its height is pixels, too
_TOP, _BAR = 7, 12
_LEAST = 2.0  # units: a narrower bar cannot be seen
MOST_LINES = 400  # in one chart: more are a grey area


class Lane(NamedTuple):
    """One task's row. `bar`, `wait`, `lines` and `critical_lines` are the `d` of SVG paths in a lane 1000 × 26."""

    task: WaveTask
    bar: str
    wait: str
    lines: str
    critical_lines: str


def lanes_of(run: WaveRun) -> list[Lane]:
    """The rows of a run, by start: what a task needed stands above it."""
    whole_s = max(run.duration_s, *(task.start_s + task.duration_s for task in run.tasks), 1e-9)
    rows = {task.name: row for row, task in enumerate(run.tasks)}  # the last attempt of each
    plain: list[list[str]] = [[] for _ in run.tasks]
    critical: list[list[str]] = [[] for _ in run.tasks]
    number = 0
    for row, task in enumerate(run.tasks):
        for need in task.needs:
            above = rows.get(need, row)
            number += 1
            if above >= row or number > MOST_LINES:
                continue
            before = run.tasks[above]
            left, right = (_units(s, whole_s) for s in (before.start_s + before.duration_s, task.start_s))
            into = critical if task.critical and before.critical else plain
            _connect(into, above, row, left, max(left, right))
    lanes = []
    for row, task in enumerate(run.tasks):
        start = _units(task.start_s, whole_s)
        end = max(start + _LEAST, _units(task.start_s + task.duration_s, whole_s))
        ready = _units(max(0.0, task.start_s - task.waited_s), whole_s)
        lanes.append(
            Lane(task, _box(start, end), _box(ready, start) if start - ready >= _LEAST and task.attempt == 1 else "",
                 "".join(plain[row]), "".join(critical[row]))
        )  # fmt: skip
    return lanes


def _units(seconds: float, whole_s: float) -> float:
    return min(WIDTH, WIDTH * seconds / whole_s)


def _box(left: float, right: float) -> str:
    return f"M{left:.1f} {_TOP}H{min(WIDTH, right):.1f}V{_TOP + _BAR}H{left:.1f}Z"


def _connect(lines: list[list[str]], above: int, row: int, left: float, right: float) -> None:
    """From the end of the bar in row `above` along it, then down to where the one in `row` begins."""
    middle = _TOP + _BAR / 2
    lines[above].append(f"M{left:.1f} {middle:g}H{right:.1f}V{HEIGHT}")
    for between in range(above + 1, row):
        lines[between].append(f"M{right:.1f} 0V{HEIGHT}")
    lines[row].append(f"M{right:.1f} 0V{middle:g}")
