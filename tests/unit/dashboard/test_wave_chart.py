"""Lanes of tasks: bars where they ran, and lines from what they needed that go on through every row between."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from pitstop.analyze.wave_runs import WaveRun, WaveTask
from pitstop.dashboard.wave_chart import HEIGHT, WIDTH, lanes_of

_NUMBERS = re.compile(r"[0-9.]+")


def run_of(*tasks: WaveTask) -> WaveRun:
    return WaveRun(1, "run", 0.0, 1.0, 1.0, 2, 8, "", "", tasks)


def task(
    name: str, start_s: float, took_s: float, *needs: str, critical: bool = False, waited_s: float = 0.0
) -> WaveTask:
    return WaveTask(1, "00", name, 1, needs, start_s, took_s, waited_s, critical, failed=False, attempt=1, note="")


def test_a_line_leads_from_the_end_of_what_was_needed_down_to_the_start() -> None:
    first, between, last = lanes_of(
        run_of(
            task("a", 0.0, 0.25, critical=True),
            task("b", 0.0, 0.5),
            task("c", 0.5, 0.5, "a", "b", critical=True, waited_s=0.1),
        )
    )
    assert first.bar == "M0.0 7H250.0V19H0.0Z"
    assert first.critical_lines == f"M250.0 13H500.0V{HEIGHT}"
    assert (between.critical_lines, between.lines) == (f"M500.0 0V{HEIGHT}", f"M500.0 13H500.0V{HEIGHT}")
    assert (last.critical_lines, last.lines) == ("M500.0 0V13", "M500.0 0V13")
    assert last.wait == "M400.0 7H500.0V19H400.0Z"
    assert not first.wait


@given(
    st.lists(
        st.tuples(st.floats(0, 2), st.floats(0, 2), st.sets(st.integers(0, 30)), st.booleans(), st.floats(0, 3)),
        min_size=1,
    )
)
def test_whatever_a_trace_says_is_drawn_within_its_lane(made: list[tuple[float, float, set[int], bool, float]]) -> None:
    tasks = [
        task(f"t{i}", start, took, *(f"t{need}" for need in needs), critical=critical, waited_s=waited)
        for i, (start, took, needs, critical, waited) in enumerate(made)
    ]
    for lane in lanes_of(run_of(*tasks)):
        for drawing in (lane.bar, lane.wait, lane.lines, lane.critical_lines):
            assert all(0 <= float(number) <= WIDTH for number in _NUMBERS.findall(drawing))
