from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitstop.record import stacks
from pitstop.record.caller import shown
from pitstop.record.profiler import _real_ident
from pitstop.record.sampler import Sampler
from pitstop.record.stacks import (
    DEEPEST,
    LEFT_OUT,
    SHOWN_INNER,
    SHOWN_OUTER,
    Stack,
    frames_of,
    label,
    stack_of,
    undisturbed,
)

HERE = shown(__file__)


def here() -> Stack:
    return stack_of(frames_of(sys._getframe()))


def deep(levels: int) -> Stack:
    return deep(levels - 1) if levels else here()


def test_a_stack_is_its_functions_with_the_lines_that_run_outermost_first() -> None:
    line = test_a_stack_is_its_functions_with_the_lines_that_run_outermost_first.__code__.co_firstlineno
    first, second = deep(1), deep(1)
    frames = first.text.split(";")
    assert frames[-1] == f"here ({HERE}:{here.__code__.co_firstlineno + 1})"
    assert frames[-2] == frames[-3] == f"deep ({HERE}:{deep.__code__.co_firstlineno + 1})"
    assert frames[-4].startswith(f"test_a_stack_is_its_functions_with_the_lines_that_run_outermost_first ({HERE}:")
    assert frames[-4] == frames[-4].rpartition(":")[0] + f":{line + 2})"
    assert first is not second or first.text == second.text


def test_the_same_stack_is_put_together_once() -> None:
    found = [deep(3) for _ in range(3)]
    assert found[0] is found[1] is found[2]


def test_of_a_deep_stack_the_middle_is_left_out() -> None:
    frames = deep(500).text.split(";")
    assert len(frames) == SHOWN_INNER + SHOWN_OUTER + 1
    assert frames[SHOWN_OUTER] == LEFT_OUT
    assert frames[-1].startswith("here (")


def test_of_a_bottomless_recursion_only_so_much_is_looked_at() -> None:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(3 * DEEPEST)
    try:
        assert len(deep(DEEPEST + 200).codes) == DEEPEST
    finally:
        sys.setrecursionlimit(limit)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stacks, "CAPACITY", 3)
    stacks.forget()
    for n in range(10):
        code = compile(f"def f{n}(): pass", "<made>", "exec")
        stack_of([type("Frame", (), {"f_code": code, "f_lasti": 0})()])
        assert len(stacks._stacks) <= 3
        assert len(stacks._labels) <= 3


def test_threads_that_wait_for_work_are_known_by_their_innermost_frame() -> None:
    door = threading.Event()
    thread = threading.Thread(target=door.wait)
    thread.start()
    try:
        while not (found := stack_of(frames_of(sys._current_frames()[thread.ident]))).waits:
            pass
        assert found.text.split(";")[-1].startswith("Condition.wait (threading.py:")
    finally:
        door.set()
        thread.join()
    assert not here().waits


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30))
def test_names_never_break_the_fold(name: str) -> None:
    """Files and functions may have any name; frames are parted by semicolons and rows by line ends."""
    code = compile("0", name, "exec").replace(co_qualname=name)
    text = label(code, 0)
    assert ";" not in text
    assert "\n" not in text


EARLY = pytest.mark.skipif(sys.version_info >= (3, 12), reason="collections wait for the next instruction")


@EARLY
def test_no_collection_runs_while_other_threads_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would let them go on, and the frame that is being read ends: CPython 3.11 crashes within seconds."""
    collecting, read = [], sys._current_frames

    def frames() -> Any:
        collecting.append(gc.isenabled())
        return read()

    monkeypatch.setattr(sys, "_current_frames", frames)
    Sampler(None).look(20_000_000)
    _real_ident()
    assert collecting == [False, False]
    assert gc.isenabled()


def test_collections_stay_off_where_the_host_wants_them_off() -> None:
    gc.disable()
    try:
        assert undisturbed(gc.isenabled) is False
        assert not gc.isenabled()
    finally:
        gc.enable()


@EARLY
def test_the_child_of_a_fork_meanwhile_collects() -> None:
    inward, outward = os.pipe()

    def fork() -> int:
        assert not gc.isenabled()
        child = os.fork()
        if not child:
            os.write(outward, b"on" if gc.isenabled() else b"off")
            os._exit(0)
        return child

    child = undisturbed(fork)
    os.waitpid(child, 0)
    assert os.read(inward, 10) == b"on"
    assert gc.isenabled()


def test_the_profiler_knows_its_own_thread() -> None:
    assert _real_ident() == threading.get_ident()
