"""Who can give memory up: caches make themselves known here, memory pressure asks all of them."""

from __future__ import annotations

import weakref
from typing import Protocol


class Shrinkable(Protocol):
    """Something that holds values which can be made again."""

    def shrink(self, ratio: float) -> int:
        """Let go of all but `ratio` of it, the least useful first; bytes that frees, about."""
        ...


_known: weakref.WeakSet[Shrinkable] = weakref.WeakSet()


def can_give(one: Shrinkable) -> None:
    """Have `one` asked from now on, for as long as it lives."""
    _known.add(one)


def shrink_all(ratio: float) -> int:
    """Have all of them keep `ratio` of what they hold; bytes that frees, about."""
    return sum(one.shrink(ratio) for one in list(_known))
