"""Real threads and locks, also where gevent or eventlet has replaced the standard ones.

The flusher must run while a greenlet computes, and its locks must not switch greenlets.
"""

from __future__ import annotations

import _thread  # noqa: F401  looked up by its name
import sys
import time  # noqa: F401  looked up by its name
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Lock(Protocol):
    """A plain lock of the operating system's."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102
    def locked(self) -> bool: ...  # noqa: D102
    def __enter__(self) -> bool: ...
    def __exit__(self, *exc: object) -> None: ...


def _original(name: str, module_name: str = "_thread") -> Any:
    for patcher, function in (("gevent.monkey", "get_original"), ("eventlet.patcher", "original")):
        module = sys.modules.get(patcher)
        if module is None:
            continue
        if function == "get_original":
            return module.get_original(module_name, name)
        return getattr(module.original(module_name), name)
    return getattr(sys.modules[module_name], name)


def allocate_lock() -> Lock:
    """A new, open lock."""
    lock: Lock = _original("allocate_lock")()
    return lock


def sleeper() -> Callable[[float], None]:
    """What suspends a thread for so many seconds: two thirds of what waiting for a lock with a timeout costs."""
    sleep: Callable[[float], None] = _original("sleep", "time")
    return sleep


def start_thread(function: Callable[[], None]) -> None:
    """Run `function` in a new daemon thread. Raises RuntimeError when no thread can be had."""
    # whichever thread imports `threading` first is the main one to it, and the interpreter waits at its end for all
    # others that it knows: were it ours, the process would never end
    import threading  # noqa: F401, PLC0415

    _original("start_new_thread")(function, ())


def can_start_threads() -> bool:
    """False inside uWSGI without ``--enable-threads``: there a new thread never runs."""
    uwsgi = sys.modules.get("uwsgi")
    options = getattr(uwsgi, "opt", None)
    if uwsgi is None or options is None:
        return True
    return bool(options.get("enable-threads") or options.get("threads"))
