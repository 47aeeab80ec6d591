"""A run as lines of text: a bar for each task where it ran, waits before it, and the critical path marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pitstop.tune.waves.result import TaskResult, WavesResult

WIDTH = 80
_BAR, _CRITICAL, _WAIT = "▒", "█", "·"
_MARKS = {"failed": "▲ ", "timeout": "▲ ", "skipped": "– ", "cancelled": "– "}


def chart(result: WavesResult, width: int = WIDTH) -> str:
    """`result` in lines of at most `width` columns, by start; what did not run stands last, with the reason."""
    tasks = sorted(result.tasks.values(), key=lambda task: (task.started_s is None, task.started_s or 0.0, task.wave))
    names = min(24, max((len(task.name) for task in tasks), default=0)) + 2
    room = max(10, width - names - 18)
    lines = [
        (
            f"{result.name}: {len(result)} tasks, {result.duration_s * 1e3:.3g} ms; "
            f"one after another {result.sequential_s * 1e3:.3g} ms, × {result.speed_up:.3g}"
        ),
        f"{'task':{names}} wave {'':{room}} {'ms':>10}",
    ]
    for task in tasks:
        name = _MARKS.get(task.outcome, "") + task.name
        bar = _bar(task, result.duration_s, room)
        lines.append(f"{name[:names]:{names}} {task.wave:4} {bar:{room}} {task.duration_s * 1e3:10.3g}")
    lines.append("critical path: " + " → ".join(result.critical_path))
    return "\n".join(lines)


def _bar(task: TaskResult, whole_s: float, room: int) -> str:
    if task.started_s is None:
        return f"{task.outcome}" + (f": no '{task.because}'" if task.because else "")
    scale = room / whole_s if whole_s else 0.0
    first = min(room - 1, int(task.started_s * scale))
    last = min(room - 1, int((task.started_s + task.duration_s) * scale))
    waited = min(first, round(task.waited_s * scale))
    bar = " " * (first - waited) + _WAIT * waited
    return bar + (_CRITICAL if task.critical else _BAR) * (last + 1 - first)
