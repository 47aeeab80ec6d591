"""The parts of one trace on one clock, each below the span that called it.

Every service and task kept a part of its own, by its own clock. A part hangs below the span whose id it was sent. Where
it seems to begin before its caller, or an answered call to end before the work on it, the clocks differ: the part is
moved to the middle of the call, or to its start, as Jaeger's clock-skew adjuster does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.series import HTTP_CLIENT
from pitstop.model.trace import decode_spans

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.model import Traces

_NO_ATTRS: Mapping[str, object] = {}


class Piece(NamedTuple):
    """A span, or the root of a part, on the trace's clock: Unix ns. `parent` is its place among the pieces, or −1."""

    part: int
    parent: int
    span_id: str
    kind: str
    name: str
    outcome: str
    start_ns: int
    end_ns: int
    nbytes: int
    attrs: Mapping[str, object]
    is_root: bool


class Pieces(NamedTuple):
    """Everything of one trace; `shifts_ns[i]` is how far part `i` was moved, `roots[i]` the place of its root."""

    pieces: list[Piece]
    roots: list[int]
    shifts_ns: list[int]


def pieces_of(kept: Traces) -> Pieces:
    """All parts of a trace. A span whose parent was left out hangs below its part's root."""
    pieces, roots = _own_clocks(kept)
    callers = _callers(kept, pieces, roots)
    shifts_ns = [0] * len(kept)
    for part in _callers_first(callers, pieces):
        caller = callers[part]
        if caller >= 0:
            shifts_ns[part] = _shift_ns(pieces[roots[part]], pieces[caller], shifts_ns[pieces[caller].part])
    moved = []
    for place, piece in enumerate(pieces):
        shift_ns = shifts_ns[piece.part]
        parent = callers[piece.part] if place == roots[piece.part] else piece.parent
        if shift_ns or parent != piece.parent:
            start_ns, end_ns = piece.start_ns + shift_ns, piece.end_ns + shift_ns
            moved.append(piece._replace(parent=parent, start_ns=start_ns, end_ns=end_ns))
        else:
            moved.append(piece)
    return Pieces(moved, roots, shifts_ns)


def _own_clocks(kept: Traces) -> tuple[list[Piece], list[int]]:
    pieces: list[Piece] = []
    roots: list[int] = []
    for part in range(len(kept)):
        root, began_ns = len(pieces), kept.start_ns[part]
        roots.append(root)
        ended_ns = began_ns + kept.duration_ns[part]
        pieces.append(
            Piece(
                part, -1, kept.span_id[part], kept.kind[part], kept.name[part], kept.outcome[part], began_ns, ended_ns,
                kept.nbytes[part], _NO_ATTRS, True,
            )
        )  # fmt: skip
        spans = decode_spans(kept.body[part]) if kept.body[part] else []
        places = {span.span_id: root + 1 + i for i, span in enumerate(spans)}
        for place, (span_id, parent_id, kind, name, outcome, start_ns, duration_ns, nbytes, attrs) in enumerate(
            spans, root + 1
        ):
            parent = places.get(parent_id, root) if parent_id else root
            start_ns += began_ns  # noqa: PLW2901  from here on it is a moment
            pieces.append(
                Piece(
                    part, root if parent == place else parent, f"{span_id & _64_BITS:016x}", kind, name, outcome,
                    start_ns, start_ns + duration_ns, nbytes, attrs or _NO_ATTRS, False,
                )
            )  # fmt: skip
    return pieces, roots


_64_BITS = (1 << 64) - 1


def _callers(kept: Traces, pieces: list[Piece], roots: list[int]) -> list[int]:
    """The place of the span that called each part, or −1."""
    if len(kept) == 1:
        return [-1]
    by_id = {piece.span_id: place for place, piece in reversed(list(enumerate(pieces)))}
    by_id.update({kept.span_id[part]: roots[part] for part in reversed(range(len(kept)))})
    callers = [by_id.get(kept.parent_id[part], -1) if kept.parent_id[part] else -1 for part in range(len(kept))]
    return [-1 if caller >= 0 and pieces[caller].part == part else caller for part, caller in enumerate(callers)]


def _callers_first(callers: list[int], pieces: list[Piece]) -> list[int]:
    """Every part after the one that called it. Circles, which only damaged or hostile data have, are cut open."""
    below: dict[int, list[int]] = {}
    for part, caller in enumerate(callers):
        below.setdefault(pieces[caller].part if caller >= 0 else -1, []).append(part)
    order: list[int] = []
    seen = [False] * len(callers)
    for first in [*below.get(-1, ()), *range(len(callers))]:
        if seen[first]:
            continue
        if callers[first] >= 0:
            callers[first] = -1
        todo = [first]
        while todo:
            part = todo.pop()
            if not seen[part]:
                seen[part] = True
                order.append(part)
                todo += below.get(part, ())
    return order


def _shift_ns(root: Piece, caller: Piece, caller_shift_ns: int) -> int:
    start_ns, end_ns = caller.start_ns + caller_shift_ns, caller.end_ns + caller_shift_ns
    spare_ns = (end_ns - start_ns) - (root.end_ns - root.start_ns)
    late = caller.kind == HTTP_CLIENT and spare_ns >= 0 and root.end_ns > end_ns
    if root.start_ns >= start_ns and not late:
        return 0
    middle_ns = spare_ns // 2 if caller.kind == HTTP_CLIENT and spare_ns > 0 else 0
    return start_ns + middle_ns - root.start_ns
