"""The buffer, sampling and what waits in it."""

from __future__ import annotations

import random
import threading
import tracemalloc
from time import perf_counter_ns

import pytest

from pitstop.model.record import named
from pitstop.record.governor import Governor
from pitstop.record.operation import Operation
from pitstop.record.recorder import MOST_CHILDREN, Recorder


def recorded(recorder: Recorder, n: int = 1) -> None:
    for _ in range(n):
        operation = recorder.begin("http")
        if operation is not None:
            operation.name = "GET /"
            recorder.finish(operation, perf_counter_ns())


def recording(**options: object) -> Recorder:
    recorder = Recorder(**options)  # type: ignore[arg-type]
    recorder.on = True
    return recorder


def test_a_recorder_is_off_until_asked() -> None:
    assert Recorder().begin("http") is None


def test_a_full_buffer_drops_and_counts() -> None:
    recorder = recording(capacity=10)
    recorded(recorder, 25)
    drained = recorder.drain()
    assert (len(drained.records), drained.dropped) == (10, 15)
    recorded(recorder, 3)
    assert (len(named(recorder.drain().records)), recorder.drain().dropped) == (3, 0)


def test_the_flusher_is_nudged_by_the_first_and_by_a_filling_buffer() -> None:
    recorder = recording(capacity=10_000)
    nudges: list[bool] = []
    recorder.nudge = nudges.append
    recorded(recorder, 4097)
    assert nudges == [False, True, True]


@pytest.mark.parametrize("rate", [0.5, 0.1, 0.013])
def test_weights_keep_totals_right_when_sampling(rate: float) -> None:
    recorder = recording(rng=random.Random(7), capacity=10**6)
    recorder.shed(spans_on=True, sample_rate=rate)
    n = 40_000
    recorded(recorder, n)
    operations = named(recorder.drain().records)
    kept, total = len(operations), sum(operation.weight for operation in operations)
    assert abs(kept - n * rate) < 5 * (n * rate) ** 0.5
    assert n - 20 / rate < total <= n


def test_sampling_is_fair_to_a_rare_route() -> None:
    recorder = recording(rng=random.Random(11), capacity=10**6)
    recorder.shed(spans_on=True, sample_rate=0.1)
    for i in range(100_000):
        operation = recorder.begin("http")
        assert operation is not None
        operation.name = "rare" if i % 100 == 0 else "often"
        recorder.finish(operation, perf_counter_ns())
    rare = sum(o.weight for o in named(recorder.drain().records) if o.name == "rare")
    assert 700 < rare < 1300


def test_a_root_that_is_left_out_keeps_nothing_below_it() -> None:
    recorder = recording(rng=random.Random(1))
    recorder.shed(spans_on=True, sample_rate=1e-9)
    root = recorder.begin("http")
    assert root is not None
    assert root.weight == 0
    assert root.children is not None
    root.children.append(("db", "SELECT 1", "ok", 1, 2, 0, None))
    assert not root.children
    recorder.finish(root, perf_counter_ns())
    assert not named(recorder.drain().records)


def child_of(root: Operation) -> Operation:
    child = Operation("db", perf_counter_ns())
    child.name, child.root, child.parent, child.end_ns = "SELECT 1", root, root, perf_counter_ns()
    return child


def test_a_root_that_runs_on_hands_over_what_ended_below_it() -> None:
    recorder = recording()
    root = recorder.begin("websocket")
    assert root is not None
    root.name, root.tenant = "WS /orders", "acme"
    for _ in range(MOST_CHILDREN + 1):
        recorder.finish_child(child_of(root))
    (part,) = named(recorder.drain().records)
    assert (part.kind, part.name, part.tenant, len(part.children or ())) == ("", "WS /orders", "acme", MOST_CHILDREN)
    recorder.finish(root, perf_counter_ns())
    (rest,) = named(recorder.drain().records)
    assert len(rest.children or ()) == 1


def test_a_root_without_a_name_yet_is_bounded_and_counts_what_it_drops() -> None:
    recorder = recording()
    root = recorder.begin("http")
    assert root is not None
    for _ in range(MOST_CHILDREN + 5):
        recorder.finish_child(child_of(root))
    assert len(root.children or ()) == MOST_CHILDREN
    assert recorder.drain().dropped == 5


def test_what_ends_after_its_root_is_filed_by_itself_under_the_roots_name() -> None:
    recorder = recording()
    root = recorder.begin("http")
    assert root is not None
    root.name, root.tenant, root.weight = "GET /", "acme", 2
    child = child_of(root)
    recorder.finish(root, perf_counter_ns())
    recorder.finish_child(child)
    _, late = named(recorder.drain().records)
    assert (late.parent, late.tenant, late.weight) == ("GET /", "acme", 2)


