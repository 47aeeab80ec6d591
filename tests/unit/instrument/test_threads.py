"""What a request has others do for it is its own."""

from __future__ import annotations

import concurrent.futures.thread
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import pytest

import pitstop
from pitstop.instrument import hooks, threads
from pitstop.model.record import named
from pitstop.record import CURRENT, RECORDER, Operation
from pitstop.record.recorder import FORGOTTEN_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

MODULES: tuple[Any, ...] = (threading, concurrent.futures.thread, anyio.to_thread)


@pytest.fixture(autouse=True)
def _carried() -> Iterator[None]:
    RECORDER.on, RECORDER.nudge = True, None
    RECORDER.drain()
    for module in MODULES:
        threads.attach(module)
    yield
    for module in MODULES:
        threads.detach(module)
    RECORDER.on = False
    RECORDER.drain()


def here(seen: list[Operation | None]) -> None:
    seen.append(CURRENT.get())


def test_threads_of_the_hosts_code_executors_and_anyio_carry_the_operation_and_forget_it() -> None:
    class Own(threading.Thread):
        def run(self) -> None:
            here(seen)

    seen: list[Operation | None] = []
    with ThreadPoolExecutor(1) as pool, pitstop.span("price basket") as running:
        for thread in (
            threading.Thread(target=here, args=(seen,)), Own(), threading.Timer(0, here, (seen,)),
            threading.Thread(target=lambda: here(seen)),
        ):  # fmt: skip
            thread.start()
            thread.join()
            assert "run" not in vars(thread)
        pool.submit(here, seen).result()
        anyio.run(anyio.to_thread.run_sync, here, seen)
        assert seen == [running] * 6
        seen.clear()
        CURRENT.set(None)
        pool.submit(here, seen).result()
        assert seen == [None]


def test_a_librarys_own_threads_are_left_as_they_are() -> None:
    code = compile("def work(seen, current): seen.append(current.get())", "/x/site-packages/pool.py", "exec")
    library: dict[str, Any] = {}
    exec(code, library)
    seen: list[Operation | None] = []
    with pitstop.span("price basket"):
        thread = threading.Thread(target=library["work"], args=(seen, CURRENT))
        thread.start()
        thread.join()
    assert seen == [None]


def test_arguments_results_and_exceptions_pass_unchanged() -> None:
    def price(*args: int, **kwargs: int) -> Any:
        if not args:
            raise LookupError("no item")
        return args, kwargs

    with ThreadPoolExecutor(1) as pool, pitstop.span("price basket"):
        assert pool.submit(price, 1, 2, tax=3).result() == ((1, 2), {"tax": 3})
        with pytest.raises(LookupError):
            pool.submit(price).result()
        pool.shutdown()
        with pytest.raises(RuntimeError, match="shutdown"):
            pool.submit(price, 1)


def test_work_that_waits_for_a_thread_tells_how_long() -> None:
    busy, free = threading.Event(), threading.Event()

    def hold() -> None:
        busy.set()
        free.wait()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        busy.wait()
        with pitstop.span("price basket"):
            began_ns = perf_counter_ns()
            work = pool.submit(int)
            while perf_counter_ns() - began_ns < 2_000_000:
                pass
            free.set()
            work.result()
    (record,) = named(RECORDER.drain().records)
    (wait,) = [child for child in record.children or () if child.kind == "pool_wait"]
    assert wait.name == "threads"
    assert wait.duration_ns >= 2_000_000
    assert wait.parent_ns == record.start_ns


def test_what_a_forgotten_thread_does_a_minute_later_is_its_own_root() -> None:
    root = Operation("http", perf_counter_ns() - FORGOTTEN_NS - 10**9)
    root.name, root.end_ns = "GET /", root.start_ns + 10
    token = CURRENT.set(root)
    try:
        with pitstop.span("refresh prices"):
            pass
        with pitstop.span("refresh prices"):
            pass
    finally:
        CURRENT.reset(token)
    first, second = named(RECORDER.drain().records)
    assert (first.parent, second.parent) == ("", "")
    assert (first.name, first.kind) == ("refresh prices", "function")


def test_it_is_undone_and_hooked_as_the_setting_says() -> None:
    for module in MODULES:
        threads.detach(module)
    assert not hasattr(ThreadPoolExecutor.submit, "__wrapped__")
    assert not hasattr(threading.Thread.start, "__wrapped__")
    hooks.install_inside(("none",))
    assert not hasattr(threading.Thread.start, "__wrapped__")
    hooks.install_inside(("threads",))
    assert hasattr(ThreadPoolExecutor.submit, "__wrapped__")
    assert hasattr(anyio.to_thread.run_sync, "__wrapped__")
    hooks.remove()
