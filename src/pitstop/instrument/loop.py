"""The heartbeat of the event loop that serves requests: how late it runs what is due, and who waited for it.

It beats every 50 ms; the profiler looks after it (`pitstop.record.watch`). A beat that is 10 ms late or more says that
the loop was held. Requests that were in flight for that time and not at work themselves have waited for it, and get a
child of kind ``loop_wait``. What they would have waited for anyway is not known: of what is recorded, such as a
statement, the time is divided in favour of that; a plain sleep counts as waiting for the loop.
"""

from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument.live import IN_FLIGHT, fault
from pitstop.model.series import HTTP, LOOP_WAIT
from pitstop.record.operation import Operation
from pitstop.record.recorder import RECORDER
from pitstop.record.watch import LATE_NS

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

    from pitstop.record.recorder import Recorder

BEAT_S = 0.05  # twenty wake-ups a second cost about 0.02 % of a core
_BEAT_NS = 50_000_000
WAITED_FOR = "event loop"


class LoopBeat:
    """Beats in one loop at a time, from its first request on (`wanted` asks for that) until it is closed.

    `ident`, `beat_ns`, `due_ns` and `ran` are as in `pitstop.record.watch.Beat`.
    """

    def __init__(self, recorder: Recorder = RECORDER) -> None:
        self.recorder = recorder
        self.wanted = False
        self.ident = 0
        self.loop: AbstractEventLoop | None = None
        self.beat_ns = 0
        self.due_ns = 0
        self.ran: dict[Operation, int] = {}
        self._most_ns = 0

    def watch(self) -> None:
        """Start beating in the loop this runs in."""
        self.wanted = False
        asyncio = sys.modules.get("asyncio")
        if asyncio is None:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # trio
            return
        if self.loop is loop:
            return
        import _thread  # noqa: PLC0415

        self.loop = loop
        self.ident = _thread.get_ident()
        self._schedule(loop)

    def alive(self) -> bool:
        """Whether the loop runs."""
        return self.loop is not None and self.loop.is_running()

    def _schedule(self, loop: AbstractEventLoop) -> None:
        self.beat_ns = perf_counter_ns()
        self.due_ns = self.beat_ns + _BEAT_NS
        loop.call_later(BEAT_S, self._tick, loop)

    def _tick(self, loop: AbstractEventLoop) -> None:
        if loop is not self.loop:
            return
        now_ns = perf_counter_ns()
        late_ns = now_ns - self.due_ns
        self._most_ns = max(self._most_ns, late_ns)
        ran = self.ran
        if ran:
            self.ran = {}
            if late_ns >= LATE_NS:
                self._file(ran, self.due_ns, now_ns)
        self._schedule(loop)

    def _file(self, ran: dict[Operation, int], due_ns: int, now_ns: int) -> None:
        """Who is in flight has waited since the beat was due, or since it began or was last seen at work."""
        try:
            for op in list(IN_FLIGHT):
                start_ns = max(due_ns, op.start_ns, ran.get(op, 0))
                if op.kind == HTTP and now_ns - start_ns >= LATE_NS and not op.end_ns and _in_loop(op):
                    child = Operation(LOOP_WAIT, start_ns)
                    child.name, child.outcome, child.root, child.parent = WAITED_FOR, "ok", op, op
                    child.end_ns = now_ns
                    self.recorder.finish_child(child)
        except Exception:  # noqa: BLE001  the host's loop goes on
            fault("loop.file")

    def take(self) -> float | None:
        """The longest lag since the last call, seconds; None when no loop is watched. What is overdue now counts."""
        loop = self.loop
        if loop is None or loop.is_closed():
            self.loop = None
            self.beat_ns = 0
            self.wanted = True
            return None
        most_ns, self._most_ns = self._most_ns, 0
        return max(most_ns, perf_counter_ns() - self.due_ns, 0) / 1e9

    def reset_after_fork(self) -> None:
        """A child has a loop of its own."""
        self.loop = None
        self.beat_ns = 0
        self.ran = {}
        self.wanted = True


def _in_loop(op: Any) -> bool:
    """Whether this is a request of an ASGI application: those of WSGI run in threads."""
    return hasattr(op, "scope")


LOOP = LoopBeat()
"""The loop that serves requests in this process."""
