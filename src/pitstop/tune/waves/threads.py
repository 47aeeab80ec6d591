"""Threads for plain functions, shared by the process: reused, bounded, and gone when nobody needs them any more.

As Trio's thread cache: a thread that is idle waits for its next job on a lock of its own, the last one that became idle
gets the next job, so that those too many are never asked and end. Threads are daemons, because one that a timeout has
given up on must not keep the process from ending. Nor does it keep others from running: it counts no longer, and
another takes its place, up to a second bound.

`threading` is asked for its parts when they are needed, so that gevent's are used where it has replaced them.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Protocol

from pitstop.model.errors import TaskError

if TYPE_CHECKING:
    from typing import Self

MOST = 64  # threads of a process: what waits for a database or another service, not for a core
TIMES_ABANDONED = 4  # as many altogether, with those that timeouts have given up on: 256, 2 GB of address space
IDLE_S = 10.0  # before an idle thread ends: Trio's, and anyio's
_all: weakref.WeakSet[Threads] = weakref.WeakSet()


class Job(Protocol):
    """What a thread is given to do. It must not raise."""

    def __call__(self) -> Self | None:
        """Do it; what is to be done next by the same thread."""

    def refuse(self, error: TaskError) -> None:
        """There is no thread for it: when it is called now it is to fail with that, at once."""


class Threads:
    """Runs jobs in at most `most` threads; beyond that they wait, in order. Every method from any thread.

    A job that is handed in by a job, while no thread is free, runs at once where it is handed in:
    were it to wait, the threads that wait for it might be all there are.

    A thread whose job was abandoned counts no longer and ends when the job does. Where there are four times
    `most` with them, jobs are refused that would need another one, and those that wait.
    """

    def __init__(self, most: int = MOST, idle_s: float = IDLE_S) -> None:
        self.most = most
        self.bound = most * TIMES_ABANDONED
        self.idle_s = idle_s
        self.reset()
        _all.add(self)

    def reset(self) -> None:
        """Forget all threads, as the child of a fork has to."""
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._waiting: deque[Job] = deque()
        self._refused: deque[Job] = deque()
        self._refusing = False
        self._workers: set[_Worker] = set()
        self._number = self._abandoned = 0
        self._mine = threading.local()

    @property
    def number(self) -> int:
        """How many there are, idle ones with them, abandoned ones without."""
        return self._number

    @property
    def abandoned(self) -> int:
        """How many more there are that nobody waits for."""
        return self._abandoned

    def submit(self, job: Job) -> None:
        """Run `job` in a thread, now or when one is free; or tell it that it is refused, and call it."""
        with self._lock:
            if self._idle:
                self._idle.pop().give(job)
                return
            worker, here = None, getattr(self._mine, "working", False)
            if self._number < self.most and self._number + self._abandoned < self.bound:
                worker = self._new(job)
            elif not here and self._number < self.most:
                self._refused.append(job)
            elif not here:
                self._waiting.append(job)
                return
        if worker is not None:
            self._start(worker, job)
        elif here:
            _do(job)
        else:
            self._refuse()

    def abandon(self, job: Job) -> None:
        """Nobody waits for `job` any more. Nothing where no thread of its own does it, or it is over."""
        with self._lock:
            lost = next((each for each in self._workers if each.doing is job and not each.abandoned), None)
            if lost is None:
                return
            lost.abandoned = True
            self._number -= 1
            self._abandoned += 1
            if not self._waiting:
                return
            worker = None
            if self._number + self._abandoned < self.bound:
                job = self._waiting.popleft()
                worker = self._new(job)
            else:
                self._refused.extend(self._waiting)
                self._waiting.clear()
        if worker is not None:
            self._start(worker, job)
        else:
            self._refuse()

    def _new(self, job: Job) -> _Worker:
        self._number += 1
        worker = _Worker(self, job)
        self._workers.add(worker)
        return worker

    def _start(self, worker: _Worker, job: Job) -> None:
        try:
            worker.start()
        except RuntimeError:  # the system has no thread for us: it waits for one of ours, or runs here where none is
            with self._lock:
                self._number -= 1
                self._workers.discard(worker)
                if self._number:
                    self._waiting.append(job)
                    return
            _do(job)

    def _refuse(self) -> None:
        """Whoever hands a job in may hold what the job's end needs: another thread tells it, one beyond the bounds."""
        with self._lock:
            if self._refusing:
                return
            self._refusing = True
        try:
            threading.Thread(target=self._refuse_all, name="pitstop waves", daemon=True).start()
        except RuntimeError:
            self._refuse_all()

    def _refuse_all(self) -> None:
        while True:
            with self._lock:
                if not self._refused:
                    self._refusing = False
                    return
                job = self._refused.popleft()
                abandoned = self._abandoned
            job.refuse(
                TaskError(
                    f"no thread for it: of {self.bound} at most {abandoned} still do what a timeout has given up on; "
                    "give what they call a timeout of its own"
                )
            )
            following = job()
            if following is not None:
                self.submit(following)

    def next_job(self, worker: _Worker, job: Job | None) -> Job | None:
        """For a worker that is to do `job` next: that, or what has waited for longer; None, and it counts as idle."""
        if job is not None and not self._waiting and not worker.abandoned:
            return job
        with self._lock:
            worker.doing = None
            if worker.abandoned:
                self._abandoned -= 1
                self._workers.discard(worker)
            else:
                if job is not None:
                    self._waiting.append(job)
                if self._waiting:
                    return self._waiting.popleft()
                self._idle.append(worker)
                return None
        self._mine.working = False
        if job is not None:
            self.submit(job)
        return None

    def may_end(self, worker: _Worker) -> bool:
        """For a worker that has been idle for long: whether nobody has given it a job just now."""
        with self._lock:
            if worker in self._idle:
                self._idle.remove(worker)
                self._workers.discard(worker)
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
        self.doing: Job | None = None
        self.abandoned = False  # where it is set just when a job has ended the next one is still done here
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
                self.doing = job
                job = threads.next_job(self, job())
            if self.abandoned:
                return
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
