"""One look at every thread: what it runs, for whom, and how much it has computed since the last look.

On-CPU time is measured, not sampled: a thread's CPU clock tells how much it has used since the last look, and that is
filed under the stack that it is next found computing in. The clock is read by the kernel's id of the thread: for a
thread that has ended that is an error, while `time.pthread_getcpuclockid` may crash, and ``/proc`` takes ten times as
long. A clock that stands still tells, too, that the thread has not run: its stack is the one it had, and is not read.
Of a thread that waits for work not even the clock is read each time, as long as its innermost frames are the same.
Threads that `threading` does not know, such as a server's in Rust, have no id we could ask for, and no CPU time.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

from pitstop.record.owners import owner_of, running_task_of
from pitstop.record.stacks import Stack, frames_of, stack_of, undisturbed
from pitstop.record.tally import CPU, WALL

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import FrameType

    from pitstop.record.operation import Operation
    from pitstop.record.watch import Beat

    Sample = tuple[Operation | None, str, Stack, int]

WAKING_NS = 30_000  # of CPU: waking up every 5 ms, as threads do that wait for the interpreter, takes less
SURE_EVERY = 8  # looks the clock of an idle thread is read: another wait may have frames at the same places
BUSY = 0.9  # of the time since the last look on a CPU is computing without a doubt
CPU_CLOCKS = sys.platform == "linux"


class _Thread:
    """What is known of a thread from one look to the next. `moved` stands in for a clock where there is none."""

    __slots__ = (
        "at",
        "below",
        "clock",
        "cpu_ns",
        "idle",
        "last",
        "moved",
        "native_id",
        "op",
        "owed_ns",
        "stack",
        "top",
    )

    def __init__(self) -> None:
        self.native_id = self.clock = self.cpu_ns = self.owed_ns = 0
        self.top = self.at = self.below = 0
        self.idle = False
        self.moved = False
        self.stack: Stack | None = None
        self.op: Operation | None = None
        self.last: tuple[Operation | None, Stack] | None = None  # where it was seen when it may have computed

    def stands_in(self, frame: FrameType) -> bool:
        """Whether its innermost frames are those that were read last; not sure, others may have taken their places."""
        return self.top == id(frame) and self.at == frame.f_lasti and self.below == id(frame.f_back)


class Sampler:
    """Keeps what is known of each thread. For one thread, `me` by its id, which it leaves out."""

    def __init__(self, beat: Beat | None) -> None:
        self.me = 0
        self.looks = 0
        self.threads: dict[int, _Thread] = {}
        self.doubtful: list[_Thread] = []
        self.known_ids: dict[int, int] = {}  # the kernel's, where that of `threading` is none or, after a fork, wrong
        self._beat = beat

    def look(self, elapsed_ns: int) -> list[Sample]:
        """Every thread's stack, for the time since the last look; `doubtful` then has those to look at once more."""
        return undisturbed(lambda: self._look(elapsed_ns))

    def _look(self, elapsed_ns: int) -> list[Sample]:  # noqa: C901  a call for each thread costs as much as the rest
        threading = sys.modules.get("threading")
        named = threading._active if threading is not None else {}  # noqa: SLF001  `enumerate` waits for a lock
        samples: list[Sample] = []
        doubtful = self.doubtful = []
        threads = self.threads
        self.looks += 1
        trust = self.looks % SURE_EVERY
        frames = sys._current_frames()  # noqa: SLF001  documented for such use
        for ident, frame in frames.items():
            if ident == self.me:
                continue
            thread = threads.get(ident)
            if thread is None:
                thread = threads[ident] = _Thread()
            elif thread.idle and trust and thread.stands_in(frame):
                continue
            native_id = self.known_ids.get(ident)
            if native_id is None:
                known = named.get(ident)
                native_id = None if known is None else known.native_id
            used_ns = self._cpu_used(thread, native_id)
            stack = thread.stack
            ran = used_ns > 0
            if stack is None or (used_ns and not (0 < used_ns < WAKING_NS and thread.stands_in(frame))):
                stack = self._read(thread, ident, frame)
                ran = ran or thread.moved
            if stack.ours:
                continue
            ran = ran and not stack.waits
            op = thread.op
            if ran or (op is not None and not (op.root or op).end_ns):
                samples.append((op, WALL, stack, elapsed_ns))
            if used_ns >= BUSY * elapsed_ns:
                samples.append((op, CPU, stack, used_ns))
            elif used_ns > 0:
                thread.owed_ns += used_ns
                if not stack.waits:
                    thread.last = (op, stack)
                    doubtful.append(thread)
        if len(threads) >= len(frames):  # which have this thread, too: some have ended
            samples += self.owed([thread for ident, thread in threads.items() if ident not in frames])
            self.threads = {ident: thread for ident, thread in threads.items() if ident in frames}
        del frame, frames
        return samples

    def _cpu_used(self, thread: _Thread, native_id: int | None) -> int:
        """CPU time since the last look, ns; -1 where there is no clock or this is the first look."""
        if native_id != thread.native_id:
            thread.native_id = native_id or 0
            thread.clock = _clock_of(native_id) if native_id and CPU_CLOCKS else 0
            thread.cpu_ns = 0
            thread.stack = None
        if not thread.clock:
            return -1
        try:
            cpu_ns = time.clock_gettime_ns(thread.clock)
        except OSError:  # it has just ended
            thread.clock = 0
            self.known_ids = {ident: known for ident, known in self.known_ids.items() if known != native_id}
            return -1
        used_ns = cpu_ns - thread.cpu_ns if thread.cpu_ns else -1
        thread.cpu_ns = cpu_ns
        return used_ns

    def _read(self, thread: _Thread, ident: int, frame: FrameType) -> Stack:
        frames = frames_of(frame)
        stack = stack_of(frames)
        op = owner_of(frames[stack.owner_at]) if stack.owner_at >= 0 else None
        beat = self._beat
        if op is None and beat is not None and beat.ident == ident and not stack.waits:
            op = running_task_of(beat.loop)
        thread.moved = not thread.clock and thread.stack is not None and thread.stack is not stack
        thread.stack, thread.op = stack, op
        thread.idle = stack.ours or (stack.waits and op is None)
        thread.top, thread.at, thread.below = id(frame), frame.f_lasti, id(frame.f_back)
        return stack

    def owed(self, threads: Iterable[_Thread]) -> list[Sample]:
        """What threads that end have computed and was never confirmed, where each was last seen."""
        samples: list[Sample] = []
        for thread in threads:
            if thread.last is not None and thread.owed_ns:
                samples.append((thread.last[0], CPU, thread.last[1], thread.owed_ns))
                thread.owed_ns = 0
        return samples

    def confirmed(self) -> list[Sample]:
        """Of the doubtful threads those that have computed since the look, a moment ago, and hence during it."""
        samples: list[Sample] = []
        for thread in self.doubtful:
            used_ns = self._cpu_used(thread, thread.native_id)
            if used_ns < 0:
                continue
            thread.owed_ns += used_ns
            if used_ns >= WAKING_NS and thread.stack is not None:
                samples.append((thread.op, CPU, thread.stack, thread.owed_ns))
                thread.owed_ns = 0
        return samples


def _clock_of(native_id: int) -> int:
    """The clock of a thread's CPU time, by the kernel's id: CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED of Linux."""
    return (~native_id << 3) | 6
