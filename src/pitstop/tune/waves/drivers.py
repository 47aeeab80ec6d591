"""Who waits for a run, and where its tasks begin: a thread, or a coroutine on its loop.

In sync code the thread that ends a task takes the next step itself and goes on with what that starts: handing both over
to the thread that asked for the run would wake two threads for each task, which takes five times as long.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from pitstop.tune.waves.running import Call, Run
    from pitstop.tune.waves.schedule import Ended
    from pitstop.tune.waves.threads import Threads


class InThread:
    """For plain tasks only, from sync code. Inline tasks run in the thread that asked."""

    loop = None

    def __init__(self, threads: Threads) -> None:
        self._threads = threads
        self._lock = threading.Lock()
        self._box: queue.SimpleQueue[Call | None] = queue.SimpleQueue()  # inline calls; None: look again
        self._asked = threading.get_ident()
        self._started: list[Call] = []
        self._abandoned: list[Call] = []
        self._wait_s: float | None = None
        self._fault: BaseException | None = None

    def drive(self, run: Run) -> None:
        """Until everything has ended. Raises KeyboardInterrupt or SystemExit where a task did, or somebody sent it."""
        self._run: Run | None = run
        self._context = copy_context()
        try:
            self._wait(run)
        except BaseException:
            with self._lock:
                run.stop()
                abandoned, self._abandoned = self._abandoned, []
            for call in abandoned:
                self._threads.abandon(call)
            raise

    def let_go(self) -> None:
        """No thread is going to come back: leave nothing to the garbage collector. The last one may be on its way."""
        with self._lock:
            self._run = None

    def _wait(self, run: Run) -> None:
        self._step(None)
        while not run.finished and self._fault is None:
            try:
                call = self._box.get(timeout=self._wait_s)
            except queue.Empty:
                call = None
            if call is not None:
                call()
            else:
                self._step(None)
        if self._fault is not None:
            raise self._fault

    def start(self, call: Call, *, inline: bool) -> None:
        """What a step starts: it is handed out when the step has been taken."""
        if inline:
            self._box.put(call)
        else:
            self._started.append(call)

    def abandon(self, call: Call) -> None:
        """The threads are told when the step has been taken."""
        self._abandoned.append(call)

    def ended(self, ended: Ended) -> Call | None:
        """From any thread; what that one does next."""
        return self._step(ended)

    def _step(self, ended: Ended | None) -> Call | None:
        asks = threading.get_ident() == self._asked
        with self._lock:
            run = self._run
            if run is None:
                return None
            before_s = self._wait_s
            try:
                wait_s = self._wait_s = self._context.run(run.step, ended)
            except BaseException as fault:  # noqa: BLE001  raised where the run was asked for
                self._fault, wait_s = fault, None
            started, self._started = self._started, []
            abandoned, self._abandoned = self._abandoned, []
            look = run.finished or self._fault is not None
        mine = None if asks or not started else started.pop(0)
        for call in abandoned:
            self._threads.abandon(call)
        for call in started:
            self._threads.submit(call)
        if not asks and (look or (wait_s is not None and (before_s is None or wait_s < before_s))):
            self._box.put(None)
        return mine


class OnLoop:
    """For any tasks, from async code. Everything but plain tasks runs in the loop's thread."""

    def __init__(self, threads: Threads, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._threads = threads
        self._thread = threading.get_ident()
        self._inline: deque[Call] = deque()
        self._ended: deque[Ended] = deque()
        self._waiter: asyncio.Future[None] | None = None

    async def drive(self, run: Run) -> None:
        """The same. Cancelled, it cancels all that runs and waits for a second at most until that has ended."""
        try:
            wait_s = run.step()
            while not run.finished:
                if self._inline:
                    self._inline.popleft()()
                wait_s = run.step(await self._next(wait_s))
        except BaseException:
            await run.stopped()
            raise

    def start(self, call: Call, *, inline: bool) -> None:
        """What a step starts."""
        if inline:
            self._inline.append(call)
        else:
            self._threads.submit(call)

    def abandon(self, call: Call) -> None:
        """Its thread is told at once."""
        self._threads.abandon(call)

    def ended(self, ended: Ended) -> None:
        """From any thread. What ends when the loop is closed has been given up long ago."""
        if threading.get_ident() == self._thread:
            self._put(ended)
            return
        try:
            self.loop.call_soon_threadsafe(self._put, ended)
        except RuntimeError:
            if not self.loop.is_closed():
                raise

    def _put(self, ended: Ended) -> None:
        self._ended.append(ended)
        self._wake()

    async def _next(self, wait_s: float | None) -> Ended | None:
        """What has ended and was not yet taken; None when there is nothing for so long, seconds."""
        if not self._ended and not self._inline:
            waiter = self._waiter = self.loop.create_future()
            timer = None if wait_s is None else self.loop.call_later(wait_s, self._wake)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        return self._ended.popleft() if self._ended else None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
