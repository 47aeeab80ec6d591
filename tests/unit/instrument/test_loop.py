"""The heartbeat of the loop, and who has waited for it."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import TYPE_CHECKING, Any

import pytest

from pitstop.instrument import runtime
from pitstop.instrument.live import IN_FLIGHT
from pitstop.instrument.loop import LoopBeat
from pitstop.instrument.runtime import GcPauses
from pitstop.model.record import Child
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import Recorder
from pitstop.record.watch import ALL_THE_TIME

if TYPE_CHECKING:
    from collections.abc import Iterator

HELD_S = 0.2


class Request(Operation):
    """As the ASGI adapter has them."""

    scope: Any = None


def request() -> Request:
    return Request("http", time.perf_counter_ns())


@pytest.fixture(autouse=True)
def _nothing_runs() -> Iterator[None]:
    IN_FLIGHT.clear()
    yield
    IN_FLIGHT.clear()


def held(beat: LoopBeat, *ran: tuple[Operation, int]) -> tuple[int, int]:
    """Hold the loop for a while, as the profiler would see it; from when, until when."""

    async def hold() -> tuple[int, int]:
        beat.watch()
        await asyncio.sleep(0.01)
        start_ns = time.perf_counter_ns()
        time.sleep(HELD_S)  # noqa: ASYNC251  what a careless host does
        beat.ran = dict(ran)
        await asyncio.sleep(0.01)
        return start_ns, time.perf_counter_ns()

    return asyncio.run(hold())


def waits(op: Operation) -> list[Child]:
    return [Child(*child) for child in op.children or ()]


def test_who_was_in_flight_has_waited_since_the_beat_was_due() -> None:
    holder, waiting = request(), request()
    IN_FLIGHT.update((holder, waiting))
    start_ns, end_ns = held(LoopBeat(Recorder()), (holder, ALL_THE_TIME))
    (wait,) = waits(waiting)
    assert (wait.kind, wait.name, wait.parent_ns) == ("loop_wait", "event loop", waiting.start_ns)
    assert start_ns <= wait.start_ns <= wait.end_ns <= end_ns
    assert wait.duration_ns >= (HELD_S - 0.06) * 1e9
    assert waits(holder) == []


def test_who_was_at_work_elsewhere_has_waited_from_then_on() -> None:
    working, idle = request(), request()
    IN_FLIGHT.add(working)
    seen_ns = time.perf_counter_ns() + int(0.15e9)
    held(LoopBeat(Recorder()), (working, seen_ns), (idle, ALL_THE_TIME))
    assert [wait.start_ns for wait in waits(working)] == [seen_ns]


def test_nobody_has_waited_where_it_is_not_known_who_held_it() -> None:
    waiting = request()
    IN_FLIGHT.add(waiting)
    held(LoopBeat(Recorder()))
    assert waits(waiting) == []


def test_requests_of_other_servers_and_those_that_have_ended_did_not_wait() -> None:
    threaded, ended = Operation("http", time.perf_counter_ns()), request()
    ended.end_ns = 1
    IN_FLIGHT.update((threaded, ended))
    held(LoopBeat(Recorder()), (request(), ALL_THE_TIME))
    assert (waits(threaded), waits(ended)) == ([], [])


def test_it_runs_for_as_long_as_its_loop() -> None:
    beat = LoopBeat(Recorder())
    assert not beat.alive()

    async def serve() -> bool:
        beat.watch()
        beat.watch()
        return beat.alive()

    assert asyncio.run(serve())
    assert not beat.alive()
    beat.reset_after_fork()
    assert (beat.loop, beat.beat_ns, beat.wanted) == (None, 0, True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the callback reads next, ns."""
    times: list[int] = []
    monkeypatch.setattr(runtime, "perf_counter_ns", lambda: times.pop(0))
    return times


def collections_of(op: Operation | None, clock: list[int], pause_ns: int) -> list[Child]:
    pauses = GcPauses()
    clock += [1000, 1000 + pause_ns]
    token = CURRENT.set(op)
    try:
        pauses._heard("start", {})
        pauses._heard("stop", {"generation": 1, "collected": 0, "uncollectable": 0})
    finally:
        CURRENT.reset(token)
    assert sum(pauses.collections) == 1
    return [] if op is None else waits(op)


def test_a_collection_is_filed_below_what_runs_in_its_thread(clock: list[int]) -> None:
    (collection,) = collections_of(request(), clock, 100_000)
    assert (collection.kind, collection.name, collection.outcome) == ("gc", "generation 1", "ok")
    assert (collection.start_ns, collection.end_ns) == (1000, 101_000)


def test_short_collections_and_those_outside_of_a_request_are_only_counted(clock: list[int]) -> None:
    ended = request()
    ended.end_ns = 1
    assert collections_of(request(), clock, 99_999) == []
    assert collections_of(None, clock, 100_000) == []
    assert collections_of(ended, clock, 100_000) == []


def test_a_real_collection_is_heard() -> None:
    pauses, op = GcPauses(), request()
    pauses.install()
    token = CURRENT.set(op)
    try:
        kept: list[Any] = [[] for _ in range(200_000)]
        gc.collect()
    finally:
        CURRENT.reset(token)
        pauses.remove()
    assert len(kept) == 200_000
    assert "generation 2" in [child.name for child in waits(op)]
