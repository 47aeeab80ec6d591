"""Random requests: whatever way their parts run, each is recorded once, below the one it ran in.

The tree that is drawn is what is expected. Its parts are awaited, run as tasks, in executors, in threads, as sync
calls, as generators; they fail, are cancelled, and go on after the answer.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import io
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pitstop
from pitstop.instrument import instrument, threads
from pitstop.model.record import named
from pitstop.record import CURRENT, RECORDER, leaf

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from pitstop.model.record import Record

    Tree = tuple[str, list[Any]]

WAYS = ("await", "task", "executor", "to_thread", "thread", "stream", "fail", "cancel")
DRAWN = {"function", "db"}  # besides there are waits for threads, collections, and when the first byte came
ROOT = "GET /"
trees: st.SearchStrategy[Tree] = st.recursive(
    st.tuples(st.sampled_from(("leaf", *WAYS)), st.just([])),
    lambda below: st.tuples(st.sampled_from(WAYS), st.lists(below, max_size=4)),
    max_leaves=14,
)
forests = st.lists(trees, max_size=3)


class PlannedError(Exception):
    """What a part of the tree raises."""


@pytest.fixture(autouse=True, scope="module")
def _recording() -> Iterator[None]:
    RECORDER.on, RECORDER.nudge, capacity, RECORDER.capacity = True, None, RECORDER.capacity, 100_000
    RECORDER.drain()
    threads.attach(threading)
    threads.attach(concurrent.futures.thread)
    yield
    threads.detach(threading)
    threads.detach(concurrent.futures.thread)
    RECORDER.on, RECORDER.capacity = False, capacity
    RECORDER.drain()


class Walk:
    """Runs a tree, and knows the parent of each of its parts."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.pool = pool
        self.parents: dict[str, str] = {}

    def part(self, tree: Tree, name: str, parent: str) -> None:
        """Run it here, in a thread without a loop."""
        way, below = tree
        self.parents[name] = parent
        if way == "leaf":
            began_ns = perf_counter_ns()
            leaf("db", name, "ok", began_ns, perf_counter_ns())
            return
        with pitstop.span(name):
            for i, child in enumerate(below):
                self.below(child, f"{name}.{i}", name)
            if way in {"fail", "cancel"}:
                raise PlannedError

    def below(self, tree: Tree, name: str, parent: str) -> None:
        way = tree[0]
        call = partial(self.part, tree, name, parent)
        if way in {"thread", "to_thread"}:
            thread = threading.Thread(target=call)
            thread.start()
            thread.join()
        elif way in {"executor", "task"}:
            self.pool.submit(call).result()
        elif way == "stream":
            for _ in self.pieces(tree, name, parent):
                pass
        else:
            with suppress(PlannedError):
                call()

    def pieces(self, tree: Tree, name: str, parent: str) -> Iterator[int]:
        self.parents[name] = parent
        with pitstop.span(name):
            for i, child in enumerate(tree[1]):
                self.below(child, f"{name}.{i}", name)
                yield i

    async def visit(self, tree: Tree, name: str, parent: str, waits: asyncio.Event | None = None) -> None:
        """Run it on the loop."""
        way, below = tree
        if way == "leaf":
            self.part(tree, name, parent)
            return
        self.parents[name] = parent
        with pitstop.span(name):
            await self.all_below(below, name)
            if way == "fail":
                raise PlannedError
            if waits is not None:
                waits.set()
                await asyncio.Event().wait()

    async def all_below(self, below: list[Tree], parent: str) -> None:
        tasks = []
        for i, child in enumerate(below):
            name = f"{parent}.{i}"
            if child[0] == "task":
                tasks.append(asyncio.create_task(self.visit(child, name, parent)))
            else:
                await self.one_below(child, name, parent)
        await asyncio.gather(*tasks)

    async def one_below(self, tree: Tree, name: str, parent: str) -> None:
        way = tree[0]
        call = partial(self.part, tree, name, parent)
        if way == "executor":
            await asyncio.get_running_loop().run_in_executor(self.pool, call)
        elif way == "to_thread":
            await asyncio.to_thread(call)
        elif way == "thread":
            thread = threading.Thread(target=call)
            thread.start()
            await asyncio.to_thread(thread.join)
        elif way == "stream":
            async for _ in self.stream(tree, name, parent):
                await asyncio.sleep(0)
        elif way == "cancel":
            waits = asyncio.Event()
            task = asyncio.create_task(self.visit(tree, name, parent, waits))
            await waits.wait()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        else:
            with suppress(PlannedError):
                await self.visit(tree, name, parent)

    async def stream(self, tree: Tree, name: str, parent: str) -> AsyncIterator[int]:
        self.parents[name] = parent
        with pitstop.span(name):
            for i, child in enumerate(tree[1]):
                await self.one_below(child, f"{name}.{i}", name)
                yield i


