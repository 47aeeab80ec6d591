"""One run: carries out what the schedule orders, in threads, on the loop, or where it stands.

`Run.step` is all there is to it, for sync and async code alike: it takes what has ended, does what is ordered, and says
how long to wait for more. Who waits, and how, is all that differs: `pitstop.tune.waves.drivers`.
"""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

from pitstop.record.operation import set_current
from pitstop.record.owners import owned
from pitstop.tune.waves.result import result_of
from pitstop.tune.waves.schedule import CANCELLED, GRACE_NS, Ended, Order

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from pitstop.model.errors import TaskError
    from pitstop.record.operation import Operation
    from pitstop.tune.waves.graph import Graph
    from pitstop.tune.waves.recording import Recording
    from pitstop.tune.waves.result import WavesResult
    from pitstop.tune.waves.schedule import Schedule
    from pitstop.tune.waves.task import OnFailure


class Call:
    """An attempt of a plain function, to be called once, in any thread."""

    __slots__ = (
        "_op", "_refused", "asked_ns", "attempt", "begun", "context", "dropped", "function", "kwargs", "place", "post",
        "start_ns",
    )  # fmt: skip

    def __init__(
        self,
        place: int,
        attempt: int,
        function: Callable[..., Any],
        kwargs: dict[str, object],
        op: Operation | None,
        context: Context,
        post: Callable[[Ended], Call | None],
    ) -> None:
        self.place = place
        self.attempt = attempt
        self.function = function
        self.kwargs = kwargs
        self._op = op
        self.context = context
        self.post = post
        self.begun = self.dropped = False
        self._refused: TaskError | None = None
        self.asked_ns = perf_counter_ns()
        self.start_ns = 0

    def __call__(self) -> Call | None:
        """What the thread that runs it is to call next."""
        self.begun = True
        if self.dropped:
            return None
        self.start_ns = start_ns = perf_counter_ns()
        value: Any = None
        error: BaseException | None = None
        if self._op is not None:
            self._op.start_ns = self._op.start_ns or start_ns
        try:
            if self._refused is not None:
                raise self._refused  # noqa: TRY301  the same end as any other
            value = self.context.run(self.function, **self.kwargs)
        except BaseException as raised:  # noqa: BLE001  it is the task's, and handed on
            error = raised
        if self._given_up() and hasattr(value, "close") and hasattr(value, "__await__"):
            value.close()  # a coroutine that nobody is going to wait for
        return self.post(Ended(self.place, self.attempt, value, error, start_ns, perf_counter_ns()))

    def refuse(self, error: TaskError) -> None:
        """There is no thread for it: it fails with that when it is called."""
        self._refused = error

    def _given_up(self) -> bool:
        """Whether another thread has said so meanwhile."""
        return self.dropped


owned(Call.__call__, "self", "_op")  # for whoever samples stacks


