"""Threads and executors carry the running operation: what they do belongs to the request that asked for it.

``ThreadPoolExecutor.submit`` (and with it ``loop.run_in_executor`` and ``asyncio.to_thread``), ``Thread.start`` where
the thread runs the host's own code, and anyio's worker threads, in which Starlette and FastAPI run sync endpoints. Only
our own variable is carried, because what else a context holds is the host's to decide. Work that waits for a thread
for `WAITED_NS` or longer has a `pool_wait` below its operation.

A library's own threads live on after the request that happened to start them, and are left as they are.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.model.series import POOL_WAIT
from pitstop.record.caller import OWN
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current, reset_current, set_current
from pitstop.record.owners import owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from pitstop.instrument.replacing import Point
    from pitstop.record.operation import Operation

WAITED_NS = 100_000  # handing over to an idle thread takes about half as long
POOL = "threads"
_UNWRAPPED = 10  # functions in functions that are looked through


class _Carried:
    """A call that runs in another thread as if in the operation that asked for it."""

    __slots__ = ("_asked_ns", "_call", "_op")

    def __init__(self, op: Operation, call: Callable[..., Any], asked_ns: int) -> None:
        self._op = op
        self._call = call
        self._asked_ns = asked_ns

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        token = set_current(self._op)
        try:
            began_ns = perf_counter_ns()
            if self._asked_ns and began_ns - self._asked_ns >= WAITED_NS:
                leaf(POOL_WAIT, POOL, "ok", self._asked_ns, began_ns)
            return self._call(*args, **kwargs)
        finally:
            reset_current(token)


owned(_Carried.__call__, "self", "_op")  # for whoever samples stacks


def _submit(submit: Any) -> Any:
    def carried(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        op = get_current()
        if op is not None and callable(fn):
            fn = _Carried(op, fn, perf_counter_ns())
        return submit(self, fn, *args, **kwargs)

    return carried


def _start(start: Any) -> Any:
    def carried(self: Any) -> None:
        op = get_current()
        if op is not None and "run" not in vars(self) and _is_own(self):
            self.run = _Run(op, self)
        start(self)

    return carried


class _Run:
    """Stands in for ``run`` of one thread until it begins."""

    __slots__ = ("_op", "_thread")

    def __init__(self, op: Operation, thread: Any) -> None:
        self._op = op
        self._thread = thread

    def __call__(self) -> None:
        thread = self._thread
        del thread.run
        _Carried(self._op, thread.run, 0)()


def _is_own(thread: Any) -> bool:
    """Whether what `thread` is about to run is the host's own code."""
    run = type(thread).run
    target = getattr(thread, "_target", None) if run.__module__ == "threading" else run
    if target is None:  # a Timer, which keeps its function elsewhere
        target = getattr(thread, "function", None)
    for _ in range(_UNWRAPPED):
        code = getattr(target, "__code__", None)
        if code is not None:
            return OWN[code.co_filename]
        inner = getattr(target, "__func__", None) or getattr(target, "func", None)  # of a method, of a partial
        target = inner or type(target).__call__
    return False


def _run_sync(run_sync: Any) -> Any:
    def carried(func: Any, *args: Any, **kwargs: Any) -> Any:
        op = get_current()
        if op is not None:
            func = _Carried(op, func, perf_counter_ns())
        return run_sync(func, *args, **kwargs)

    return carried


_POINTS: dict[str, tuple[Point, ...]] = {
    "concurrent.futures.thread": (("ThreadPoolExecutor", "submit", _submit),),
    "threading": (("Thread", "start", _start),),
    "anyio.to_thread": (("", "run_sync", _run_sync),),
}


def attach(module: ModuleType) -> None:
    """Let `module` carry operations into its threads."""
    replacing.attach(module, _points(module))


def detach(module: ModuleType) -> None:
    """Put back what was there."""
    replacing.detach(module, _points(module))


def _points(module: ModuleType) -> Iterable[Point]:
    return _POINTS[module.__name__]
