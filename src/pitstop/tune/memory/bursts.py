"""Which lines hold more and more: tracemalloc for a few seconds, on demand.

While it runs every allocation of Python costs 2 to 10 times as much, so it is never on by itself.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.model.errors import PitstopError, SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

SECONDS: Final = 10.0
LONGEST_S: Final = 120.0
MOST_LINES: Final = 20
_running: list[float] = []  # the seconds of the burst that is on, which has started the tracing
_NOT_THE_HOSTS: Final = (tracemalloc.__file__, f"{__file__.rpartition('tune')[0]}*", "<frozen importlib._bootstrap*>")


class GrownLine(NamedTuple):
    """A line of code whose allocations stay: what is still held of the first half, and of the second.

    A line that leaks has both; one that only works has about nothing of the first.
    """

    line: str
    first_bytes: int
    second_bytes: int
    blocks: int
    bytes_per_min: float

    @property
    def stays(self) -> bool:
        """Whether both halves have left something of about the same size."""
        return 0 < self.first_bytes <= 4 * self.second_bytes and self.second_bytes <= 4 * self.first_bytes


def grown_by_line(seconds: float = SECONDS, *, wait: Callable[[float], Any] = time.sleep) -> list[GrownLine]:
    """Lines that hold more at the end of `seconds` than before, those first that have grown in both halves.

    Raises SettingError, or PitstopError where the host is tracing by itself.
    """
    if not 0 < seconds <= LONGEST_S:
        raise SettingError(f"seconds = {seconds} has to be above 0 and at most {LONGEST_S:.0f}")
    if tracemalloc.is_tracing():
        raise PitstopError("tracemalloc is on already, in this process; ask again when whoever started it is done")
    _running.append(seconds)
    try:
        tracemalloc.start(1)
        wait(seconds / 2)
        first = _sizes()
        wait(seconds / 2)
        second = _sizes()
    finally:
        tracemalloc.stop()
        _running.clear()
    lines = []
    for line, (nbytes, count) in second.items():
        before = first.get(line, (0, 0))[0]
        if nbytes > 0:
            lines.append(GrownLine(line, before, nbytes - before, count, nbytes * 60.0 / seconds))
    lines.sort(key=lambda each: (each.stays, each.first_bytes + each.second_bytes), reverse=True)
    return lines[:MOST_LINES]


def _sizes() -> dict[str, tuple[int, int]]:
    """What is held of all that was allocated since the start, by line: bytes, blocks."""
    snapshot = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(inclusive=False, filename_pattern=pattern) for pattern in _NOT_THE_HOSTS]
    )
    return {
        f"{statistic.traceback[0].filename}:{statistic.traceback[0].lineno}": (statistic.size, statistic.count)
        for statistic in snapshot.statistics("lineno")
    }


def _after_fork() -> None:
    """Whoever would have ended the tracing is in the parent."""
    if _running:
        _running.clear()
        tracemalloc.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