def test_recent_operations_are_kept_in_a_bounded_ring() -> None:
    recorder = recording()
    recorder.keep_recent(5)
    recorded(recorder, 12)
    recorder.drain()
    assert len(recorder.recent) == 5


def test_concurrent_threads_lose_nothing() -> None:
    recorder = recording(capacity=10**6)
    threads = [threading.Thread(target=recorded, args=(recorder, 5000)) for _ in range(6)]
    for thread in threads:
        thread.start()
    seen = 0
    while any(thread.is_alive() for thread in threads):
        seen += len(named(recorder.drain().records))
    assert seen + len(named(recorder.drain().records)) == 30_000


def test_gauges_and_counters_are_bounded() -> None:
    recorder = recording(capacity=10)
    for i in range(2000):
        recorder.gauge(f"g{i}", i)
        recorder.count("c", 1)
    drained = recorder.drain()
    assert (len(drained.gauges), len(drained.counts), drained.dropped) == (1000, 10, 1000 + 1990)


def test_the_governor_sheds_spans_then_samples_and_recovers() -> None:
    recorder = recording()
    governor = Governor(recorder, 0.01)
    steps = []
    for roots in (20_000, 20_000, 20_000, 20_000, 3_000, 3_000, *[100] * 12):
        gauges = governor.account(roots, 0.0, 1.0)
        steps.append((recorder.spans_on, round(recorder.sample_rate, 3)))
    assert steps[:6] == [(True, 1.0), (False, 1.0), (False, 0.3), (False, 0.09), (False, 0.09), (False, 0.09)]
    assert steps[-1] == (True, 1.0)
    assert gauges["pitstop.overhead_ratio"] == pytest.approx(100 * 5e-6)


def test_a_burst_or_a_short_time_sheds_nothing() -> None:
    recorder = recording()
    governor = Governor(recorder, 0.01)
    for roots, elapsed_s in ((50_000, 1.0), (10, 1.0), (50_000, 0.01), (50_000, 0.01)):
        governor.account(roots, 0.0, elapsed_s)
    assert (recorder.spans_on, recorder.sample_rate) == (True, 1.0)


def test_the_governor_goes_by_what_the_probe_measures() -> None:
    recorder = recording()
    governor = Governor(recorder, 0.01, probe=lambda: 2e-6)
    assert governor.account(4_000, 0.0, 1.0)["pitstop.request_cost_s"] == 2e-6
    assert recorder.spans_on


def with_children(recorder: Recorder, n: int) -> None:
    root = recorder.begin("http")
    assert root is not None
    root.name = "GET /"
    for _ in range(n):
        recorder.finish_child(child_of(root))
    recorder.finish(root, perf_counter_ns())


def test_what_ended_below_roots_counts_for_the_capacity_and_is_dropped_before_roots_are() -> None:
    recorder = recording()
    for _ in range(1000):
        with_children(recorder, 5)
    drained = recorder.drain()
    records = named(drained.records)
    kept = sum(len(record.children or ()) for record in records)
    assert len(records) == 1000
    assert recorder.capacity // 2 <= kept <= recorder.capacity * 3 // 4
    assert drained.dropped == 5000 - kept
    with_children(recorder, 5)
    (after,) = named(recorder.drain().records)
    assert len(after.children or ()) == 5


def test_a_full_buffer_takes_less_than_a_mebibyte() -> None:
    recorder = recording()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            with_children(recorder, 20)
        recorded(recorder, 5000)
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(recorder.buffer) == recorder.capacity
    assert taken < 1 << 20


def test_many_children_wake_the_flusher_early() -> None:
    recorder = recording()
    nudges: list[bool] = []
    recorder.nudge = nudges.append
    for _ in range(500):
        with_children(recorder, 5)
    assert True in nudges


def test_threads_below_one_root_lose_no_child_and_hand_over_none_twice() -> None:
    recorder = recording(capacity=10**6)
    root = recorder.begin("http")
    assert root is not None
    root.name = "GET /"

    def work() -> None:
        for _ in range(4000):
            recorder.finish_child(child_of(root))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.finish(root, perf_counter_ns())
    records = named(recorder.drain().records)
    assert sum(len(record.children or ()) for record in records) == 24_000


def test_recent_operations_are_remembered_without_what_was_below_them() -> None:
    recorder = recording()
    with_children(recorder, 5)
    recorder.drain()
    assert [record[9] for record in recorder.recent] == [None]
