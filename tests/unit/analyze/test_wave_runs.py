"""Runs of tasks found in a trace, from our own spans and from anybody's."""

from __future__ import annotations

from typing import Any

import pytest

from pitstop.analyze.trace_tree import trace_tree_of
from pitstop.analyze.wave_runs import wave_runs
from pitstop.model import Span
from pitstop.tune.waves.chart import Bar, drawn

MS = 1_000_000


def span(
    number: int, parent: int, name: str, start_ms: float, took_ms: float, outcome: str = "ok", **attrs: Any
) -> Span:
    return Span(number, parent, "function", name, outcome, round(start_ms * MS), round(took_ms * MS), 0, attrs or None)


def test_a_run_has_its_tasks_by_start_with_what_they_needed_and_waited_for(part: Any) -> None:
    tree = trace_tree_of(
        part(
            1000.0, "GET /a", 0.2,
            [
                span(2, 0, "checkout", 10, 100, tasks=3, max_parallel=4, critical_path="user → total", skipped="x"),
                span(3, 2, "user", 10, 60, wave=1, critical=True, waited_s=0.0),
                span(4, 2, "prices", 12, 40, "error", wave=1, waited_s=0.002, attempt=2, error="ValueError"),
                span(5, 2, "total", 70, 40, wave=2, needs="user, prices", critical=True, waited_s=0.0),
                span(6, 2, "wave 1", 10, 60),
            ],
        )
    )  # fmt: skip
    (run,) = wave_runs(tree)
    assert (run.name, run.waves, run.max_parallel, run.critical_path, run.skipped) == (
        "checkout",
        2,
        4,
        "user → total",
        "x",
    )
    assert [(task.name, task.wave, task.needs) for task in run.tasks] == [
        ("user", 1, ()), ("prices", 1, ()), ("total", 2, ("user", "prices")),
    ]  # fmt: skip
    assert run.sequential_s == pytest.approx(0.14)
    assert run.speed_up == pytest.approx(1.4)
    assert [task.start_s for task in run.tasks] == pytest.approx([0, 0.002, 0.06])
    failed = run.tasks[1]
    assert (failed.failed, failed.note, failed.attempt, failed.critical) == (True, "ValueError", 2, False)


def test_attributes_that_are_not_what_they_should_be_are_no_run(part: Any) -> None:
    tree = trace_tree_of(
        part(
            1000.0, "GET /a", 0.1,
            [
                span(2, 0, "a", 0, 50, tasks="3"), span(3, 2, "b", 0, 50, wave=1),
                span(4, 0, "c", 50, 50, tasks=1, max_parallel=True, critical_path=7),
                span(5, 4, "d", 50, 50, wave=1, needs=3, waited_s="x", critical="yes", attempt=-1),
                span(6, 4, "e", 50, 50, wave=True),
            ],
        )
    )  # fmt: skip
    (run,) = wave_runs(tree)
    assert (run.name, run.max_parallel, run.critical_path) == ("c", 0, "")
    assert [(task.name, task.needs, task.waited_s, task.critical, task.attempt) for task in run.tasks] == [
        ("d", (), 0.0, False, 1)
    ]


def test_lines_of_a_terminal_never_exceed_its_width() -> None:
    bars = [
        Bar("a" * 90, 1, 0.0, 0.5, 0.0, critical=True, failed=True),
        Bar("b", 2, 0.5, 0.5, 0.25, critical=False, failed=False),
        Bar("c", 2, None, 0.0, 0.0, critical=False, failed=False, note="skipped: no 'a'"),
    ]
    for width in (60, 80, 200):
        lines = drawn(bars, 1.0, width)
        assert max(map(len, lines)) <= width
        assert "█" in lines[1]
        assert "·" in lines[2]
        assert "skipped: no 'a'" in lines[3]
