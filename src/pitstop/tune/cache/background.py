"""Refreshes that no caller waits for: a few threads for sync callers, tasks for async ones. When all are busy, none."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from pitstop.record.operation import set_current
from pitstop.record.timing import Span
from pitstop.tune.cache import steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.steps import Steps

MOST_AT_ONCE: Final = 8  # a refresh that finds no room is left to the next caller

_log = logging.getLogger("pitstop.cache")


class Background:
    """Carries out steps aside. `threads` and `tasks` answer whether they took them; if not, nothing was begun."""

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._room = threading.BoundedSemaphore(most)
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle = threading.Condition()
        self._running = 0

    def thread(self, name: str, begin: Callable[[], Steps[Any]]) -> bool:
        """In a thread of its own, which keeps the process from ending no more than a request does."""
        if not self._room.acquire(blocking=False):
            return False
        context = contextvars.copy_context()
        with self._idle:
            self._running += 1
        worker = threading.Thread(
            target=context.run, args=(self._work, name, begin), name=f"pitstop {name}", daemon=True
        )
        try:
            worker.start()
        except RuntimeError:  # no more threads to be had, or the interpreter is ending
            self._end()
            return False
        return True

    def task(self, name: str, begin: Callable[[], Steps[Any]]) -> bool:
        """In a task of the loop that runs here."""
        if len(self._tasks) >= MOST_AT_ONCE:
            return False
        task = asyncio.get_running_loop().create_task(_awork(name, begin), name=f"pitstop {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def drain(self, timeout_s: float) -> bool:
        """Wait until no thread is at work; whether that came to be."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._running, timeout_s)

    async def adrain(self) -> None:
        """Wait until this loop's tasks are done."""
        loop = asyncio.get_running_loop()
        if own := [task for task in self._tasks if task.get_loop() is loop]:
            await asyncio.wait(own)

    def _work(self, name: str, begin: Callable[[], Steps[Any]]) -> None:
        try:
            set_current(None)  # the request that noticed goes on, and ends, without it
            with Span(name):
                steps.run(begin())
        except Exception as error:  # noqa: BLE001  the old value serves on; the next caller tries again
            _log.warning("%s failed: %r", name, error)
        finally:
            self._end()

    def _end(self) -> None:
        self._room.release()
        with self._idle:
            self._running -= 1
            self._idle.notify_all()


async def _awork(name: str, begin: Callable[[], Steps[Any]]) -> None:
    set_current(None)
    try:
        with Span(name):
            await steps.arun(begin())
    except Exception as error:  # noqa: BLE001  as above
        _log.warning("%s failed: %r", name, error)
