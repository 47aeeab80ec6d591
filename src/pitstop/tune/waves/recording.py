"""A run in the trace: itself, its waves and every attempt of its tasks, below the operation that asked for it.

What the chart of a trace is drawn from are attributes: of a run ``tasks``, ``waves``, ``max_parallel``, ``speed_up``
and ``critical_path``; of a task ``wave``, ``needs``, ``waited_s`` and, known when all is over, ``critical``. They are
dicts that are filled in until the run ends; the operation around it has not ended by then, so nobody has read them.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.model.series import FUNCTION, POOL_WAIT, STAGE
from pitstop.record.leaf import leaf
from pitstop.record.operation import Operation
from pitstop.record.recorder import RECORDER
from pitstop.record.timing import Span
from pitstop.tune.waves.schedule import OK, SKIPPED

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from pitstop.tune.waves.graph import Graph
    from pitstop.tune.waves.result import WavesResult

POOL = "threads"  # as for executors
WAITED_NS = 1_000_000  # for a thread: handing over to one takes a tenth of it


class Recording:
    """Around one run, entered where it was asked for. Nothing is recorded where recording is off."""

    def __init__(self, name: str, graph: Graph, max_parallel: int) -> None:
        self._graph = graph
        self._attrs: dict[str, Any] = {
            "tasks": len(graph), "waves": max(graph.waves, default=0), "max_parallel": max_parallel,
        }  # fmt: skip
        self._span = Span(name, self._attrs)
        self._tasks: dict[int, list[dict[str, Any]]] = {}
        self._start_ns = 0

    def __enter__(self) -> Self:
        self._start_ns = self._span.__enter__().start_ns
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._span.__exit__(exc_type, exc, tb)

    @property
    def operation(self) -> Operation | None:
        """The run itself; None where nothing is recorded."""
        return self._span if self._start_ns else None

    def begin(self, place: int, attempt: int) -> Operation | None:
        """The operation of an attempt, current while it runs; its start is set by whoever runs it."""
        if not self._start_ns:
            return None
        op = Operation(FUNCTION, 0)
        op.name = self._graph.tasks[place].name
        op.parent = self._span
        op.root = self._span.root or self._span
        op.children = None
        op.attrs = attrs = {"wave": self._graph.waves[place]}
        needs = self._graph.needs[place]
        if needs:
            attrs["needs"] = ", ".join(self._graph.tasks[need].name for need in needs)  # type: ignore[assignment]  # a mapping of anything
        if attempt > 1:
            attrs["attempt"] = attempt
        self._tasks.setdefault(place, []).append(attrs)
        return op

    def end(self, op: Operation | None, end_ns: int, error: BaseException | None, ended: str = "") -> None:
        """An attempt is over, or nobody waits for it any more (`ended`: abandoned …)."""
        if op is None or op.end_ns or not op.start_ns:
            return
        op.end_ns = end_ns
        op.outcome = "ok" if error is None and not ended else "error"
        if ended:
            op.attrs["ended"] = ended  # type: ignore[index]  # the dict that `begin` has made
        elif error is not None:
            op.attrs["error"] = type(error).__name__  # type: ignore[index]  # as above
        RECORDER.finish_child(op)

    def waited(self, asked_ns: int, start_ns: int) -> None:
        """A task has waited for a thread."""
        if self._start_ns and start_ns - asked_ns >= WAITED_NS:
            leaf(POOL_WAIT, POOL, "ok", asked_ns, start_ns)

    def result(self, result: WavesResult, courses_start_ns: int) -> None:
        """All is over: file the waves and say what is known only now."""
        if not self._start_ns:
            return
        attrs = self._attrs
        attrs["speed_up"] = float(f"{result.speed_up:.3g}")
        attrs["critical_path"] = " → ".join(result.critical_path)
        left_out = [task.name for task in result.tasks.values() if task.outcome == SKIPPED]
        if left_out:
            attrs["skipped"] = ", ".join(left_out)
        if not result.ok:
            self._span.outcome = "error" if any(not task.contained for task in result.failed) else OK
        for place, task in enumerate(result.tasks.values()):
            for made in self._tasks.get(place, ()):
                made["waited_s"] = round(task.waited_s, 6)
                if task.critical:
                    made["critical"] = True
        for wave in result.waves:
            start_ns = courses_start_ns + round(wave.started_s * 1e9)
            end_ns = min(start_ns + round(wave.duration_s * 1e9), perf_counter_ns())
            leaf(
                STAGE, f"wave {wave.number}", OK, start_ns - 1, end_ns
            )  # a start is an id: the first task's is its own
