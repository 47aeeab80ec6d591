"""A thread that does something every so often, lives across forks, and lets the process end."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING

from pitstop.rollup.native import allocate_lock, can_start_threads, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

_running: weakref.WeakSet[Rounds] = weakref.WeakSet()


class Rounds:
    """Calls `step` every `every_s` seconds in a daemon thread; what it raises is logged, once."""

    def __init__(self, every_s: float, step: Callable[[], None]) -> None:
        self.every_s = every_s
        self._step = step
        self._end = allocate_lock()
        self._ended = allocate_lock()
        self._complained: set[str] = set()
        self.running = False

    def start(self) -> None:
        """Once; again after `stop`. Nothing where no thread can be had."""
        if self.running or not can_start_threads():
            return
        self._end, self._ended = allocate_lock(), allocate_lock()
        self._end.acquire()
        self._ended.acquire()
        self.running = True
        _running.add(self)
        try:
            start_thread(self._run)
        except RuntimeError:
            self.running = False

    def stop(self, timeout_s: float = 2.0) -> None:
        """End it, and wait for the round that runs."""
        if not self.running:
            return
        self.running = False
        _running.discard(self)
        self._end.release()
        self._ended.acquire(timeout=timeout_s)

    def _run(self) -> None:
        end, ended = self._end, self._ended
        while not end.acquire(timeout=self.every_s):
            try:
                self._step()
            except Exception as error:
                if repr(error) not in self._complained and len(self._complained) < 16:  # noqa: PLR2004
                    self._complained.add(repr(error))
                    logging.getLogger("pitstop").exception("pitstop: a round of %r failed", self._step)
        ended.release()

    def reset_after_fork(self) -> None:
        """The thread is the parent's; the child gets one of its own."""
        self.running = False
        self.start()


def _after_fork() -> None:
    for each in list(_running):
        each.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
