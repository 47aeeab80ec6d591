"""Threads for plain functions, shared by the process: reused, bounded, and gone when nobody needs them any more.

As Trio's thread cache: a thread that is idle waits for its next job on a lock of its own, the last one that became idle
gets the next job, so that those too many are never asked and end. Threads are daemons, because one that a timeout has
given up on must not keep the process from ending.

`threading` is asked for its parts when they are needed, so that gevent's are used where it has replaced them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

MOST = 64  # threads of a process: what waits for a database or another service, not for a core
IDLE_S = 10.0  # before an idle thread ends: Trio's, and anyio's
_all: weakref.WeakSet[Threads] = weakref.WeakSet()


class Job(Protocol):
    """What a thread is given to do. It must not raise."""

    def __call__(self) -> Self | None:
        """Do it; what is to be done next by the same thread."""


class Threads:
    """Runs jobs in at most `most` threads; beyond that they wait, in order. Every method from any thread.

    A job that is handed in by a job, while no thread is free, runs at once where it is handed in:
    were it to wait, the threads that wait for it might be all there are.
    """

    def __init__(self, most: int = MOST, idle_s: float = IDLE_S) -> None:
        self.most = most
        self.idle_s = idle_s
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget all threads, as the child of a fork has to."""
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._number = 0
        self._mine = threading.local()

    @property
    def number(self) -> int:
        """How many there are, idle ones with them."""
        return self._number

    def submit(self, job: Job) -> None:
        """Run `job` in a thread, now or when one is free."""
        with self._lock:
            if self._idle:
                self._idle.pop().give(job)
                return
            if self._number >= self.most:
                if not getattr(self._mine, "working", False):
                    self._waiting.append(job)
                    return
                worker = None
            else:
                self._number += 1
                worker = _Worker(self, job)
        if worker is None:
            _do(job)
            return
        try:
            worker.start()
        except RuntimeError:  # the system has no thread for us: it waits for one of ours, or runs here where none is
            with self._lock:
                self._number -= 1
                if self._number:
                    self._waiting.append(job)
                    return
            _do(job)

    def next_job(self, worker: _Worker, job: Job | None) -> Job | None:
        """For a worker that is to do `job` next: that, or what has waited for longer; None, and it counts as idle."""
        if job is not None and not self._waiting:
            return job
        with self._lock:
            if job is not None:
                self._waiting.append(job)
            if self._waiting:
                return self._waiting.popleft()
            self._idle.append(worker)
            return None

    def may_end(self, worker: _Worker) -> bool:
        """For a worker that has been idle for long: whether nobody has given it a job just now."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self._number -= 1
                return True
            return False


def _do(job: Job | None) -> None:
    while job is not None:
        job = job()


class _Worker:
    def __init__(self, threads: Threads, job: Job) -> None:
        self._threads = threads
        self._job: Job | None = job
        self._given = threading.Lock()
        self._given.acquire()

    def start(self) -> None:
        threading.Thread(target=self._work, name="pitstop waves", daemon=True).start()

    def give(self, job: Job) -> None:
        self._job = job
        self._given.release()

    def _work(self) -> None:
        threads = self._threads
        threads._mine.working = True  # noqa: SLF001  the two are one thing
        while True:
            job, self._job = self._job, None
            while job is not None:
                job = threads.next_job(self, job())
            while not self._given.acquire(timeout=threads.idle_s):
                if threads.may_end(self):
                    return


THREADS = Threads()
"""The process's own."""


def _after_fork() -> None:
    for each in list(_all):
        each.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
