"""The thread that folds what was recorded and writes it once a second, so that the host never waits.

Started by the first recorded operation: importing starts nothing, a process that only forks has none, and after a
fork the child starts its own. While the store cannot be written, batches wait and are retried unchanged.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import deque
from contextlib import suppress
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pitstop.model.clock import SystemClock
from pitstop.model.columns import Batch, Events, Profiles, Reports, Samples
from pitstop.model.errors import StoreError, StoreNewerError
from pitstop.model.record import END_NS
from pitstop.rollup.fold import Fold
from pitstop.rollup.keep import Keeper
from pitstop.rollup.native import allocate_lock, can_start_threads, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pitstop.model.clock import Clock
    from pitstop.model.record import Fields
    from pitstop.rollup.keep import Limits, SlowQuery

INTERVAL_S = 1.0
REPORT_EVERY_S = 15.0  # what parts say of themselves is looked at, not charted
SAMPLE_EVERY_S = 5.0  # gauges change slowly, and reading them costs as much as thirty requests
WAITING_BATCHES = 120  # kept while the store cannot be written: two minutes at one a second
WAITING_BYTES = 1_000_000  # of traces, errors and profiles in them; what comes then is left out, figures are kept
BACKOFF_S = (1.0, 2.0, 5.0, 10.0)
COMPLAIN_EVERY_S = 60.0

_end_ns = itemgetter(END_NS)


class Drained(Protocol):
    """What waited in the recorder (`pitstop.record.recorder.Drained` is one)."""

    @property
    def records(self) -> Sequence[Fields]: ...  # noqa: D102
    @property
    def counts(self) -> Sequence[tuple[str, float]]: ...  # noqa: D102
    @property
    def gauges(self) -> Mapping[str, float]: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102


class Cost(NamedTuple):
    """What the flusher did since the last sample: roots folded and CPU of its own, over `elapsed_s` of wall time."""

    roots: int
    cpu_s: float
    elapsed_s: float


def worker_name() -> str:
    """A name for this life of this process: host, process id, and a token because ids come again."""
    host = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "localhost")
    return f"{host}:{os.getpid()}:{os.urandom(3).hex()}"


class Flusher:
    """Drains, folds and writes for one process.

    `drain` is called by one thread at a time; `append` writes a batch or raises StoreError; `sample` returns gauges of
    the process and is told what the flusher itself has cost. Neither may block for long, but nobody waits if they do.
    `started` is called in a request of the host when the thread is about to start, once in every process.
    `profiles` returns the stacks sampled since its last call, `reports` what parts say of themselves as (kind, name,
    JSON); both are called once a batch, and `reports` is told whether everybody is asked. `limits` says which requests
    are kept as traces, `slow_query` is told of slow statements: route, statement, ns, code line.
    """

    def __init__(
        self,
        drain: Callable[[], Drained],
        append: Callable[[Batch], None],
        *,
        service: str,
        sample: Callable[[Cost], Mapping[str, float]] = lambda _: {},
        started: Callable[[], None] = lambda: None,
        profiles: Callable[[], Profiles] | None = None,
        reports: Callable[[bool], Iterable[tuple[str, str, str]]] | None = None,
        limits: Limits | None = None,
        slow_query: SlowQuery | None = None,
        clock: Clock | None = None,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self.service = service
        self.interval_s = interval_s
        self.stopped = False
        self.refused = False  # the store will never take what we write
        self._drain = drain
        self._append = append
        self._sample = sample
        self._started = started
        self._profiles = profiles
        self._reports = reports
        self._limits = limits
        self._slow_query = slow_query
        self._clock: Clock = clock or SystemClock()
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.worker = worker_name()
        self.running = False
        self.dropped = 0
        self._seq = 0
        self._fold = Fold(self.service)
        self._keeper = Keeper(self.service, self.worker, self._limits, self._slow_query)
        self._waiting: deque[Batch] = deque()
        self._left_out = 0  # rows of traces, errors and profiles that found no room among the waiting
        self._events = Events()
        self._gauges: dict[str, float] = {}
        self._failures = 0
        self._complained_s = float("-inf")
        self._retry_at_s = 0.0
        self._written_at_s = self._sampled_at_s = self._reported_at_s = time.monotonic()
        self._roots = 0
        self._cpu_s = self._flush_s = 0.0
        self._work = allocate_lock()
        self._starting = allocate_lock()
        self._wake = allocate_lock()
        self._wake.acquire()
        self._flushed = allocate_lock()
        self._flushed.acquire()
        self._asked = False

    def reset_after_fork(self) -> None:
        """In the child: forget the parent's thread, locks and waiting batches; the parent writes those."""
        self._start_afresh()

    # -- called by the host's threads -------------------------------------------------------------------------------

    def nudge(self, filling: bool) -> None:
        """Something was recorded: see that the thread runs, and wake it early when the buffer is `filling`."""
        if self.stopped:
            return
        if not self.running:
            self._start()
        elif filling:
            self._wake_up()

    def event(self, kind: str, text: str) -> None:
        """Note that something happened now."""
        events = self._events
        events.ts.append(int(self._clock.now_s()))
        events.service.append(self.service)
        events.kind.append(kind)
        events.text.append(text)

    def flush(self, timeout_s: float = 2.0) -> bool:
        """Write what is recorded so far; whether all of it was written within `timeout_s`, seconds."""
        if not self.running:
            if not self._work.acquire(timeout=timeout_s):
                return False
            try:
                return self._round(self._clock.now_s(), force=True)
            finally:
                self._work.release()
        self._flushed.acquire(blocking=False)  # what an earlier call has left when it gave up
        self._asked = True
        self._wake_up()
        return self._flushed.acquire(timeout=timeout_s) and not self._waiting

    def stop(self, timeout_s: float = 2.0) -> bool:
        """Flush, then end the thread; whether everything was written."""
        if self.stopped:
            return True
        done = self.flush(timeout_s)
        self.stopped = True
        self._wake_up()
        return done

    def _start(self) -> None:
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self.running:
                return
            if can_start_threads():
                self._started()
                start_thread(self._run)
                self.running = True
                return
        except RuntimeError as error:  # no more threads, or the interpreter is ending: atexit flushes inline
            self._complain(f"cannot start the flusher thread ({error}); flushing within requests instead")
        finally:
            self._starting.release()
        self._flush_within_request()

    def _flush_within_request(self) -> None:
        """Without threads (uWSGI lacks --enable-threads) a request pays for one write a second."""
        if time.monotonic() - self._written_at_s < self.interval_s or not self._work.acquire(blocking=False):
            return
        try:
            self._complain("no threads here (uWSGI needs --enable-threads): one request a second waits for the write")
            self._round(self._clock.now_s(), force=True)
        except Exception as error:  # noqa: BLE001  the host's request must not fail
            self._complain(f"flushing failed: {error!r}")
        finally:
            self._work.release()

    def _wake_up(self) -> None:
        with suppress(RuntimeError):  # awake already
            self._wake.release()

    # -- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        work, wake = self._work, self._wake
        pid = os.getpid()
        while not self.stopped and os.getpid() == pid:
            now_s = self._clock.now_s()
            # wake just after each whole second, so that a second's operations leave together
            wake.acquire(timeout=self.interval_s - now_s % self.interval_s + 0.002)
            asked, self._asked = self._asked, False
            with work:
                try:
                    self._round(self._clock.now_s(), force=asked)
                except Exception as error:  # noqa: BLE001  the thread must live
                    self._complain(f"flushing failed and goes on: {error!r}")
            if asked:
                with suppress(RuntimeError):  # whoever asked has given up waiting
                    self._flushed.release()

    def _round(self, now_s: float, *, force: bool) -> bool:
        """Fold what waits and, once an interval or by `force`, write it; whether nothing is left."""
        cpu_s = time.thread_time()
        drained = self._drain()
        self.dropped += drained.dropped
        self._gauges.update(drained.gauges)
        self._fold_by_second(drained, now_s)
        elapsed_s = time.monotonic() - self._written_at_s
        if force or elapsed_s >= 0.9 * self.interval_s:
            self._batch(now_s, force=force)
            self._write(force=force)
        self._cpu_s += time.thread_time() - cpu_s
        return not self._waiting

    def _fold_by_second(self, drained: Drained, now_s: float) -> None:
        records = drained.records
        offset_ns = int(now_s * 1e9) - self._clock.monotonic_ns()
        i, n = 0, len(records)
        self._roots += n
        while i < n:
            second = (_end_ns(records[i]) + offset_ns) // 1_000_000_000
            # ends are almost in order, so the second's share is found by bisection; a straggler may be a second late
            j = bisect_left(records, (second + 1) * 1_000_000_000 - offset_ns, lo=i + 1, key=_end_ns)
            share = records[i:j]
            seen = self._fold.add(share, second)
            self._keeper.look(share, seen, time.monotonic(), offset_ns)
            i = j
        if drained.counts:
            self._fold.add_counts(drained.counts, int(now_s - 0.5))

    def _batch(self, now_s: float, *, force: bool) -> None:
        self._written_at_s = time.monotonic()
        samples = Samples()
        elapsed_s = self._written_at_s - self._sampled_at_s
        if not self._seq or elapsed_s >= SAMPLE_EVERY_S or (force and elapsed_s >= INTERVAL_S):
            self._sampled_at_s = self._written_at_s
            for name, value in self._all_gauges(elapsed_s).items():
                samples.ts.append(int(now_s))
                samples.service.append(self.service)
                samples.worker.append(self.worker)
                samples.name.append(name)
                samples.value.append(value)
        rollups = self._fold.take()
        traces, errors = self._keeper.take()
        profiles = self._sampled()
        reports = self._reported(now_s, force=force)
        events, self._events = self._events, Events()
        if not (len(rollups) or len(samples) or len(events) or len(profiles) or len(reports)):
            return
        self._seq += 1
        batch = Batch(self.worker, self._seq, rollups, samples, events, traces, errors, profiles, reports)
        if sum(map(_bytes_inside, self._waiting)) + _bytes_inside(batch) > WAITING_BYTES and self._waiting:
            self._left_out += len(traces) + len(errors) + len(profiles) + len(reports)
            batch = Batch(self.worker, self._seq, rollups, samples, events)
        self._waiting.append(batch)
        if len(self._waiting) > WAITING_BATCHES:
            lost = self._waiting.popleft()
            self.dropped += sum(lost.rollups.count)

    def _sampled(self) -> Profiles:
        if self._profiles is not None:
            try:
                return self._profiles()
            except Exception as error:  # noqa: BLE001  stacks must not cost the figures
                self._complain(f"taking the sampled stacks failed: {error!r}")
        return Profiles()

    def _reported(self, now_s: float, *, force: bool) -> Reports:
        out = Reports()
        if self._reports is None:
            return out
        elapsed_s = self._written_at_s - self._reported_at_s
        everybody = not self._seq or elapsed_s >= REPORT_EVERY_S or (force and elapsed_s >= INTERVAL_S)
        if everybody:
            self._reported_at_s = self._written_at_s
        try:
            for kind, name, body in self._reports(everybody):
                row = (body, kind, name, self.service, int(now_s), self.worker)
                for field, value in zip(Reports.__slots__, row, strict=True):
                    getattr(out, field).append(value)
        except Exception as error:  # noqa: BLE001  what parts say must not cost the figures
            self._complain(f"taking reports failed: {error!r}")
            return Reports()
        return out

    def _all_gauges(self, elapsed_s: float) -> dict[str, float]:
        cost = Cost(self._roots, self._cpu_s, elapsed_s)
        gauges = {
            "pitstop.dropped": float(self.dropped),
            "pitstop.folded": float(self._fold.cap.folded),
            "pitstop.series": float(len(self._fold.cap)),
            "pitstop.flush_s": self._flush_s,
            "pitstop.left_out": float(self._left_out),
        }
        self._roots = 0
        self._cpu_s = 0.0
        gauges.update(self._gauges)
        try:
            gauges.update(self._sample(cost))
        except Exception as error:  # noqa: BLE001  a gauge that cannot be read must not cost the requests
            self._complain(f"reading the process's gauges failed: {error!r}")
        return gauges

    def _write(self, *, force: bool) -> None:
        if self.refused:
            self._waiting.clear()
            return
        started_s = time.monotonic()
        if started_s < self._retry_at_s and not force:
            return
        while self._waiting:
            try:
                self._append(self._waiting[0])
            except StoreNewerError as error:
                self.refused = True
                self._complain(f"recording stops: {error}")
                return
            except StoreError as error:
                self._retry_at_s = time.monotonic() + BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)]
                self._failures += 1
                self._complain(f"{error}; {len(self._waiting)} of {WAITING_BATCHES} batches wait, none is lost yet")
                return
            self._waiting.popleft()
        self._failures = 0
        self._flush_s = time.monotonic() - started_s

    def _complain(self, text: str) -> None:
        now_s = time.monotonic()
        if now_s - self._complained_s >= COMPLAIN_EVERY_S:
            self._complained_s = now_s
            import logging  # noqa: PLC0415  a host without logging should not pay for it

            logging.getLogger("pitstop").warning("pitstop: %s", text)


def _bytes_inside(batch: Batch) -> int:
    """About what traces, errors, profiles and reports of `batch` take: their long texts."""
    texts = (batch.traces.body, batch.errors.stack, batch.errors.message, batch.profiles.stack, batch.reports.body)
    return sum(sum(map(len, column)) for column in texts)
