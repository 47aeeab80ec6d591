"""What a root that runs on hands over in pieces, put together again when it ends.

Series do not need it, because each piece is folded as it comes; the division of the root's time and its trace do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.model.record import ChildFields, Fields

MOST_CHILDREN = 10_000  # kept of all roots that run on: 2 MB
MOST_ROOTS = 256

Place = tuple[str, str, int]  # tenant, name, start


class Whole(NamedTuple):
    """Everything that ended below a root, and how many of it were not kept."""

    children: Sequence[ChildFields]
    lost: int


class _Gathered:
    __slots__ = ("children", "lost")

    def __init__(self) -> None:
        self.children: list[ChildFields] = []
        self.lost = 0


class Gather:
    """Pieces by the root they belong to. For one thread.

    Beyond `MOST_CHILDREN` the root that was heard of least recently loses what it has, which is counted: then its own
    code seems to have taken longer than it did. `open` is empty where nothing is gathered.
    """

    def __init__(self) -> None:
        self.open: dict[Place, _Gathered] = {}
        self._kept = 0

    def add(self, piece: Fields) -> None:
        """Keep the children of `piece` until its root ends."""
        children = piece[9] or ()
        place = (piece[0], piece[2], piece[5])
        gathered = self.open.pop(place, None) or _Gathered()
        self.open[place] = gathered  # the last one is the one heard of most recently
        gathered.children += children
        self._kept += len(children)
        while self._kept > MOST_CHILDREN or len(self.open) > MOST_ROOTS:
            self._lose()

    def _lose(self) -> None:
        for gathered in self.open.values():
            if gathered.children:
                self._kept -= len(gathered.children)
                gathered.lost += len(gathered.children)
                gathered.children = []
                break
        if len(self.open) > MOST_ROOTS:
            del self.open[next(iter(self.open))]

    def whole(self, root: Fields) -> Whole | None:
        """All that ended below `root`, which has ended now; None when there were no pieces of it."""
        gathered = self.open.pop((root[0], root[2], root[5]), None)
        if gathered is None:
            return None
        self._kept -= len(gathered.children)
        return Whole([*gathered.children, *(root[9] or ())], gathered.lost)
