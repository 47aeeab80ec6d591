"""Statements that a request repeats where one would do: N+1.

As Sentry defines it (docs.sentry.io, "N+1 Queries"): more than five similar statements under one parent, one after the
other and not at once, that together take more than 50 ms or more than a fifth of the request. Others may stand between
them, because a loop often runs two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.series import DB
from pitstop.model.trace import LINE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.record import ChildFields

MOST_ALIKE = 5  # Sentry: more than this many are a repetition
LEAST_NS = 50_000_000  # Sentry: together longer than this …
LEAST_RATIO = 0.2  # … or than this share of the request


class Repeated(NamedTuple):
    """One statement that ran `times` times, `total_ns` in all, from the code at `line`."""

    statement: str
    line: str
    times: int
    total_ns: int


def repeated(children: Sequence[ChildFields], duration_ns: int) -> list[Repeated]:
    """What is repeated below a root that took `duration_ns`. `children` in the order they ended.

    Worth a call only for more than `MOST_ALIKE` children.
    """
    runs: dict[tuple[int, str], list[int]] = {}  # count, total, end of the last, position of the first
    for at, (kind, name, _, start_ns, end_ns, _, _, parent_ns) in enumerate(children):
        if kind == DB:
            run = runs.get((parent_ns, name))
            if run is None:
                runs[parent_ns, name] = [1, end_ns - start_ns, end_ns, at]
            elif start_ns >= run[2]:
                run[0] += 1
                run[1] += end_ns - start_ns
                run[2] = end_ns
    found = []
    for (_, statement), (count, total_ns, _, first) in runs.items():
        if count > MOST_ALIKE and (total_ns > LEAST_NS or total_ns > LEAST_RATIO * duration_ns):
            attrs = children[first][6]
            found.append(Repeated(statement, str(attrs.get(LINE, "")) if attrs else "", count, total_ns))
    return found
