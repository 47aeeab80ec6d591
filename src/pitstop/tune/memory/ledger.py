"""Which code takes memory that no Python object shows: malloc's own books, read around every call for a moment.

For at most `MOST_S` of its own time, and at most `LONGEST_S` altogether, each call into C and each Python function is
bracketed by a reading of what malloc has given out (glibc's ``mallinfo2``, 2.33 or newer). A function's sum has what it
took less what it gave back, its own variables included, so what is only used for a while cancels out. Then the lines of
the function that has kept most are looked at in the same way. A profiler or debugger that somebody has set stays.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

MOST_S: Final = 0.5  # spent in the hook, over all threads: what a burst costs the host at most, twice that with entry
LONGEST_S: Final = 9.0  # to wait for traffic: at the limit of R43 150 kB, nine times what is asked for
LEAST_BYTES: Final = 16_384  # of net growth; less says nothing
EAGER: Final = 5  # net containers between young collections while threads are to be reached through them

_BOOKS: Final = (
    "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
)  # fmt: skip

_reaching: weakref.WeakSet[_Reach] = weakref.WeakSet()
_NOBODY: Final = (0, 0, None, 0)
_SKIPPED: Final = (f"{__file__.rpartition('tune')[0]}", "<")  # ourselves, and what has no file to look into


def malloc_books() -> Callable[[], int] | None:
    """A function that answers how many bytes malloc has given out; None where the C library does not tell."""
    import ctypes  # noqa: PLC0415  a megabyte that only this needs

    class Books(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in _BOOKS]

    try:
        mallinfo2 = ctypes.PyDLL(None).mallinfo2  # PyDLL keeps the interpreter's lock: nobody else runs in between
    except (AttributeError, OSError, TypeError):
        return None
    mallinfo2.restype = Books

    def given_out() -> int:
        books = mallinfo2()
        return int(books.uordblks + books.hblkhd)

    return given_out


class Ledger:
    """Sums by function and line, of any number of threads."""

    def __init__(self, given_out: Callable[[], int], most_s: float = MOST_S) -> None:
        self.sums: dict[CodeType, dict[int, int]] = {}
        self.spent_s = 0.0
        self.done = False
        self.events = 0
        self.only: CodeType | None = None
        self._given_out = given_out
        self._most_s = most_s
        self._last: tuple[int, int, CodeType | None, int] = _NOBODY  # thread, given out, who runs since, in which line

    def profiled(self, frame: FrameType, event: str, _arg: object) -> None:
        """For `sys.setprofile`: files what was taken since the last event in this thread under who ran since."""
        if self.done:
            sys.setprofile(None)
            return
        # what is freed when a frame ends comes after its "return", and is its own
        self._file(frame, 0 if event == "return" else frame.f_lineno)

    def traced(self, frame: FrameType, event: str, _arg: object) -> Callable[..., Any] | None:
        """For `sys.settrace`: the lines of the function `self.only`."""
        if self.done:
            sys.settrace(None)
            return None
        if frame.f_code is not self.only:
            self._last = _NOBODY
            return None
        if event == "return":
            self._file(frame, 0)
            self._last = _NOBODY
        else:
            self._file(frame, frame.f_lineno)
        return self.traced

    def _file(self, frame: FrameType, line: int) -> None:
        began_s = time.perf_counter()
        me = threading.get_ident()
        now = self._given_out()
        ident, before, code, at = self._last
        if ident == me and now != before and code is not None:  # else another thread may have taken it
            lines = self.sums.setdefault(code, {})
            lines[at] = lines.get(at, 0) + now - before
        self._last = (me, now, frame.f_code, line)
        self.events += 1
        self.spent_s += time.perf_counter() - began_s
        if self.spent_s > self._most_s:
            self.done = True

    def keeper(self) -> tuple[CodeType | None, int]:
        """The function that has kept most, and how much; None where none has to speak of."""
        kept = {code: sum(by.values()) for code, by in self.sums.items() if not code.co_filename.startswith(_SKIPPED)}
        code = max(kept, key=kept.__getitem__, default=None)
        if code is None or kept[code] < LEAST_BYTES:
            return None, 0
        return code, kept[code]

    def line_of(self, code: CodeType) -> int:
        """The line of it that has taken most."""
        lines = {line: taken for line, taken in self.sums.get(code, {}).items() if line}
        return max(lines, key=lines.__getitem__) if lines else code.co_firstlineno


def grown_lines(longest_s: float = LONGEST_S, wait: Callable[[float], Any] = time.sleep) -> tuple[str, str]:
    """Look closer for a moment: the line that takes memory outside of Python's objects, and why; "" for not found.

    Takes `longest_s` at most, two thirds of it to find the function.
    """
    given_out = malloc_books()
    if given_out is None:
        return "", ""
    calls = Ledger(given_out)
    _run(calls, "profile", calls.profiled, wait, longest_s * 2 / 3)
    code, nbytes = calls.keeper()
    if code is None:
        return "", ""
    lines = Ledger(given_out, MOST_S / 4)
    lines.only = code
    _run(lines, "trace", lines.traced, wait, longest_s / 3)
    found = lines if code in lines.sums else calls
    why = f"memory that no Python object shows: {nbytes / 1e3:.0f} kB more in {calls.events} calls looked at"
    return f"{code.co_filename}:{found.line_of(code)}", why


def _run(ledger: Ledger, what: str, hook: Callable[..., Any], wait: Callable[[float], Any], longest_s: float) -> None:
    with _Reach(ledger, what, hook):
        end_s = time.monotonic() + longest_s
        while not ledger.done and time.monotonic() < end_s:
            wait(0.05)
        ledger.done = True


class _Reach:
    """Sets a hook (`what`: profile or trace) in every thread that runs Python code, where there is none.

    Each thread takes it back when it next comes by. CPython 3.12 can set it in all threads; before, a thread is reached
    by the collector's callback, which runs in whichever thread asks for memory, or by `threading` when it begins.
    """

    def __init__(self, ledger: Ledger, what: str, hook: Callable[..., Any]) -> None:
        self._ledger, self._hook = ledger, hook
        self._get: Callable[[], Any] = getattr(sys, f"get{what}")
        self._set: Callable[[Any], None] = getattr(sys, f"set{what}")
        self._begin: Callable[[Any], None] = getattr(threading, f"set{what}")
        self._all: Callable[[Any], None] | None = getattr(threading, f"set{what}_all_threads", None)
        self._before = getattr(threading, f"get{what}")()
        self._threshold = gc.get_threshold()
        self._eager = (EAGER, *self._threshold[1:])

    def __enter__(self) -> None:
        if self._before is not None:
            return
        _reaching.add(self)
        self._begin(self._hook)
        if self._all is not None:
            self._all(self._hook)
            return
        gc.callbacks.append(self._collected)
        gc.set_threshold(*self._eager)

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "stop" and not self._ledger.done and self._get() is None:
            self._set(self._hook)

    def __exit__(self, *_exc: object) -> None:
        if self._before is not None:
            return
        _reaching.discard(self)
        self._begin(None)
        if self._all is not None:
            self._all(None)
            return
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
        if gc.get_threshold() == self._eager:
            gc.set_threshold(*self._threshold)

    def reset_after_fork(self) -> None:
        """Whoever would have ended it is in the parent; of the threads that have the hook this one is left."""
        self._ledger.done = True
        self.__exit__()
        if self._get() == self._hook:
            self._set(None)


def _after_fork() -> None:
    for each in list(_reaching):
        each.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
