"""What the spans of a tree did themselves: time that no child has, the gaps it leaves, and the critical path.

Works on plain lists, a place a span, where a parent stands before its children and children stand by start. Every
function is linear in spans but for one sort, and whole nanoseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pitstop.model.series import GC, HTTP_CLIENT, LOOP_WAIT, POOL_WAIT

if TYPE_CHECKING:
    from collections.abc import Sequence

OWN_CODE = "own code"
ELSEWHERE = "on the way or in the other service"
WAITS = {LOOP_WAIT: "waited for the event loop", POOL_WAIT: "waited for a pool", GC: "garbage collection"}

Gap = tuple[int, int]  # start and end, ns
Wait = tuple[int, int, str]  # start and end, ns, and its kind


def self_time(start_ns: int, end_ns: int, below: Sequence[tuple[int, int]]) -> tuple[int, list[Gap]]:
    """Time between `start_ns` and `end_ns` that none of `below`, by start, has; and where it lies. All ns."""
    gaps = []
    own_ns, reached = 0, start_ns
    for began, ended in below:
        if began >= end_ns:
            break
        if began > reached:
            own_ns += began - reached
            gaps.append((reached, began))
        reached = max(reached, ended)
    if reached < end_ns:
        own_ns += end_ns - reached
        gaps.append((reached, end_ns))
    return own_ns, gaps


def gap_name(gap: Gap, kind: str, waits: Sequence[Wait]) -> str:
    """What a gap in a span of `kind` was: a wait that covers half of it, else the host's own code.

    `waits` are those of the same process, by start.
    """
    start_ns, end_ns = gap
    covered: dict[str, int] = {}
    at = max(0, bisect_left(waits, (start_ns, 0, "")) - 1)
    while at < len(waits) and waits[at][0] < end_ns:
        began, ended, what = waits[at]
        covered[what] = covered.get(what, 0) + max(0, min(ended, end_ns) - max(began, start_ns))
        at += 1
    if covered:
        what = max(covered, key=lambda one: covered[one])
        if covered[what] * 2 >= end_ns - start_ns:
            return WAITS[what]
    return ELSEWHERE if kind == HTTP_CLIENT else OWN_CODE


def critical_times(
    starts: Sequence[int], ends: Sequence[int], children: Sequence[Sequence[int]], root: int
) -> list[int]:
    """How much of the time from the start of `root` to its end every span holds up, ns.

    From the end backwards: the span that ended last before the moment is the one that was waited for. What runs on
    after its parent was not waited for. The times of all spans add up to the duration of `root`.
    """
    out = [0] * len(starts)
    todo = [root]
    while todo:
        place = todo.pop()
        moment = ends[place]
        for child in sorted(children[place], key=ends.__getitem__, reverse=True):
            if ends[child] <= moment and starts[child] >= starts[place]:
                out[place] += moment - ends[child]
                moment = starts[child]
                todo.append(child)
        out[place] += moment - starts[place]
    return out
