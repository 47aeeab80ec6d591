"""The order of things, on a made-up clock: random graphs, durations, failures, retries and deadlines."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pitstop.tune.waves.graph import Graph
from pitstop.tune.waves.result import result_of
from pitstop.tune.waves.schedule import FAILED, GRACE_NS, OK, SKIPPED, TIMEOUT, Ended, Schedule
from pitstop.tune.waves.task import ON_FAILURE, Task

MS = 1_000_000
EPOCH = 1_000 * MS  # the clock does not begin at 0, which means "not yet"


def nothing(**_: object) -> None:
    """What the simulated tasks would call."""


@dataclass
class Simulated:
    """Runs a schedule: attempt n of task i takes and ends as it is told."""

    schedule: Schedule
    took_ns: list[int]
    fails: list[int]  # so many first attempts
    stubborn: frozenset[int] = frozenset()  # these do not end when they are cancelled
    now_ns: int = EPOCH
    starts: list[tuple[int, int]] = field(default_factory=list)  # moment and task
    ends: dict[int, int] = field(default_factory=dict)
    most: int = 0
    idle_while_ready: bool = False

    def run(self) -> None:
        running: list[tuple[int, int, int, bool]] = []  # a heap: end, task, attempt, cancelled
        for _ in range(10_000):
            running = self.obey(running)
            if self.schedule.finished:
                return
            wake_ns = self.schedule.wake_ns()
            assert running or wake_ns is not None, "nothing would ever happen again"
            if running and (wake_ns is None or running[0][0] <= wake_ns):
                self.end(*heapq.heappop(running))
            else:
                assert wake_ns is not None
                self.now_ns = max(self.now_ns, wake_ns)
        raise AssertionError("it does not end")

    def obey(self, running: list[tuple[int, int, int, bool]]) -> list[tuple[int, int, int, bool]]:
        for place, attempt, cancels in self.schedule.orders(self.now_ns):
            if not cancels:
                self.starts.append((self.now_ns, place))
                heapq.heappush(running, (self.now_ns + self.took_ns[place], place, attempt, False))
            elif place not in self.stubborn:
                running = [one for one in running if one[1:3] != (place, attempt)]
                heapq.heappush(running, (self.now_ns, place, attempt, True))
        alive = sum(self.schedule.courses[place].doing in (2, 3) for place in range(len(self.took_ns)))
        self.most = max(self.most, alive)
        if self.schedule._ready and self.schedule._slots and not self.schedule._stopping:
            self.idle_while_ready = True
        return running

    def end(self, end_ns: int, place: int, attempt: int, cancelled: bool) -> None:
        self.now_ns = max(self.now_ns, end_ns)
        error: BaseException | None = None
        if cancelled:
            error = InterruptedError()
        elif attempt <= self.fails[place]:
            error = ValueError(f"attempt {attempt}")
        began_ns = self.now_ns - self.took_ns[place]
        self.schedule.take(Ended(place, attempt, f"value {place}", error, began_ns, self.now_ns), self.now_ns)
        if self.schedule.courses[place].doing == 4:
            self.ends.setdefault(place, self.now_ns)


@st.composite
def graphs(draw: st.DrawFn, *, failing: bool = True) -> tuple[list[Task], list[int], list[int]]:
    """Tasks in a random order, how long each takes, and how many of its first attempts fail."""
    number = draw(st.integers(1, 14))
    tasks = []
    for i in range(number):
        needs = draw(st.lists(st.integers(0, i - 1), unique=True, max_size=3)) if i else []
        tasks.append(
            Task(
                f"t{i}",
                nothing,
                needs=[f"t{one}" for one in needs],
                timeout_s=draw(st.sampled_from([None, None, 0.02])) if failing else None,
                retries=draw(st.integers(0, 2)) if failing else 0,
                retry_delay_s=draw(st.sampled_from([0.0, 0.005, 0.05])),
                on_failure=draw(st.sampled_from([None, *ON_FAILURE])) if failing else None,
                default=f"default {i}",
            )
        )
    took = draw(st.lists(st.integers(0, 40 * MS), min_size=number, max_size=number))
    fails = [draw(st.sampled_from([0, 0, 0, 1, 3])) if failing else 0 for _ in range(number)]
    order = draw(st.permutations(range(number)))
    return [tasks[i] for i in order], [took[i] for i in order], [fails[i] for i in order]


def scheduled(tasks: list[Task], *, max_parallel: int, **more: Any) -> Schedule:
    return Schedule(Graph(tasks), EPOCH, max_parallel=max_parallel, on_failure=more.pop("on_failure", "skip"), **more)


@settings(deadline=None)
@given(graphs(), st.integers(1, 5), st.sampled_from(ON_FAILURE), st.booleans())
def test_whatever_fails_each_task_gets_one_outcome_and_no_task_runs_before_what_it_needs(
    made: tuple[list[Task], list[int], list[int]], most: int, policy: Any, by_wave: bool
) -> None:
    tasks, took, fails = made
    schedule = scheduled(tasks, max_parallel=most, on_failure=policy, by_wave=by_wave)
    simulated = Simulated(schedule, took, fails)
    simulated.run()
    assert simulated.most <= most
    assert not simulated.idle_while_ready
    graph, courses = schedule.graph, schedule.courses
    for began_ns, place in simulated.starts:
        for need in graph.needs[place]:
            contained = (graph.tasks[need].on_failure or policy) == "contain"
            assert courses[need].outcome == OK or contained, "a task ran without what it needs"
            assert began_ns >= simulated.ends.get(need, 0)
    assert max(courses[place].attempt - task.retries for place, task in enumerate(tasks)) <= 1
    result = result_of("run", graph, courses, policy, EPOCH, simulated.now_ns)
    for place, (course, task) in enumerate(zip(courses, result.tasks.values(), strict=True)):
        if task.outcome == OK:
            assert task.value == f"value {place}"
            assert fails[place] < course.attempt
        if task.outcome == SKIPPED:
            assert not course.attempt
            assert not result.tasks[task.because].ok
        if task.contained:
            assert result[task.name] == graph.tasks[place].default


def outcomes_by_rule(tasks: list[Task], took: list[int], fails: list[int], policy: str) -> list[str]:
    """The same without a schedule, where nothing cancels: what each task would come to, needs first."""
    graph = Graph(tasks)
    found: dict[int, str] = {}
    for place in sorted(range(len(tasks)), key=graph.waves.__getitem__):
        task = tasks[place]
        if any(found[n] != OK and (tasks[n].on_failure or policy) != "contain" for n in graph.needs[place]):
            found[place] = SKIPPED
        elif task.timeout_s is not None and took[place] > task.timeout_s * 1e9:
            found[place] = TIMEOUT
        else:
            found[place] = OK if fails[place] <= task.retries else FAILED
    return [found[place] for place in range(len(tasks))]


@settings(deadline=None)
@given(graphs(), st.integers(1, 5), st.sampled_from(["contain", "skip"]), st.booleans())
def test_one_failure_reaches_its_dependents_and_nobody_else(
    made: tuple[list[Task], list[int], list[int]], most: int, policy: Any, by_wave: bool
) -> None:
    tasks, took, fails = made
    tasks = [
        Task(
            task.name, nothing, task.needs, task.timeout_s, task.retries, task.retry_delay_s,
            on_failure=None if task.on_failure == "cancel" else task.on_failure,
        )
        for task in tasks
    ]  # fmt: skip
    took = [
        ns if task.timeout_s is None or ns != task.timeout_s * 1e9 else ns + 1
        for ns, task in zip(took, tasks, strict=True)
    ]
    schedule = scheduled(tasks, max_parallel=most, on_failure=policy, by_wave=by_wave)
    Simulated(schedule, took, fails).run()
    assert [course.outcome for course in schedule.courses] == outcomes_by_rule(tasks, took, fails, policy)


@settings(deadline=None)
@given(graphs(failing=False), st.integers(1, 5))
def test_a_run_takes_no_longer_than_list_scheduling_promises(
    made: tuple[list[Task], list[int], list[int]], most: int
) -> None:
    """Graham 1969: at most work / m + (1 − 1/m) × the longest way."""
    tasks, took, fails = made
    schedule = scheduled(tasks, max_parallel=most)
    simulated = Simulated(schedule, took, fails)
    simulated.run()
    graph = schedule.graph
    longest: list[int] = [0] * len(tasks)
    for place in sorted(range(len(tasks)), key=graph.waves.__getitem__):
        longest[place] = took[place] + max((longest[need] for need in graph.needs[place]), default=0)
    took_ns = simulated.now_ns - EPOCH
    assert took_ns >= max(longest)
    assert took_ns <= sum(took) / most + (1 - 1 / most) * max(longest) + 1


@settings(deadline=None)
@given(graphs(failing=False), st.integers(1, 5))
def test_by_wave_no_task_starts_before_the_wave_before_has_ended(
    made: tuple[list[Task], list[int], list[int]], most: int
) -> None:
    tasks, took, fails = made
    schedule = scheduled(tasks, max_parallel=most, by_wave=True)
    simulated = Simulated(schedule, took, fails)
    simulated.run()
    waves = schedule.graph.waves
    for began_ns, place in simulated.starts:
        earlier = [simulated.ends[one] for one in range(len(tasks)) if waves[one] < waves[place]]
        assert began_ns >= max(earlier, default=0)


@settings(deadline=None)
@given(graphs(), st.integers(1, 5), st.integers(1, 60 * MS), st.sets(st.integers(0, 13)))
def test_a_whole_ends_at_its_deadline_even_where_tasks_do_not(
    made: tuple[list[Task], list[int], list[int]], most: int, deadline_ns: int, stubborn: set[int]
) -> None:
    tasks, took, fails = made
    schedule = scheduled(tasks, max_parallel=most, deadline_ns=EPOCH + deadline_ns)
    simulated = Simulated(schedule, took, fails, frozenset(stubborn))
    simulated.run()
    assert simulated.now_ns <= EPOCH + deadline_ns + GRACE_NS
    assert not any(began_ns >= EPOCH + deadline_ns for began_ns, _ in simulated.starts)


@given(graphs(failing=False))
def test_the_critical_path_is_a_way_through_the_graph_that_ends_last(
    made: tuple[list[Task], list[int], list[int]],
) -> None:
    tasks, took, fails = made
    schedule = scheduled(tasks, max_parallel=len(tasks))
    simulated = Simulated(schedule, took, fails)
    simulated.run()
    result = result_of("run", schedule.graph, schedule.courses, "skip", EPOCH, simulated.now_ns)
    path = result.critical_path
    assert all(before in result.tasks[after].needs for before, after in pairwise(path))
    assert not result.tasks[path[0]].needs
    assert result.critical_s == pytest.approx(result.duration_s, abs=1e-9)  # with a slot for everybody nothing waits
    assert result.sequential_s * 1e9 == pytest.approx(sum(took), abs=1)


def test_a_late_end_of_an_attempt_that_was_given_up_changes_nothing() -> None:
    schedule = scheduled([Task("a", nothing, timeout_s=0.01, retries=1, retry_delay_s=0)], max_parallel=1)
    assert [(one.attempt, one.cancels) for one in schedule.orders(EPOCH)] == [(1, False)]
    assert [(one.attempt, one.cancels) for one in schedule.orders(EPOCH + 10 * MS)] == [(1, True)]
    schedule.abandon(0, 1, EPOCH + 10 * MS, begun=True)
    schedule.take(Ended(0, 1, "late", None, EPOCH, EPOCH + 11 * MS), EPOCH + 11 * MS)
    assert [(one.attempt, one.cancels) for one in schedule.orders(EPOCH + 11 * MS)] == [(2, False)]
    schedule.take(Ended(0, 1, "later still", None, EPOCH, EPOCH + 12 * MS), EPOCH + 12 * MS)
    assert not schedule.finished
    schedule.take(Ended(0, 2, "right", None, EPOCH + 11 * MS, EPOCH + 13 * MS), EPOCH + 13 * MS)
    assert schedule.finished
    assert (schedule.courses[0].value, schedule.courses[0].abandoned) == ("right", True)


def test_retries_wait_twice_as_long_each_time_and_thirty_seconds_at_the_most() -> None:
    schedule = scheduled([Task("a", nothing, retries=9, retry_delay_s=1)], max_parallel=1)
    simulated = Simulated(schedule, [0], [20])
    simulated.run()
    moments = [ns / 1e9 for ns, _ in simulated.starts]
    assert [b - a for a, b in pairwise(moments)] == [1, 2, 4, 8, 16, 30, 30, 30, 30]
