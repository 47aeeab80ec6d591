"""Always-on sampling of every thread's stack, in process, within a budget.

Some 50 times a second, jittered, a thread reads `sys._current_frames()`. Wall time is sampled: each stack that is seen
stands for the time since the last look, however late this one is. A thread in no request counts where it has computed
since, not where it waits for work; a thread in a request always counts, whatever it waits for.

Like every sampler in process it sees threads where they let go of the interpreter: code in C that holds it shows at the
line that called it, and late. Under gevent only the running greenlet has a stack.
"""

from __future__ import annotations

import os
import sys
import time
from time import perf_counter_ns
from typing import TYPE_CHECKING, Protocol

from pitstop.record.owners import find_foreign
from pitstop.record.sampler import CPU_CLOCKS, Sampler
from pitstop.record.stacks import forget, undisturbed
from pitstop.record.tally import Tally
from pitstop.record.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.model.columns import Profiles
    from pitstop.record.watch import Beat

BUDGET_RATIO = 0.01  # of one core: design.md's budget for profiles
PIECE_S = 0.1  # of sleep; how long an end or a burst may wait to be seen
SLOWEST_S = 2.0  # between two looks when one is dear
SHED = 10  # times fewer looks while recording sheds
CONFIRM_S = 0.0003  # how soon after a look a thread must be seen to compute to have computed during it
CONFIRM_EVERY = 3  # looks: it costs as much as a look, and what is not confirmed now is owed until it is
LATE = 1.5  # times as long as planned is late
_GOLDEN = 0.6180339887  # steps of this share never come back to where they were: jitter without a generator
_STOP_S = 1.0
_SMOOTH = 0.1  # of a new cost in the running mean


