"""Logic that is written once and run in both colours: a generator yields steps, a driver carries them out.

A step has `run` and `arun`. What it answers or raises goes back into the generator, so that ``try`` around a ``yield``
works as it reads, cancellation included.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Step(Protocol):
    """Something that may block."""

    def run(self) -> Any:
        """Do it here and now."""
        ...

    async def arun(self) -> Any:
        """Do it without holding the event loop up."""
        ...


Steps = Generator[Step, Any, T]


class Ask:
    """A method of a level, by its plain name."""

    __slots__ = ("args", "level", "method")

    def __init__(self, level: object, method: str, *args: object) -> None:
        self.level = level
        self.method = method
        self.args = args

    def run(self) -> Any:
        """Call it."""
        return getattr(self.level, self.method)(*self.args)

    async def arun(self) -> Any:
        """Await its twin; of `wait` that is ``await_``."""
        name = "await_" if self.method == "wait" else f"a{self.method}"
        return await getattr(self.level, name)(*self.args)


class Stopped(Exception):  # noqa: N818  it is no error of ours
    """Carries the host's StopIteration through steps, where it would turn into a RuntimeError (PEP 479)."""

    def __init__(self, error: StopIteration) -> None:
        super().__init__(error)
        self.error = error


class Compute:
    """The host's function, which may be a coroutine function where there is a loop."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def run(self) -> Any:
        """Call it. Raises Stopped for its StopIteration."""
        try:
            return self.function()
        except StopIteration as error:
            raise Stopped(error) from None

    async def arun(self) -> Any:
        """Call it, and await what it returns where that can be awaited."""
        value = self.function()
        return await value if inspect.isawaitable(value) else value


def run(steps: Steps[T]) -> T:
    """Carry out `steps` in this thread."""
    try:
        step = next(steps)
        while True:
            try:
                answer = step.run()
            except BaseException as error:  # noqa: BLE001  the generator decides, and raises it again
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a generator's result has its type
    except Stopped as carried:
        stopped = carried.error
    raise stopped  # out here, so that ours is not its context


async def arun(steps: Steps[T]) -> T:
    """Carry out `steps` in this task."""
    try:
        step = next(steps)
        while True:
            try:
                answer = await step.arun()
            except BaseException as error:  # noqa: BLE001  as above
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # as above
    except Stopped as carried:  # of a thread that led
        stopped = carried.error
    raise stopped  # a RuntimeError by the time it leaves a coroutine, as ever