def check(walk: Walk, after: set[str]) -> Record:
    """The request's record, when each part of the tree has one: below its parent, or by itself when it was late."""
    records = named(RECORDER.drain().records)
    (root,) = [record for record in records if record.kind == "http"]
    children = [child for child in root.children or () if child.kind in DRAWN]
    names = {child.start_ns: child.name for child in children} | {root.start_ns: ROOT}
    parents = {child.name: names.get(child.parent_ns, "") for child in children}
    assert len(parents) == len(children)
    assert parents == {name: parent for name, parent in walk.parents.items() if name not in after}
    assert sorted(record.name for record in records if record.parent and record.kind in DRAWN) == sorted(after)
    assert all(root.start_ns <= child.start_ns <= child.end_ns <= root.end_ns for child in root.children or ())
    return root


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_message: Any) -> None:
    pass


SCOPE = {"type": "http", "method": "GET", "path": "/", "path_template": "/", "headers": [], "root_path": ""}


@settings(max_examples=150, deadline=None)
@given(forests, forests, st.booleans())
def test_every_part_of_an_asgi_request_is_recorded_once_below_the_one_it_ran_in(
    forest: list[Tree], late: list[Tree], runs_over: bool
) -> None:
    with ThreadPoolExecutor(64) as pool:
        walk = Walk(pool)
        answered = asyncio.Event()

        async def beyond_the_answer() -> None:
            walk.parents["over"] = ROOT
            with pitstop.span("over"):
                await answered.wait()

        async def app(_scope: Any, _receive: Any, send: Any) -> None:
            over = asyncio.create_task(beyond_the_answer()) if runs_over else None
            await asyncio.sleep(0)
            await walk.all_below(forest, ROOT)
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x"})
            answered.set()
            before = set(walk.parents) - {"over"}
            if over is not None:
                await over
            await walk.all_below(late, "late")
            after.update(set(walk.parents) - before)

        after: set[str] = set()
        asyncio.run(instrument(app, RECORDER)(dict(SCOPE), receive, send))  # type: ignore[arg-type]
    assert check(walk, after).outcome == "200"
    assert CURRENT.get() is None


@settings(max_examples=100, deadline=None)
@given(forests, forests, st.booleans())
def test_every_part_of_a_wsgi_request_is_recorded_once_below_the_one_it_ran_in(
    forest: list[Tree], streamed: list[Tree], abandoned: bool
) -> None:
    with ThreadPoolExecutor(64) as pool:
        walk = Walk(pool)

        def body() -> Iterator[bytes]:
            for i, tree in enumerate(streamed):
                walk.below(tree, f"piece.{i}", ROOT)
                yield b"x"

        def app(_environ: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
            for i, tree in enumerate(forest):
                walk.below(tree, f"{ROOT}.{i}", ROOT)
            start_response("200 OK", [])
            return body()

        recorded: Any = instrument(app, RECORDER)
        recorded.template_of = lambda _environ: "/"  # a plain application has none
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": io.BytesIO()}
        pieces: Any = recorded(environ, lambda *_: None)
        for _ in pieces:
            if abandoned:
                break
        pieces.close()
    left = abandoned and len(streamed) > 0
    assert check(walk, set()).outcome == ("499" if left else "200")