class Lock(Protocol):
    """A lock of the operating system's, also under gevent."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool: ...  # noqa: D102
    def release(self) -> None: ...  # noqa: D102
    def __enter__(self) -> bool: ...
    def __exit__(self, *exc: object) -> None: ...


class Profiler:
    """Samples this process at `hz` from `start` to `stop`; `profiles` hands over what was seen.

    It takes at most `budget` of one core, by its own CPU clock, and looks less often where that is not enough; `shed`
    says that recording costs too much altogether. `start_thread`, `allocate_lock` and `sleeper` must give real ones;
    `beat` is the event loop's, `event` takes (kind, text) of what happened.
    """

    def __init__(
        self,
        hz: float,
        *,
        service: str,
        start_thread: Callable[[Callable[[], None]], None],
        allocate_lock: Callable[[], Lock],
        sleeper: Callable[[], Callable[[float], None]] = lambda: time.sleep,
        budget: float = BUDGET_RATIO,
        beat: Beat | None = None,
        event: Callable[[str, str], None] = lambda _kind, _text: None,
        shed: Callable[[], bool] = lambda: False,
    ) -> None:
        self.hz = hz
        self.service = service
        self.budget = budget
        self._start_thread = start_thread
        self._allocate_lock = allocate_lock
        self._sleeper = sleeper
        self._beat = beat
        self._event = event
        self._shed = shed
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.running = False
        self.stopped = False
        self.looks = self.late = 0
        self.cost_s = 0.0
        self.tally = Tally(self.service)
        self.extra: Tally | None = None  # takes everything, too, while somebody has asked for it
        self.extra_hz = 0.0
        self._extra_until_ns = 0
        self._final = False
        self._watch = Watch(self._beat)
        self._sampler = Sampler(self._beat)
        self._sleep: Callable[[float], None] = time.sleep
        self._ended = self._allocate_lock()
        self._last = (0, 0.0)

    def reset_after_fork(self) -> None:
        """In the child: forget the parent's thread and samples."""
        self._start_afresh()

    def start(self) -> None:
        """Start the thread, in a thread of the host's. Never at import, and once in each process."""
        if self.running or self.stopped or self.hz <= 0:
            return
        import _thread  # noqa: PLC0415

        known_ids = self._sampler.known_ids
        threading = sys.modules.get("threading")
        if threading is not None and CPU_CLOCKS:  # Linux: the first thread's id is the process's; a fork changes it
            known_ids[threading.main_thread().ident or 0] = os.getpid()
        # under gevent `threading` knows greenlets and not the thread they run in, which is this one
        known_ids[_real_ident()] = _thread.get_native_id()
        self.running = True
        try:
            self._ended.acquire()
            self._start_thread(self._run)
        except RuntimeError:  # no more threads
            self.running = False
            self._ended.release()

    def stop(self) -> None:
        """End the thread; `profiles` then gives all that is left."""
        self.stopped = self._final = True
        if self.running and self._ended.acquire(timeout=_STOP_S):
            self._ended.release()

    def burst(self, seconds: float, hz: float) -> Tally:
        """Sample at `hz`, whatever that costs, for `seconds`; what collects it apart from the rest."""
        extra = Tally(self.service)
        self.extra_hz = hz
        self._extra_until_ns = perf_counter_ns() + int(seconds * 1e9)
        self.extra = extra
        return extra

    def finish_burst(self) -> None:
        """Go on as before."""
        self.extra = None

    def hand_over(self) -> None:
        """Let the next `profiles` give everything."""
        self._final = True

    def profiles(self) -> Profiles:
        """Rows since the last call, ten seconds' at a time; for the flusher's thread."""
        final, self._final = self._final, False
        now_s = time.time()
        for text in self._watch.told(now_s, final=final):
            self._event("blocked", text)
        return self.tally.take(now_s, final=final or self.stopped)

    def gauges(self) -> dict[str, float]:
        """What profiling does, and costs as a share of one core, since the last call."""
        cpu_s, at_s = self.cost_s, time.monotonic()
        looks, since_s = self._last
        self._last = (self.looks, at_s)
        elapsed_s = at_s - since_s
        if not since_s or elapsed_s <= 0:
            return {}
        rate_hz = (self.looks - looks) / elapsed_s
        return {
            "pitstop.profile_hz": rate_hz,
            "pitstop.profile_ratio": rate_hz * cpu_s,
            "pitstop.profile_late": float(self.late),
        }

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        pid = os.getpid()
        sleep = self._sleep = self._sleeper()
        self._sampler.me = _real_ident()
        jitter = 0.0
        before_ns = perf_counter_ns()
        cpu_s = time.thread_time()
        modules = 0
        try:
            while os.getpid() == pid:
                jitter = (jitter + _GOLDEN) % 1.0
                planned_s = self._period_s() * (0.5 + jitter)
                if not self._rest(sleep, planned_s):
                    break
                now_ns = perf_counter_ns()
                elapsed_ns, before_ns = now_ns - before_ns, now_ns
                self.looks += 1
                self.late += elapsed_ns > LATE * planned_s * 1e9
                try:
                    if modules != len(sys.modules):
                        modules = len(sys.modules)
                        if find_foreign():
                            forget()
                    self._take(now_ns, elapsed_ns)
                except Exception as error:  # noqa: BLE001  the host must not be told by a traceback of ours
                    self._complain(error)
                now_s = time.thread_time()
                spent_s, cpu_s = now_s - cpu_s, now_s
                self.cost_s += (spent_s - self.cost_s) * _SMOOTH if self.cost_s else spent_s
            self.tally.add(self._sampler.owed(self._sampler.threads.values()), time.time())
        finally:
            self._ended.release()

    def _rest(self, sleep: Callable[[float], None], seconds: float) -> bool:
        """Sleep, in pieces so that an end or a burst is not waited for; False at the end."""
        extra = self.extra
        while seconds > 0 and not self.stopped and self.extra is extra:
            sleep(min(seconds, PIECE_S))
            seconds -= PIECE_S
        return not self.stopped

    def _period_s(self) -> float:
        """So long that one look's cost is within the budget."""
        if self.extra is not None and perf_counter_ns() < self._extra_until_ns:
            return 1 / self.extra_hz
        period_s = max(1 / self.hz, self.cost_s / self.budget)
        return min(period_s * SHED if self._shed() else period_s, SLOWEST_S)

    def _take(self, now_ns: int, elapsed_ns: int) -> None:
        """One look, and what came of it."""
        sampler = self._sampler
        samples = sampler.look(elapsed_ns)
        samples += self._watch.look(sampler.threads, now_ns, elapsed_ns)
        if sampler.doubtful and not self.looks % CONFIRM_EVERY:
            self._sleep(CONFIRM_S)
            samples += sampler.confirmed()
        if not samples:
            return
        now_s = time.time()
        self.tally.add(samples, now_s)
        extra = self.extra
        if extra is not None and now_ns < self._extra_until_ns:
            extra.add(samples, now_s)

    def _complain(self, error: Exception) -> None:
        self.stopped = True
        import logging  # noqa: PLC0415

        logging.getLogger("pitstop").warning("pitstop: profiling stops, this is a fault of ours: %r", error)


def _real_ident() -> int:
    """The id of this thread as `sys._current_frames` has it, also where gevent has replaced `get_ident`."""

    def read() -> int:
        here = sys._getframe()  # noqa: SLF001
        for ident, frame in sys._current_frames().items():  # noqa: SLF001
            if frame is here:
                return ident
        return 0

    return undisturbed(read)
