"""span, timeit and Timer, sync and async, nested, failing, off."""

from __future__ import annotations

import asyncio
import contextvars
import random
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pitstop
from pitstop.model.record import Record, named
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _recording() -> Iterator[None]:
    RECORDER.on, RECORDER.nudge = True, None
    RECORDER.drain()
    yield
    RECORDER.on = False
    RECORDER.shed(spans_on=True, sample_rate=1.0)
    RECORDER.drain()


def drained() -> list[Record]:
    return named(RECORDER.drain().records)


def test_a_span_alone_is_a_root() -> None:
    with pitstop.span("price basket", {"items": 3}) as running:
        assert pitstop.current() is running
    assert pitstop.current() is None
    (operation,) = drained()
    assert (operation.kind, operation.name, operation.outcome, operation.attrs) == (
        "function", "price basket", "ok", {"items": 3},
    )  # fmt: skip
    assert operation.end_ns > operation.start_ns


def test_spans_below_a_root_are_its_children_in_the_order_they_ended() -> None:
    with pitstop.span("root"):
        with pitstop.span("a"), pitstop.span("b"):
            pass
        with pitstop.span("c"):
            pass
    (root,) = drained()
    assert [child.name for child in root.children or ()] == ["b", "a", "c"]


def test_a_failing_span_is_an_error_and_the_exception_passes() -> None:
    with pytest.raises(KeyError), pitstop.span("x"):
        raise KeyError
    assert drained()[0].outcome == "error"
    assert pitstop.current() is None


def test_timeit_times_functions_coroutines_and_keeps_their_names() -> None:
    @pitstop.timeit
    def plain(x: int) -> int:
        return x + 1

    @pitstop.timeit("fetch_data", {"source": "csv"})
    async def fetch(x: int) -> int:
        await asyncio.sleep(0)
        return x * 2

    assert plain(1) == 2
    assert asyncio.run(fetch(2)) == 4  # type: ignore[arg-type]
    first, second = drained()
    assert first.name.endswith("plain")
    assert (second.name, second.attrs) == ("fetch_data", {"source": "csv"})
    assert plain.__name__ == "plain"


def test_timeit_lets_exceptions_through_and_counts_them_as_errors() -> None:
    @pitstop.timeit("f")
    def fails() -> None:
        raise OSError("gone")

    @pitstop.timeit("g")
    async def afails() -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        fails()
    with pytest.raises(OSError, match="gone"):
        asyncio.run(afails())  # type: ignore[arg-type]
    assert [operation.outcome for operation in drained()] == ["error", "error"]


def test_a_timer_tells_any_sink() -> None:
    told: list[tuple[str, float, dict[str, object]]] = []
    with pitstop.Timer(lambda *a: told.append(a), "fetch", {"k": 1}) as timer:
        pass
    assert told == [("fetch", timer.seconds, {"k": 1})]
    assert timer.seconds > 0
    assert not drained()


def test_a_timer_without_a_sink_records() -> None:
    async def main() -> None:
        async with pitstop.Timer(None, "fetch"):
            pass

    asyncio.run(main())
    assert drained()[0].name == "fetch"


def test_a_failing_sink_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def sink(*_: object) -> None:
        raise RuntimeError("sink is down")

    with pitstop.Timer(sink, "fetch"):
        pass
    assert "Timer('fetch') failed" in caplog.text


def test_off_records_nothing_and_still_works() -> None:
    RECORDER.on = False

    @pitstop.timeit
    def plain() -> int:
        return 3

    with pitstop.span("x"):
        assert plain() == 3
    pitstop.count("orders")
    pitstop.gauge("depth", 2)
    assert RECORDER.drain()[:3] == ([], [], {})


def test_counts_and_gauges_are_recorded() -> None:
    pitstop.count("orders", 2)
    pitstop.gauge("depth", 2)
    pitstop.gauge("depth", 5)
    drained = RECORDER.drain()
    assert (drained.counts, drained.gauges["depth"]) == ([("orders", 2)], 5)


def test_spans_below_a_left_out_root_are_left_out() -> None:
    RECORDER.shed(spans_on=True, sample_rate=1e-12)
    with pitstop.span("root"), pitstop.span("child"):
        pass
    assert not drained()


def test_shed_spans_leave_their_root() -> None:
    RECORDER.shed(spans_on=False, sample_rate=1.0)
    with pitstop.span("root"), pitstop.span("child"):
        pass
    (root,) = drained()
    assert not root.children


trees = st.recursive(st.just(()), lambda below: st.lists(below, max_size=3).map(tuple), max_leaves=12)


@settings(max_examples=60, deadline=None)
@given(trees, st.integers(0, 2**32))
def test_every_span_of_a_tree_of_tasks_and_threads_belongs_to_its_root_and_parent(
    tree: tuple[object, ...], seed: int
) -> None:
    rng = random.Random(seed)
    seen: list[tuple[str, str]] = []
    want: list[tuple[str, str]] = []

    def expect(node: tuple[object, ...], name: str) -> None:
        for i, below in enumerate(node):
            want.append((f"{name}.{i}", name))
            expect(below, f"{name}.{i}")  # type: ignore[arg-type]

    async def visit(node: tuple[object, ...], name: str) -> None:
        with pitstop.span(name) as here:
            assert isinstance(here, Operation)
            if here.parent is not None:
                seen.append((name, here.parent.name))
                assert here.root is not None
                assert here.root.name == "r"
            jobs = []
            for i, below in enumerate(node):
                child = f"{name}.{i}"
                how = rng.choice(["await", "task", "thread"])
                if how == "await":
                    await visit(below, child)  # type: ignore[arg-type]
                elif how == "task":
                    jobs.append(asyncio.create_task(visit(below, child)))  # type: ignore[arg-type]
                else:
                    context = contextvars.copy_context()
                    jobs.append(asyncio.wrap_future(pool.submit(context.run, asyncio.run, visit(below, child))))  # type: ignore[arg-type]
            await asyncio.gather(*jobs)

    expect(tree, "r")
    with ThreadPoolExecutor(8) as pool:
        asyncio.run(visit(tree, "r"))
    assert sorted(seen) == sorted(want)
    (root,) = drained()
    assert sorted(child.name for child in root.children or ()) == sorted(name for name, _ in want)


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", True),
        (b"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", True),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra", False),
        (b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", False),
        (b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", False),
        (b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01", False),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-" + b"0" * 16 + b"-01", False),
        (b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", False),
        (b"00-4bf92f3577b34da6a3ce929d0e0e47\r\n-00f067aa0ba902b7-01", False),
        (b"", False),
        (b"x" * 1_000_000, False),
    ],
)
def test_only_a_well_formed_traceparent_is_followed(header: bytes, taken: bool) -> None:
    operation = Operation("http", 0)
    operation.traceparent = header
    child = Operation("db", 0)
    child.root = operation
    assert (child.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736") is taken
    assert len(operation.trace_id) == 32


def test_an_operations_repr_is_bounded() -> None:
    operation = Operation("http", 1)
    operation.name = "x" * 10_000
    assert len(repr(operation)) < 160
    assert CURRENT.get() is None
