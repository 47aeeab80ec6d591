"""anyio (≥ 4.0): how long a sync view of Starlette or FastAPI waits for a thread.

From the call of `anyio.to_thread.run_sync` to the function's start: the limiter's queue (40 threads by default), a new
thread where none is idle, and its wait to get to run. Filed as ``pool_wait`` / ``threads`` below the request.
"""

from __future__ import annotations

from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.model.series import POOL_WAIT
from pitstop.record.leaf import leaf
from pitstop.record.operation import get_current

if TYPE_CHECKING:
    from collections.abc import Callable

WAIT_NS = 100_000  # a shorter wait is handing over, and is not filed: there is one for each sync view
THREADS = "threads"


def run_sync(original: Callable[..., Any]) -> Callable[..., Any]:
    """For ``AsyncIOBackend.run_sync_in_worker_thread``: no coroutine of ours around it."""

    def run_sync_in_worker_thread(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if get_current() is None:
            return original(func, *args, **kwargs)
        return original(partial(_started, perf_counter_ns(), func), *args, **kwargs)

    return run_sync_in_worker_thread


def _started(asked_ns: int, func: Callable[..., Any], *args: Any) -> Any:
    """Runs in the thread, in a copy of the request's context."""
    now_ns = perf_counter_ns()
    if now_ns - asked_ns >= WAIT_NS:
        leaf(POOL_WAIT, THREADS, "ok", asked_ns, now_ns)
    return func(*args)
