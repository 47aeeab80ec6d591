from __future__ import annotations

import contextvars
import functools
import sys
from types import ModuleType
from typing import Any

import pytest

import pitstop
from pitstop.record import owners
from pitstop.record.operation import CURRENT, Operation
from pitstop.record.owners import OWNERS, find_foreign, owned, owner_of
from pitstop.record.recorder import RECORDER


def request() -> Operation:
    op = Operation("http", 1)
    op.name = "GET /"
    return op


def context_of(op: Operation) -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(CURRENT.set, op)
    return context


def caller() -> Operation | None:
    """What the frame above says."""
    return owner_of(sys._getframe(1))


class Carrier:
    def __init__(self, op: object) -> None:
        self.op = op

    def run(self) -> Operation | None:
        return caller()


def adapter(op: object) -> Operation | None:
    del_me = op
    return caller() if del_me is op else None


def test_an_adapters_local_tells_whom_it_works_for() -> None:
    owned(adapter, "op")
    op = request()
    assert adapter(op) is op
    assert adapter("something else") is None


def test_so_does_an_attribute_of_a_local() -> None:
    owned(Carrier.run, "self", "op")
    op = request()
    assert Carrier(op).run() is op
    assert Carrier(None).run() is None


def test_other_functions_tell_nothing() -> None:
    assert caller() is None


def test_a_local_that_is_not_there_yet_tells_nothing() -> None:
    owned(Carrier.run, "nothing")
    assert Carrier(request()).run() is None


def test_functions_timed_by_the_host_are_their_own_roots() -> None:
    seen: list[Operation | None] = []

    @pitstop.timeit("job")
    def job() -> None:
        seen.append(owner_of(sys._getframe(1)))

    RECORDER.on, nudge, RECORDER.nudge = True, RECORDER.nudge, None
    try:
        job()
    finally:
        RECORDER.on, RECORDER.nudge = False, nudge
        RECORDER.drain()
    assert [op and op.name for op in seen] == ["job"]


@pytest.mark.parametrize("module", ["anyio._backends._asyncio", "asgiref.sync", "asyncio.events"])
def test_functions_of_libraries_that_run_things_in_a_context_are_known(module: str) -> None:
    __import__(module)
    find_foreign()
    path, _, _ = owners._FOREIGN[module]
    function: Any = functools.reduce(getattr, path.split("."), sys.modules[module])
    assert OWNERS[id(function.__code__)].name in function.__code__.co_varnames


def test_what_these_functions_hold_leads_to_the_operation() -> None:
    op = request()
    context = context_of(op)
    handle = type("Handle", (), {"_context": context})()
    assert owners._in_context(context) is op
    assert owners._in_handle(handle) is op
    assert owners._in_bound_run(context.run) is op


def test_a_library_of_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("made_up")
    monkeypatch.setitem(sys.modules, "made_up", module)
    monkeypatch.setitem(owners._FOREIGN, "made_up", ("Worker.run", "context", owners._in_context))
    before = len(OWNERS)
    find_foreign()
    assert not find_foreign()
    assert len(OWNERS) == before
    owners._found.discard("made_up")


def test_what_cannot_be_read_tells_nothing() -> None:
    owned(adapter, "op")
    code = adapter.__code__
    OWNERS[id(code)] = owners.Owner(code, "op", owners._in_context)
    try:
        assert adapter("no context") is None
    finally:
        owned(adapter, "op")
