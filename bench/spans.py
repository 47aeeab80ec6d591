"""Cost of what a host writes by hand, ns, and of being there at all: span, timeit, Timer, bypass, off; import, memory.

Run: ``python bench/spans.py``. The best of several runs is shown, the fold into histograms included where marked.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pitstop
from pitstop.instrument.asgi import RecordingMiddleware
from pitstop.record import CURRENT, RECORDER, Operation, Recorder
from pitstop.rollup.fold import Fold

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 3000
RUNS = 30


def best_ns(run: Callable[[], object]) -> float:
    """CPU of one call, the best of `RUNS` blocks, folding what was recorded included."""
    fold, best = Fold("bench"), float("inf")
    for _ in range(RUNS):
        root = Operation("http", time.perf_counter_ns())
        root.name = "GET /"
        CURRENT.set(root)
        start_ns = time.process_time_ns()
        for _ in range(CALLS):
            run()
        CURRENT.set(None)
        RECORDER.finish(root, time.perf_counter_ns())
        fold.add(RECORDER.drain().records, 0)
        best = min(best, (time.process_time_ns() - start_ns) / CALLS)
    return best


def function() -> None:
    """Nothing, which is timed."""


def with_span() -> None:
    """A span with two attributes."""
    with pitstop.span("price basket", {"items": 3, "currency": "EUR"}):
        pass


def with_clocks() -> None:
    """What no timing can do without."""
    time.perf_counter_ns()
    time.perf_counter_ns()


def by_hand(timed: Callable[[], None]) -> Callable[[], None]:
    """A timing decorator as people write it, which keeps nothing."""

    def run() -> None:
        start_ns = time.perf_counter_ns()
        try:
            timed()
        finally:
            time.perf_counter_ns() - start_ns

    return run


def with_timer() -> None:
    """A Timer with a sink of the host's own."""
    with pitstop.Timer(lambda *_: None, "fetch"):
        pass


def bypass_ns() -> dict[str, float]:
    """What a middleware adds that has nothing to record."""
    scope: dict[str, Any] = {"type": "http", "path": "/static/app.js", "method": "GET", "headers": []}
    on = Recorder()
    on.on = True

    def app(_scope: Any, _receive: Any, _send: Any) -> Any:
        return None

    handlers = {
        "bare": app,
        "static bypass": RecordingMiddleware(app, on, exclude=("/static/",)),
        "recording off": RecordingMiddleware(app, Recorder()),
    }
    best = dict.fromkeys(handlers, float("inf"))
    for _ in range(RUNS):
        for name, handler in handlers.items():
            call: Any = handler
            start_ns = time.process_time_ns()
            for _ in range(CALLS):
                call(scope, None, None)
            best[name] = min(best[name], (time.process_time_ns() - start_ns) / CALLS)
    return {name: ns - best["bare"] for name, ns in best.items() if name != "bare"}


def import_cost() -> tuple[float, float]:
    """Milliseconds and MiB that ``import pitstop`` adds to an interpreter, the least of several."""
    code = (
        "import time; pages = lambda: int(open('/proc/self/statm').read().split()[1]); a = pages();"
        "t = time.perf_counter(); import pitstop; print((time.perf_counter() - t) * 1e3, (pages() - a) / 256)"
    )
    with tempfile.TemporaryDirectory() as compiled:  # as installed: the first run compiles, the others find it done
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": compiled}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = [
            [
                float(part)
                for part in subprocess.check_output([sys.executable, "-c", code], text=True, env=environment).split()
            ]
            for _ in range(15)
        ]
    return min(run[0] for run in runs), min(run[1] for run in runs)


def main() -> None:
    """Print the table."""
    RECORDER.on = True
    RECORDER.capacity = 1_000_000
    timed = pitstop.timeit("fetch_data")(function)
    bare = best_ns(function)
    print(f"{'floor: two clock readings':<32} {best_ns(with_clocks) - bare:8.0f} ns")
    print(f"{'floor: a decorator by hand':<32} {best_ns(by_hand(function)) - bare:8.0f} ns")
    for name, run in (("span, two attributes", with_span), ("@timeit", timed), ("Timer with a sink", with_timer)):
        print(f"{name:<32} {best_ns(run) - bare:8.0f} ns, fold included")
    RECORDER.on = False
    print(f"{'@timeit, recording off':<32} {best_ns(timed) - bare:8.0f} ns")
    for name, ns in bypass_ns().items():
        print(f"{'ASGI middleware, ' + name:<32} {ns:8.0f} ns")
    import_ms, memory_mib = import_cost()
    print(f"{'import pitstop':<32} {import_ms:8.1f} ms, {memory_mib:.1f} MiB")


if __name__ == "__main__":
    main()
