"""Probes that run on schedules of their own, and what came of them, in the store.

A thread a probe, so one that hangs delays none; one thread writes. While the store cannot be written, results wait,
bounded, and go in unchanged. What the dashboard shows is a series like any other: kind ``probe``, name the probe's.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections import deque
from secrets import token_hex
from typing import TYPE_CHECKING

from pitstop.model import Batch, Rollups, Series, StoreError
from pitstop.model.series import PROBE
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of
from pitstop.watch.probes import Probed, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pitstop.watch.probes import Probe, Way

MOST_PROBES = 100
MOST_WAITING = 10_000  # results: five minutes of the most probes there may be, once a second each, and more
WRITE_EVERY_S = 1.0
_STOP_S = 5.0
_log = logging.getLogger("pitstop")


class Prober:
    """Runs `probes` from `start` to `stop`, through `egress`, and gives what came of them to `append`.

    The first MOST_PROBES of them; `left_out` are the others. Not for use after a fork: the child starts its own.
    """

    def __init__(self, probes: Sequence[Probe], append: Callable[[Batch], None], egress: Way) -> None:
        self.probes = tuple(probes[:MOST_PROBES])
        self.left_out = tuple(probes[MOST_PROBES:])
        self.dropped = 0
        self._append = append
        self._egress = egress
        self._end = threading.Event()
        self._done: deque[tuple[Probe, Probed]] = deque()
        self._last: dict[str, Probed] = {}
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._worker = f"probe:{os.getpid()}:{token_hex(4)}"
        self._seq = 0
        self._batch: Batch | None = None

    def start(self) -> None:
        """Begin; the first runs are spread over each probe's interval, at most ten seconds."""
        if self._threads:
            return
        self._threads = [
            threading.Thread(target=self._probe, args=(probe,), name=f"pitstop-probe-{number}", daemon=True)
            for number, probe in enumerate(self.probes)
        ]
        if self._threads:
            self._threads.append(threading.Thread(target=self._write, name="pitstop-probe-writer", daemon=True))
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float = _STOP_S) -> bool:
        """End; whether all did within `timeout_s`. What is done is written, a run that hangs is left alone."""
        deadline_s = time.monotonic() + timeout_s
        self._end.set()
        for thread in reversed(self._threads):  # the writer first
            thread.join(max(0.0, deadline_s - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def last(self) -> Mapping[str, Probed]:
        """The newest result of every probe that has one, by name."""
        return dict(self._last)

    def _probe(self, probe: Probe) -> None:
        due_s = time.monotonic() + random.uniform(0, min(probe.every_s, 10.0))  # noqa: S311  only to spread them
        while not self._end.wait(max(0.0, due_s - time.monotonic())):
            try:
                found = run(probe, self._egress)
            except Exception as error:  # noqa: BLE001  a fault of ours must not end the probe for good
                _log.exception("pitstop: the probe '%s' failed in itself", probe.name)
                found = Probed(time.time(), 0, f"the probe failed in itself: {type(error).__name__}")
            self._note(probe, found)
            due_s = max(due_s + probe.every_s, time.monotonic())  # what was missed is not made up for

    def _note(self, probe: Probe, found: Probed) -> None:
        with self._lock:
            self._last[probe.name] = found
            if len(self._done) >= MOST_WAITING:
                self._done.popleft()
                self.dropped += 1
            self._done.append((probe, found))

    def _write(self) -> None:
        complained = False
        ended = False
        while not ended:
            ended = self._end.wait(WRITE_EVERY_S)
            try:
                self._hand_over()
                if ended:
                    self._hand_over()  # what waited behind a batch that was tried again
                complained = False
            except StoreError as error:
                if not complained:
                    _log.warning("pitstop: results of probes wait: %s", error)
                complained = True

    def _hand_over(self) -> None:
        """Append what is done; a batch that was not taken is tried again unchanged before any other."""
        if self._batch is None:
            with self._lock:
                done = list(self._done)
                self._done.clear()
            if not done:
                return
            self._batch = Batch(self._worker, self._seq, rows(done))
            self._seq += 1
        self._append(self._batch)
        self._batch = None


def rows(done: Sequence[tuple[Probe, Probed]]) -> Rollups:
    """A row for each result."""
    out = Rollups()
    for probe, found in done:
        out.ts.append(int(found.ts_s))
        out.series.append(Series(probe.service, "", PROBE, probe.name, "", "error" if found.problem else "ok"))
        out.count.append(1)
        out.sum_ns.append(found.took_ns)
        out.min_ns.append(found.took_ns)
        out.max_ns.append(found.took_ns)
        out.nbytes.append(0)
        out.hist.append(encode({position_of(found.took_ns): 1}))
    return out
