"""Stacks of other threads as text, each put together once and then found by its code.

A frame is ``function (file:line)``, the line being the one that runs; frames are joined by ``;``, outermost first.
Nothing of a frame is held: an object of the host's must not live longer because it was looked at.

Before CPython 3.12 a collection may begin wherever an object is made, and so in the middle of asking a thread for its
frames. What runs in a collection (callbacks, finalizers) lets that thread go on, the frame that was being read ends,
and the interpreter reads freed memory: wrong objects, then a crash. From 3.12 on collections wait for the next
instruction (What's New In Python 3.12, "Other Language Changes"). So `undisturbed` keeps them away before.
"""

from __future__ import annotations

import gc
import os
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from pitstop.record.caller import OWN, function_name, shown
from pitstop.record.owners import OWNERS

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

T = TypeVar("T")

CAPACITY = 10_000  # stacks and lines remembered; beyond it all are put together anew
DEEPEST = 1000  # frames looked at, innermost first
SHOWN_INNER = 100  # frames of a deeper stack that are shown: these and the outermost
SHOWN_OUTER = 28
LEFT_OUT = "(…)"
COLLECTION = "garbage collection (gc)"
LOCK = "wait for lock"  # the leaf of a thread that stands in front of a ``with lock:``

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep  # noqa: PTH100, PTH120  pathlib is slow
_THREADS = (os.path.join(_HERE, "rollup", "flusher.py"), os.path.join(_HERE, "record", "profiler.py"))  # noqa: PTH118
_COLLECTIONS = os.path.join(_HERE, "instrument", "runtime.py")  # noqa: PTH118  told of each collection, in its thread
_code = attrgetter("f_code")
_at = attrgetter("f_lasti")

WAITS = frozenset(
    {
        ("threading.py", "wait"), ("threading.py", "join"), ("threading.py", "_wait_for_tstate_lock"),
        ("selectors.py", "select"), ("queue.py", "get"), ("thread.py", "_worker"), ("socket.py", "accept"),
        ("runners.py", "run"), ("base_events.py", "run_forever"), ("server.py", "run"), ("sync.py", "wait"),
        ("hub.py", "run"), ("threadpool.py", "run"), ("arbiter.py", "sleep"), ("subprocess.py", "_try_wait"),
        ("popen_fork.py", "poll"), ("connection.py", "wait"), ("connection.py", "_recv"),
    }
)  # fmt: skip
"""Files and functions at the top of a thread that waits for work: of the standard library, gunicorn, gevent, uvloop."""


class Stack:
    """What is known of one stack: `owner_at` counts frames from the innermost, -1 where nothing says whom it serves.

    `waits`: its top is one of `WAITS`. `ours`: it is a thread of Pitstop's own. `place` is the innermost frame of the
    host's own code, or the innermost at all.
    """

    __slots__ = ("codes", "ours", "owner_at", "place", "text", "waits")

    def __init__(self, codes: list[CodeType], lastis: list[int]) -> None:
        self.codes = codes  # held, so that the ids it is found by stay its own
        owners = [at for at, code in enumerate(codes) if id(code) in OWNERS]
        self.owner_at = owners[0] if owners else -1
        top = codes[0]
        self.waits = (os.path.basename(top.co_filename), top.co_name) in WAITS and not OWN[top.co_filename]  # noqa: PTH119
        self.ours = codes[-1].co_filename in _THREADS
        inside = owners[-1] if owners else len(codes)  # what called a request says nothing about it
        frames = [
            label(code, lasti)
            for code, lasti in zip(codes[:inside], lastis[:inside], strict=True)
            if not code.co_filename.startswith(_HERE)
        ] or [label(top, lastis[0])]
        own = next((at for at, code in enumerate(codes) if OWN[code.co_filename]), 0)
        self.place = label(codes[own], lastis[own])
        if top.co_filename == _COLLECTIONS:
            frames.insert(0, COLLECTION)
        if _enters(top, lastis[0]):
            frames.insert(0, f"{LOCK} ({self._line_of(frames[0])})")
        if len(frames) > SHOWN_INNER + SHOWN_OUTER:
            frames[SHOWN_INNER:-SHOWN_OUTER] = [LEFT_OUT]
        self.text = ";".join(reversed(frames))

    @staticmethod
    def _line_of(frame: str) -> str:
        return frame.rpartition(" (")[2][:-1]


_stacks: dict[tuple[int, ...], Stack] = {}
_labels: dict[tuple[int, int], tuple[str, CodeType]] = {}


_paused = False  # by us, for as long as frames of other threads are read


def undisturbed(read: Callable[[], T]) -> T:
    """What `read` answers, without a collection meanwhile where one could make reading frames of other threads crash.

    A host that calls ``gc.disable()`` from another thread in just these microseconds finds it undone; one that was
    disabled before is left so.
    """
    global _paused  # noqa: PLW0603  for the child of a fork in another thread
    if sys.version_info >= (3, 12) or not gc.isenabled():
        return read()
    _paused = True
    gc.disable()
    try:
        return read()
    finally:
        gc.enable()
        _paused = False


def _after_fork() -> None:
    global _paused  # noqa: PLW0603
    if _paused:  # by a thread that the child does not have
        _paused = False
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def frames_of(frame: FrameType | None) -> list[FrameType]:
    """`frame` and what called it, innermost first. Not to be kept."""
    frames: list[FrameType] = []
    append = frames.append
    while frame is not None:
        append(frame)
        frame = frame.f_back
        if len(frames) >= DEEPEST:
            break
    return frames


def stack_of(frames: list[FrameType]) -> Stack:
    """The stack of `frames`; 10 µs for 50 of them where it was seen before."""
    codes = list(map(_code, frames))
    key = (*map(id, codes), *map(_at, frames))
    known = _stacks.get(key)
    if known is None:
        if len(_stacks) >= CAPACITY:
            _stacks.clear()
        known = _stacks[key] = Stack(codes, list(map(_at, frames)))
    return known


def forget() -> None:
    """Look at every stack anew, because `OWNERS` has changed."""
    _stacks.clear()


def label(code: CodeType, lasti: int) -> str:
    """``function (file:line)`` of what runs at `lasti` in `code`."""
    known = _labels.get((id(code), lasti))
    if known is None:
        if len(_labels) >= CAPACITY:
            _labels.clear()
        where = f"{shown(code.co_filename)}:{_line(code, lasti)}"
        text = f"{function_name(code)} ({where})".replace(";", ",").replace("\n", " ")
        known = _labels[id(code), lasti] = (text, code)
    return known[0]


def _line(code: CodeType, lasti: int) -> int:
    if lasti >= 0:
        for start, end, line in code.co_lines():
            if start <= lasti < end:
                return line or code.co_firstlineno
    return code.co_firstlineno


def _enters(code: CodeType, lasti: int) -> bool:
    """Whether a ``with`` is being entered by C code, which for what blocks is a lock."""
    import opcode  # noqa: PLC0415  not where nothing is profiled

    try:
        return lasti >= 0 and code.co_code[lasti] == opcode.opmap.get("BEFORE_WITH")
    except IndexError:
        return False
