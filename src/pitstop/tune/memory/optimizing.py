"""Give back memory now, and say honestly what each step was worth: often nothing."""

from __future__ import annotations

import gc
import linecache
import re
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.tune.memory.readings import held

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Step = tuple[str, "Callable[[], object]"]


class StepTaken(NamedTuple):
    """`freed_bytes` is what the process held less afterwards; below 0 it held more: others allocate meanwhile."""

    name: str
    freed_bytes: int
    took_s: float
    note: str


class Optimized(NamedTuple):
    """What the process held before and after, its own pages, bytes; None where the system does not tell."""

    before_bytes: int | None
    after_bytes: int | None
    took_s: float
    steps: list[StepTaken]

    @property
    def freed_bytes(self) -> int | None:
        """What it holds less; below 0 when it holds more."""
        return None if self.before_bytes is None or self.after_bytes is None else self.before_bytes - self.after_bytes


_shrinkers: list[Step] = []


def can_shrink(name: str, shrink: Callable[[], object]) -> None:
    """`optimize` calls ``shrink()``, too: a cache that can drop what is cheap to make again."""
    _shrinkers.append((name, shrink))


def optimize(shrinkers: Iterable[Step] = ()) -> Optimized:
    """Shrink what can be, drop Python's own caches, collect everything, give freed memory back to the system.

    Takes a full collection, during which no other Python code runs: 0.1 s a million objects.
    """
    steps: list[Step] = [
        *_shrinkers,
        *shrinkers,
        ("caches of the interpreter", _drop_caches),
        ("full collection", _collect),
        ("freed memory back to the system", _trim),
    ]
    taken: list[StepTaken] = []
    began_s, before = time.perf_counter(), held()
    now = before
    for name, act in steps:
        step_s = time.perf_counter()
        try:
            note = act()
        except Exception as error:  # noqa: BLE001  one that fails must not keep the others from giving up
            note = f"failed: {error!r}"
        after = held()
        freed = now - after if now is not None and after is not None else 0
        taken.append(StepTaken(name, freed, time.perf_counter() - step_s, note if isinstance(note, str) else ""))
        now = after
    return Optimized(before, now, time.perf_counter() - began_s, taken)


def _drop_caches() -> str:
    re.purge()
    linecache.clearcache()
    return "patterns and source lines are read again when they are needed"


def _collect() -> str:
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    count = gc.collect()
    if frozen:
        gc.freeze()
    return f"{count} objects in cycles were garbage"


_NO_TRIM: Final = "the C library has no malloc_trim"


def _trim() -> str:
    import ctypes  # noqa: PLC0415  a megabyte that only this needs

    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return _NO_TRIM
    return "pages were given back" if trim(0) else "there was nothing to give back"
