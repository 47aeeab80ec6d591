"""The flusher thread, with a clock the test turns and a store the test breaks."""

from __future__ import annotations

import os
import threading
import time
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pytest

from pitstop.model.columns import Profiles
from pitstop.model.errors import StoreNewerError, StoreUnavailableError
from pitstop.record.recorder import Recorder
from pitstop.rollup import flusher as flusher_module
from pitstop.rollup.flusher import WAITING_BATCHES, Cost, Flusher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pitstop.model.columns import Batch


class Ledger:
    """A store that keeps batches, or fails as told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.error: Exception | None = None

    def append(self, batch: Batch) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append(batch)

    def counts(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for batch in self.batches:
            for series, n in zip(batch.rollups.series, batch.rollups.count, strict=True):
                total[series.name] = total.get(series.name, 0) + n
        return total

    def gauges(self) -> dict[str, float]:
        return {n: v for b in self.batches for n, v in zip(b.samples.name, b.samples.value, strict=True)}


class Rig:
    def __init__(self) -> None:
        self.recorder = Recorder()
        self.recorder.on = True
        self.ledger = Ledger()
        self.flusher = Flusher(self.recorder.drain, self.ledger.append, service="shop")
        self.recorder.nudge = self.flusher.nudge

    def record(self, name: str = "GET /") -> None:
        operation = self.recorder.begin("http")
        assert operation is not None
        operation.name, operation.outcome = name, "200"
        self.recorder.finish(operation, perf_counter_ns())


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.flusher.stop()


def until(holds: Callable[[], bool], timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_no_thread_runs_before_the_first_operation(rig: Rig) -> None:
    assert not rig.flusher.running
    rig.record()
    assert rig.flusher.running


def test_operations_are_written_within_seconds_without_being_asked(rig: Rig) -> None:
    for _ in range(1000):
        rig.record()
    assert until(lambda: rig.ledger.counts() == {"GET /": 1000})


def test_flush_writes_what_was_recorded_before_it(rig: Rig) -> None:
    rig.record()
    assert rig.flusher.flush(5)
    assert rig.ledger.counts() == {"GET /": 1}


def test_flush_works_without_a_thread(rig: Rig) -> None:
    rig.recorder.nudge = None
    rig.record()
    assert rig.flusher.flush(5)
    assert not rig.flusher.running
    assert rig.ledger.counts() == {"GET /": 1}


def test_many_threads_lose_nothing(rig: Rig) -> None:
    def work() -> None:
        for i in range(3000):
            rig.record(f"GET /{i % 7}")
            if not i % 100:
                time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rig.flusher.flush(10)
    assert sum(rig.ledger.counts().values()) + rig.flusher.dropped == 24_000


def test_an_operation_is_filed_under_the_second_it_ended_in(rig: Rig) -> None:
    now_ns = perf_counter_ns()
    rig.recorder.nudge = None
    for ago_s in (3, 2, 2, 0):
        operation = rig.recorder.begin("http")
        assert operation is not None
        operation.name = "GET /"
        rig.recorder.finish(operation, now_ns - ago_s * 10**9)
    now_s = time.time()
    assert rig.flusher.flush(5)
    rollups = rig.ledger.batches[0].rollups
    by_age = dict(zip((round(now_s - 0.5 - ts) for ts in rollups.ts), rollups.count, strict=True))
    assert by_age in ({3: 1, 2: 2, 0: 1}, {4: 1, 3: 2, 1: 1}, {3: 1, 2: 2, -1: 1}, {2: 1, 1: 2, -1: 1})
    assert len(rollups) == 3


def test_while_the_store_is_unavailable_batches_wait_and_are_retried_unchanged(rig: Rig) -> None:
    seen: list[tuple[int, tuple[int, ...]]] = []
    append = rig.ledger.append

    def noting(batch: Batch) -> None:
        seen.append((batch.seq, tuple(batch.rollups.count)))
        append(batch)

    rig.flusher._append = noting
    rig.recorder.nudge = None
    rig.ledger.error = StoreUnavailableError("locked")
    for _ in range(3):
        rig.record()
        assert not rig.flusher.flush(5)
    rig.ledger.error = None
    assert rig.flusher.flush(5)
    assert [batch.seq for batch in rig.ledger.batches] == [1, 2, 3]
    assert rig.ledger.counts() == {"GET /": 3}
    assert {counts for seq, counts in seen if seq == 1} == {(1,)}


def test_what_waits_too_long_is_dropped_and_counted(rig: Rig) -> None:
    rig.recorder.nudge = None
    rig.ledger.error = StoreUnavailableError("disk full")
    for _ in range(WAITING_BATCHES + 5):
        rig.record()
        rig.flusher.flush(5)
    assert rig.flusher.dropped == 5
    rig.ledger.error = None
    rig.flusher.flush(5)
    assert rig.ledger.counts() == {"GET /": WAITING_BATCHES}


def test_a_newer_store_ends_recording_with_one_clear_line(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.recorder.nudge = None
    rig.ledger.error = StoreNewerError("schema 999, this version knows 1; upgrade Pitstop")
    for _ in range(3):
        rig.record()
        rig.flusher.flush(5)
    assert rig.flusher.refused
    assert [r.getMessage() for r in caplog.records] == [
        "pitstop: recording stops: schema 999, this version knows 1; upgrade Pitstop"
    ]


def test_a_fault_of_ours_does_not_end_the_thread(rig: Rig) -> None:
    rig.ledger.error = ZeroDivisionError("a bug")
    rig.record("GET /lost")
    assert until(lambda: rig.flusher._complained_s > 0)
    rig.ledger.error = None
    rig.record()
    assert until(lambda: rig.ledger.counts().get("GET /") == 1)


def test_the_cost_of_flushing_and_losses_are_gauges(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    costs: list[Cost] = []

    def sample(cost: Cost) -> dict[str, float]:
        costs.append(cost)
        return {"process.threads": 3.0}

    rig.flusher._sample = sample
    rig.recorder.nudge = None
    monkeypatch.setattr(flusher_module, "SAMPLE_EVERY_S", 0.0)
    rig.recorder.gauge("queue_depth", 4)
    for _ in range(10):
        rig.record()
    rig.flusher.flush(5)
    gauges = rig.ledger.gauges()
    assert gauges["process.threads"] == 3
    assert gauges["queue_depth"] == 4
    assert gauges["pitstop.dropped"] == 0
    assert costs[0].roots == 10


def test_gauges_that_cannot_be_read_cost_no_request(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher_module, "SAMPLE_EVERY_S", 0.0)

    def sample(_: Cost) -> dict[str, float]:
        raise OSError("/proc is not mounted")

    rig.flusher._sample = sample
    rig.record()
    rig.flusher.flush(5)
    assert rig.ledger.counts() == {"GET /": 1}


def test_a_forked_child_writes_its_own_and_not_its_parents(rig: Rig) -> None:
    for _ in range(5):
        rig.record("GET /parent")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        rig.recorder.reset_after_fork()
        rig.flusher.reset_after_fork()
        rig.ledger.batches.clear()
        rig.record("GET /child")
        alive = rig.flusher.flush(5)
        os.write(writer, repr((alive, rig.ledger.counts(), rig.flusher.worker)).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    alive, counts, worker = eval(os.read(reader, 4096))
    assert alive
    assert counts == {"GET /child": 1}
    assert worker != rig.flusher.worker
    assert rig.flusher.flush(5)
    assert rig.ledger.counts() == {"GET /parent": 5}


def test_without_threads_a_request_flushes_once_a_second(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher_module, "can_start_threads", lambda: False)
    rig.flusher._written_at_s -= 2
    rig.record("GET /first")
    assert not rig.flusher.running
    assert rig.ledger.counts() == {"GET /first": 1}
    rig.record("GET /second")
    assert rig.ledger.counts() == {"GET /first": 1}


def test_after_stop_nothing_starts_again(rig: Rig) -> None:
    rig.record()
    assert rig.flusher.stop(5)
    assert rig.flusher.stop(5)
    rig.flusher.running = False
    rig.record()
    assert not rig.flusher.running


def test_profiles_traces_and_errors_are_written_with_their_batch(rig: Rig) -> None:
    sampled = Profiles()
    for column, value in zip(sampled.__slots__, ("wall", "GET /", 3, "shop", "a;b", 60, 10), strict=True):
        getattr(sampled, column).append(value)
    waiting = [sampled]
    rig.flusher._profiles = lambda: waiting.pop() if waiting else Profiles()
    rig.record()
    assert rig.flusher.flush(5)
    assert [batch.profiles.stack for batch in rig.ledger.batches if len(batch.profiles)] == [["a;b"]]
    assert [batch.traces.name for batch in rig.ledger.batches] == [["GET /"]]


def test_profiles_that_cannot_be_taken_cost_nothing_else(rig: Rig) -> None:
    def fails() -> Profiles:
        raise OSError("gone")

    rig.flusher._profiles = fails
    rig.record()
    assert rig.flusher.flush(5)
    assert rig.ledger.counts() == {"GET /": 1}


def test_while_the_store_is_away_figures_wait_and_traces_beyond_the_limit_are_left_out(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher_module, "WAITING_BYTES", 25)
    rig.recorder.nudge = None
    rig.ledger.error = StoreUnavailableError("locked")
    for i in range(5):
        rig.record(f"GET /{i}")
        assert not rig.flusher.flush(5)
    rig.ledger.error = None
    assert rig.flusher.flush(5)
    assert rig.ledger.counts() == {f"GET /{i}": 1 for i in range(5)}
    traces = sum(len(batch.traces) for batch in rig.ledger.batches)
    assert 1 <= traces < 5
    assert rig.flusher._left_out == 5 - traces
