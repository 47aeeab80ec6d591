"""Cost of the always-on profiler at 100 looks a second, with 10 threads and stacks of 50 frames.

Run: ``python bench/profiler.py``. Beside it the plain loop that most profilers in process are: every thread's frames
folded at each look. Three figures: CPU of the sampling thread as a share of one core; how much less the busy threads
get done for each second of CPU the process takes, the sampling included, against blocks without (alternating); looks a
second that came about. The budget of 1 % of one core is about the first; the profiler holds it by looking less often,
so it is shown without that, too.
"""

from __future__ import annotations

import statistics
import sys
import threading
import time
from typing import TYPE_CHECKING

from pitstop.record.operation import Operation
from pitstop.record.owners import owned
from pitstop.record.profiler import Profiler
from pitstop.rollup.native import allocate_lock, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

HZ = 100
FRAMES = 50
THREADS = 10
BLOCK_S = 2.0
BLOCKS = 5

done = [0] * THREADS
end = threading.Event()


def deep(levels: int, view: Callable[[], None]) -> None:
    """The view below that many frames."""
    if levels:
        deep(levels - 1, view)
    else:
        view()


def serve(op: Operation, view: Callable[[], None]) -> None:
    """Stands for an adapter: the thread works for `op`."""
    deep(FRAMES - 5, view)
    del op


owned(serve, "op")


def busy(which: int) -> Callable[[], None]:
    """Pure Python that never waits, of several lines and calls."""

    def step(n: int) -> int:
        return n * 3 % 7

    def view() -> None:
        n = 0
        while not end.is_set():
            for _ in range(200):
                n = step(n) + 1
            done[which] += 1

    return view


class Naive:
    """Reads and folds every stack at each look, as a first version would."""

    def __init__(self) -> None:
        self.looks = 0
        self.cpu_s = 0.0
        self.stopped = False
        self.counts: dict[str, int] = {}
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Until stopped."""
        me = threading.get_ident()
        while not self.stopped:
            time.sleep(1 / HZ)
            for ident, top in sys._current_frames().items():  # noqa: SLF001
                if ident != me:
                    frames, frame = [], top
                    while frame is not None:
                        code = frame.f_code
                        frames.append(f"{code.co_qualname} ({code.co_filename}:{frame.f_lineno})")
                        frame = frame.f_back
                    text = ";".join(reversed(frames))
                    self.counts[text] = self.counts.get(text, 0) + 1
            self.looks += 1
            self.cpu_s = time.thread_time()

    def start(self) -> None:
        """In a thread."""
        self.thread.start()

    def stop(self) -> None:
        """And wait for its end."""
        self.stopped = True
        self.thread.join()


class Ours:
    """The profiler, and the CPU of its thread."""

    def __init__(self, budget: float) -> None:
        self.cpu_s = 0.0
        self.profiler = Profiler(
            HZ, service="bench", start_thread=self.start_thread, allocate_lock=allocate_lock, budget=budget
        )

    def start_thread(self, run: Callable[[], None]) -> None:
        """With a clock around it."""

        def measured() -> None:
            run()
            self.cpu_s = time.thread_time()

        start_thread(measured)

    @property
    def looks(self) -> int:
        """So far."""
        return self.profiler.looks

    def start(self) -> None:
        """In a thread of its own."""
        self.profiler.start()

    def stop(self) -> None:
        """And wait until its CPU is known."""
        self.profiler.stop()
        begun_s = time.thread_time()
        self.profiler.profiles()  # what the flusher's thread does with it
        folded_s = time.thread_time() - begun_s
        deadline_s = time.monotonic() + 5
        while not self.cpu_s and time.monotonic() < deadline_s:
            time.sleep(0.001)
        self.cpu_s += folded_s


def work_per_cpu_s() -> float:
    """Steps that the busy threads do for a second of the process's CPU, over one block."""
    before, cpu_s = sum(done), time.process_time()
    time.sleep(BLOCK_S)
    return (sum(done) - before) / (time.process_time() - cpu_s)


def measure(make: Callable[[], Naive | Ours]) -> tuple[float, float, float]:
    """CPU of sampling over wall time, loss of work per CPU, looks a second, of several short runs together."""
    losses, cpu_s, wall_s, looks = [], 0.0, 0.0, 0
    for _ in range(BLOCKS):
        without = work_per_cpu_s()
        sampler = make()
        begun_s = time.monotonic()
        sampler.start()
        losses.append(1 - work_per_cpu_s() / without)
        wall_s += time.monotonic() - begun_s
        sampler.stop()
        cpu_s += sampler.cpu_s
        looks += sampler.looks
    return cpu_s / wall_s, statistics.median(losses), looks / wall_s


def main() -> None:
    """Both loads, each sampler."""
    print(f"{'':34}{'CPU of a core':>15}{'work lost':>12}{'looks/s':>10}{'µs a look':>11}")
    for busy_threads in (1, THREADS):
        end.clear()
        views = [busy(n) if n < busy_threads else end.wait for n in range(THREADS)]
        threads = [
            threading.Thread(target=serve, args=(Operation("http", 1), view))
            if n < busy_threads
            else threading.Thread(target=deep, args=(FRAMES - 5, view))  # waits for work, in no request
            for n, view in enumerate(views)
        ]
        for thread in threads:
            thread.start()
        print(f"{busy_threads} busy, {THREADS - busy_threads} idle threads")
        rows: dict[str, Callable[[], Naive | Ours]] = {
            "plain loop over the frames": Naive,
            "pitstop, budget off": lambda: Ours(1.0),
            "pitstop, budget 1 %": lambda: Ours(0.01),
        }
        for name, make in rows.items():
            cpu_ratio, lost_ratio, rate_hz = measure(make)
            look_us = 1e6 * cpu_ratio / rate_hz
            print(f"  {name:32}{100 * cpu_ratio:13.2f} %{100 * lost_ratio:10.2f} %{rate_hz:10.1f}{look_us:11.0f}")
        end.set()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
