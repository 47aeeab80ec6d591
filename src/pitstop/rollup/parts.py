"""What a request's time was spent on: the exclusive time of each of `PARTS`, overlaps counted once.

Where two overlap, the one that stands first in `PARTS` has the time: a collection within a query is a collection, a
query within a template is a query. Spans, stages and transactions are no part: they are around the others. So the parts
and what is left, the request's own code, add up to its duration exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.series import HTTP, PARTS, TASK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pitstop.model.record import ChildFields

DIVIDED = frozenset({HTTP, TASK})
"""Kinds of roots whose time is divided. A connection's is mostly waiting, and would be told when it ends at last."""

_RANK: Mapping[str, int] = {kind: rank for rank, kind in enumerate(PARTS)}


def parts_of(children: Iterable[ChildFields], start_ns: int, end_ns: int) -> dict[str, int]:
    """Nanoseconds of each part that has any within ``[start_ns, end_ns)``. `children` in any order.

    One pass where they follow one another, as a request's queries mostly do; n log n where they overlap.
    """
    own: dict[str, int] = {}
    until = start_ns
    for kind, _, _, began, ended, _, _, _ in children:
        if kind in _RANK:
            if not until <= began < ended <= end_ns:
                return _swept(children, start_ns, end_ns)
            own[kind] = own.get(kind, 0) + ended - began
            until = ended
    return own


def _swept(children: Iterable[ChildFields], start_ns: int, end_ns: int) -> dict[str, int]:
    """Walk along the edges of all intervals; what runs between two edges goes to the first in rank that is open."""
    edges: list[tuple[int, int, int]] = []
    for kind, _, _, began, ended, _, _, _ in children:
        rank = _RANK.get(kind)
        if rank is not None:
            began, ended = max(began, start_ns), min(ended, end_ns)  # noqa: PLW2901  clipped
            if began < ended:
                edges += ((began, rank, 1), (ended, rank, -1))
    edges.sort()
    open_of, total = [0] * len(PARTS), [0] * len(PARTS)
    ranks_open, last_ns = 0, start_ns  # bit r: something of rank r is open
    for at_ns, rank, step in edges:
        if ranks_open:
            total[(ranks_open & -ranks_open).bit_length() - 1] += at_ns - last_ns
        last_ns = at_ns
        open_of[rank] += step
        if open_of[rank]:
            ranks_open |= 1 << rank
        else:
            ranks_open &= ~(1 << rank)
    return {kind: ns for kind, ns in zip(PARTS, total, strict=True) if ns}
