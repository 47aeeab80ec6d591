"""What became of a run: results by name, the critical path, and what running side by side has gained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pitstop.model.errors import TaskError
from pitstop.tune.waves.schedule import FAILED, OK, SKIPPED, TIMEOUT
from pitstop.tune.waves.task import CONTAIN

if TYPE_CHECKING:
    from pitstop.tune.waves.graph import Graph
    from pitstop.tune.waves.schedule import Course, Outcome
    from pitstop.tune.waves.task import OnFailure


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One task. `outcome` is ok, failed, timeout, skipped or cancelled; seconds, `started_s` from the run's start.

    `duration_s` spans all `attempts` and the waits between them; `waited_s` is from when all its needs were there to
    its start: for a slot, a thread or its wave. `critical`: the run's duration hangs on it. `because` names the task
    without whose result it could not be. `abandoned`: it was given up while it ran, and may run still. `contained`: it
    has no result, and its dependents got `value`, its default.
    """

    name: str
    wave: int
    needs: tuple[str, ...]
    outcome: Outcome
    value: Any
    error: BaseException | None
    started_s: float | None
    duration_s: float
    waited_s: float
    attempts: int
    critical: bool
    because: str
    abandoned: bool
    contained: bool

    @property
    def ok(self) -> bool:
        """Whether it has a result of its own."""
        return self.outcome == OK


@dataclass(frozen=True, slots=True)
class WaveResult:
    """The tasks of one wave: from the start of the first to the end of the last, seconds. Waves overlap."""

    number: int
    tasks: tuple[str, ...]
    started_s: float
    duration_s: float


class WavesResult(Mapping[str, Any]):
    """Results by name, in the order the tasks were given: ``result["total"]``.

    Asking for one that there is not raises TaskError from what the task failed with; a contained one is its default.
    `duration_s` is what the run took, `sequential_s` what its tasks took together, as they ran here (tasks that shared
    a core held one another up; alone, one after another, such take less). `critical_path` is the tasks that the
    duration hangs on, the last one back to the first: each was the last to end of what the next one needs.
    """

    def __init__(self, name: str, tasks: tuple[TaskResult, ...], duration_s: float, critical: tuple[str, ...]) -> None:
        self.name = name
        self.tasks = {task.name: task for task in tasks}
        self.duration_s = duration_s
        self.critical_path = critical

    def __getitem__(self, name: str) -> Any:
        task = self.tasks[name]
        if task.ok or task.contained:
            return task.value
        raise TaskError(f"task '{name}' has no result: {_what(task)}") from task.error

    def __iter__(self) -> Iterator[str]:
        return iter(self.tasks)

    def __len__(self) -> int:
        return len(self.tasks)

    def __repr__(self) -> str:
        return f"WavesResult({self.name}: {len(self)} tasks, {self.duration_s * 1e3:.3g} ms, × {self.speed_up:.3g})"

    def __str__(self) -> str:
        from pitstop.tune.waves.chart import chart  # noqa: PLC0415  it is for those who look

        return chart(self)

    @property
    def ok(self) -> bool:
        """Whether every task has a result of its own."""
        return all(task.ok for task in self.tasks.values())

    @property
    def failed(self) -> tuple[TaskResult, ...]:
        """Tasks that raised or took too long, contained ones with them."""
        return tuple(task for task in self.tasks.values() if task.outcome in (FAILED, TIMEOUT))

    @property
    def abandoned(self) -> tuple[str, ...]:
        """Names of tasks that were given up and may run still, in a thread that nobody can end."""
        return tuple(task.name for task in self.tasks.values() if task.abandoned)

    @property
    def sequential_s(self) -> float:
        """What the tasks took together, one after another, seconds."""
        return sum(task.duration_s for task in self.tasks.values())

    @property
    def critical_s(self) -> float:
        """What the critical path took, without what it waited, seconds: the least there is with more in parallel."""
        return sum(self.tasks[name].duration_s for name in self.critical_path)

    @property
    def speed_up(self) -> float:
        """`sequential_s` over `duration_s`; 1.0 where nothing took any time."""
        return self.sequential_s / self.duration_s if self.duration_s and self.sequential_s else 1.0

    @property
    def waves(self) -> tuple[WaveResult, ...]:
        """The waves that began, in order."""
        found: dict[int, list[TaskResult]] = {}
        for task in self.tasks.values():
            if task.started_s is not None:
                found.setdefault(task.wave, []).append(task)
        out = []
        for number, tasks in sorted(found.items()):
            started_s = min(task.started_s or 0.0 for task in tasks)
            ended_s = max((task.started_s or 0.0) + task.duration_s for task in tasks)
            out.append(WaveResult(number, tuple(task.name for task in tasks), started_s, ended_s - started_s))
        return tuple(out)

    def raise_for_failure(self) -> None:
        """Raises what a task failed with, where that was not contained; an ExceptionGroup of several."""
        errors = [task.error for task in self.failed if task.error is not None and not task.contained]
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise BaseExceptionGroup(f"{len(errors)} tasks of '{self.name}' failed", errors)
        for task in self.tasks.values():
            if not task.ok and not task.contained:
                raise TaskError(f"task '{task.name}' has no result: {_what(task)}")


def result_of(
    name: str, graph: Graph, courses: list[Course], on_failure: OnFailure, start_ns: int, end_ns: int
) -> WavesResult:
    """The state of a schedule that is finished, as a result."""
    path = critical_path(graph, courses)
    critical = set(path)
    tasks = tuple(
        TaskResult(
            name=task.name,
            wave=graph.waves[place],
            needs=tuple(graph.tasks[need].name for need in graph.needs[place]),
            outcome=course.outcome,
            value=course.value,
            error=course.error,
            started_s=(course.start_ns - start_ns) / 1e9 if course.start_ns else None,
            duration_s=(course.end_ns - course.start_ns) / 1e9 if course.start_ns else 0.0,
            waited_s=(course.start_ns - course.ready_ns) / 1e9 if course.start_ns else 0.0,
            attempts=course.attempt,
            critical=place in critical,
            because=graph.tasks[course.because].name if course.because >= 0 else "",
            abandoned=course.abandoned,
            contained=course.outcome in (FAILED, TIMEOUT, SKIPPED) and (task.on_failure or on_failure) == CONTAIN,
        )
        for place, (task, course) in enumerate(zip(graph.tasks, courses, strict=True))
    )
    return WavesResult(name, tasks, (end_ns - start_ns) / 1e9, tuple(graph.tasks[place].name for place in path))


def critical_path(graph: Graph, courses: list[Course]) -> list[int]:
    """From the task that ended last back to the start, each time by the need that ended last; in order of time."""
    ran = [place for place, course in enumerate(courses) if course.start_ns]
    path: list[int] = []
    while ran:
        path.append(max(ran, key=lambda place: courses[place].end_ns))
        ran = [need for need in graph.needs[path[-1]] if courses[need].start_ns]
    return path[::-1]


def _what(task: TaskResult) -> str:
    if task.outcome == SKIPPED:
        return f"it was skipped, because '{task.because}' has none"
    if task.error is not None and task.outcome in (FAILED, TIMEOUT):
        return f"{task.outcome}, {type(task.error).__name__}: {task.error!s:.200}"
    return f"it was cancelled, because '{task.because}' has none" if task.because else f"it is {task.outcome}"
