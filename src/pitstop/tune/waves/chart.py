"""A run as lines of text: a bar for each task where it ran, waits before it, and the critical path marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.waves.result import TaskResult, WavesResult

WIDTH = 80
_MOST_NAME, _LEAST_BAR = 26, 10
_WAVE, _NUMBER = 5, 9  # columns
_BAR, _CRITICAL, _WAIT = "▒", "█", "·"
_FAILED = "▲ "


class Bar(NamedTuple):
    """A line: seconds from the run's start, `start_s` None for what did not run, `note` says why."""

    name: str
    wave: int
    start_s: float | None
    duration_s: float
    waited_s: float
    critical: bool
    failed: bool
    note: str = ""


def chart(result: WavesResult, width: int = WIDTH) -> str:
    """`result` in lines of at most `width` columns, by start; what did not run stands last, with the reason."""
    tasks = sorted(result.tasks.values(), key=lambda task: (task.started_s is None, task.started_s or 0.0, task.wave))
    head = (
        f"{result.name}: {len(result)} tasks, {result.duration_s * 1e3:.3g} ms; "
        f"one after another {result.sequential_s * 1e3:.3g} ms, × {result.speed_up:.3g}"
    )
    foot = "critical path: " + " → ".join(result.critical_path)
    return "\n".join([head, *drawn([_bar(task) for task in tasks], result.duration_s, width), foot])


def drawn(bars: Sequence[Bar], whole_s: float, width: int = WIDTH) -> list[str]:
    """`bars` over `whole_s` seconds as lines of `width` columns, with a head."""
    names = min(_MOST_NAME, max((len(bar.name) + len(_FAILED) * bar.failed for bar in bars), default=4))
    names = max(names, len("task"))
    room = max(_LEAST_BAR, width - names - _WAVE - _NUMBER - 3)
    lines = [f"{'task':{names}} {'wave':>{_WAVE}} {'':{room}} {'ms':>{_NUMBER}}"]
    for bar in bars:
        name = (_FAILED if bar.failed else "") + bar.name
        name = name if len(name) <= names else name[: names - 1] + "…"
        took = "" if bar.start_s is None else f"{bar.duration_s * 1e3:.3g}"
        lines.append(
            f"{name:{names}} {bar.wave:{_WAVE}} {_cells(bar, whole_s, room):{room}} {took:>{_NUMBER}}".rstrip()
        )
    return lines


def _bar(task: TaskResult) -> Bar:
    note = task.outcome + (f": no '{task.because}'" if task.because else "")
    failed = task.outcome in {"failed", "timeout"}
    return Bar(task.name, task.wave, task.started_s, task.duration_s, task.waited_s, task.critical, failed, note)


def _cells(bar: Bar, whole_s: float, room: int) -> str:
    if bar.start_s is None:
        return bar.note[:room]
    scale = room / whole_s if whole_s else 0.0
    first = max(0, min(room - 1, int(bar.start_s * scale)))
    last = max(first, min(room - 1, int((bar.start_s + bar.duration_s) * scale)))
    waited = max(0, min(first, round(bar.waited_s * scale)))
    return " " * (first - waited) + _WAIT * waited + (_CRITICAL if bar.critical else _BAR) * (last + 1 - first)