class Driver(Protocol):
    """Where a run is: see `pitstop.tune.waves.drivers`."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        """Where async tasks run."""

    def start(self, call: Call, *, inline: bool) -> None:
        """Let `call` begin: in a thread, or here, when the step has been taken."""

    def abandon(self, call: Call) -> None:
        """Nobody waits for `call` any more, which may be running: let its thread count no longer."""

    def ended(self, ended: Ended) -> Call | None:
        """Something has ended, in any thread; what that one is to call next."""


class Run:
    """The state of a schedule, and what it has set going. One thread at a time, always in the same context."""

    def __init__(self, graph: Graph, schedule: Schedule, recording: Recording, driver: Driver) -> None:
        self.schedule = schedule
        self._graph = graph
        self._recording = recording
        self._driver = driver
        self._start_ns = perf_counter_ns()
        self._operations: dict[int, Operation | None] = {}
        self._calls: dict[int, Call] = {}
        self._natives: dict[int, asyncio.Task[None]] = {}

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.schedule.finished

    def step(self, ended: Ended | None = None) -> float | None:
        """Take what has ended and do what is to be done now. How long to wait for more, seconds; None: until it comes.

        Raises KeyboardInterrupt or SystemExit where a task did.
        """
        if ended is not None:
            self._take(ended)
        while orders := self.schedule.orders(perf_counter_ns()):  # what cannot be cancelled makes room at once
            for order in orders:
                if order.cancels:
                    self._cancel(order)
                else:
                    self._start(order)
        if self.schedule.fatal is not None and self.finished:
            raise self.schedule.fatal
        wake_ns = self.schedule.wake_ns()
        return None if wake_ns is None else max(0.0, (wake_ns - perf_counter_ns()) / 1e9)

    def result(self, name: str, on_failure: OnFailure) -> WavesResult:
        """What became of everything, once it is finished."""
        courses = self.schedule.courses
        for op in self._operations.values():
            self._recording.end(op, perf_counter_ns(), None, "cancelled, but goes on")
        result = result_of(name, self._graph, courses, on_failure, self._start_ns, perf_counter_ns())
        self._recording.result(result, self._start_ns)
        return result

    def stop(self) -> None:
        """Whoever asked for the run has been interrupted: cancel all."""
        self.schedule.stop(CANCELLED, perf_counter_ns())
        for order in self.schedule.orders(perf_counter_ns()):
            self._cancel(order)

    async def stopped(self) -> None:
        """The same where a loop runs; what is cancelled may clean up, for as long as the schedule gives it."""
        self.stop()
        if self._natives:
            await asyncio.wait(self._natives.values(), timeout=GRACE_NS / 1e9)

    def _start(self, order: Order) -> None:
        place, attempt, _ = order
        task = self._graph.tasks[place]
        op = self._operations[place] = self._recording.begin(place, attempt)
        context = copy_context()
        if op is not None:
            context.run(set_current, op)
        kwargs = self.schedule.inputs(place)
        if self._graph.native[place]:
            self._start_native(order, task.function, kwargs, context)
            return
        self._call(Call(place, attempt, task.function, kwargs, op, context, self._driver.ended), inline=task.inline)

    def _call(self, call: Call, *, inline: bool) -> None:
        self._calls[call.place] = call
        self._driver.start(call, inline=inline)

    def _start_native(
        self, order: Order, function: Callable[..., Awaitable[Any]], kwargs: dict[str, object], context: Context
    ) -> None:
        loop = self._driver.loop
        assert loop is not None
        native = self._native(order.place, order.attempt, function, kwargs)
        task = loop.create_task(native, name=self._graph.tasks[order.place].name, context=context)
        if not task.done():  # as one may be at once, of an eager task factory
            self._natives[order.place] = task

    async def _native(
        self, place: int, attempt: int, function: Callable[..., Awaitable[Any]], kwargs: dict[str, object]
    ) -> None:
        value, error = None, None
        op = self._operations[place]
        start_ns = perf_counter_ns()
        if op is not None:
            op.start_ns = op.start_ns or start_ns
        try:
            value = await function(**kwargs)
        except BaseException as raised:  # noqa: BLE001  it is the task's, and handed on
            error = raised
        self._natives.pop(place, None)
        self._driver.ended(Ended(place, attempt, value, error, start_ns, perf_counter_ns()))

    def _take(self, ended: Ended) -> None:
        place, attempt, value, error, _, end_ns = ended
        call = self._calls.get(place)
        if call is not None and call.attempt == attempt:
            del self._calls[place]
            if not self._graph.tasks[place].inline:
                self._recording.waited(call.asked_ns, call.start_ns)
            if hasattr(value, "__await__"):
                self._go_on(call, value)
                return
        if self.schedule.courses[place].attempt == attempt:
            self._recording.end(self._operations.get(place), end_ns, error, self.schedule.ending(place))
        self.schedule.take(ended, perf_counter_ns())

    def _go_on(self, call: Call, value: Awaitable[Any]) -> None:
        """A plain function, such as a lambda, has returned something to wait for: it goes on as an async task."""

        async def rest() -> Any:
            return await value

        if self._driver.loop is not None:
            self._start_native(Order(call.place, call.attempt, cancels=False), rest, {}, call.context)
            return
        op = self._operations[call.place]
        whole = Call(call.place, call.attempt, lambda: asyncio.run(rest()), {}, op, call.context, self._driver.ended)
        self._call(whole, inline=False)

    def _cancel(self, order: Order) -> None:
        place, attempt, _ = order
        native = self._natives.get(place)
        if native is not None:
            native.cancel()
            return
        now_ns = perf_counter_ns()
        call = self._calls.pop(place, None)
        begun = False
        if call is not None:
            call.dropped = True
            begun = call.begun
            if begun:
                self._driver.abandon(call)
        ended = self.schedule.ending(place)
        self._recording.end(
            self._operations.get(place), now_ns, None, f"{ended}, its thread goes on" if begun else ended
        )
        self.schedule.abandon(place, attempt, now_ns, begun=begun)
