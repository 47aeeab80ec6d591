"""Versions of tags in this process: one increment makes everything that carries a tag void, without a look at it.

All tags share one rising number, the epoch. An entry remembers the epoch at which it was last known to be valid; while
that is still the newest, no tag needs to be looked at, so that a lookup pays one comparison.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TAGS: Final = 100_000  # of which it is known when they were raised; about 12 MB


class Versions:
    """When each tag was last raised. Reading takes no lock; `epoch` only rises."""

    def __init__(self, *, most: int = MOST_TAGS) -> None:
        self.epoch = 1
        self._raised: dict[str, int] = {}
        self._floor = 0  # tags that are not known were raised at this epoch at the latest
        self._most = most
        self._lock = threading.Lock()

    def bump(self, tags: Iterable[str]) -> None:
        """Void whatever carries one of `tags`."""
        with self._lock:
            epoch = self.epoch + 1
            for tag in tags:
                self._raised.pop(tag, None)
                self._raised[tag] = epoch
            while len(self._raised) > self._most:  # entries with such a tag become void too early, never too late
                tag = next(iter(self._raised))
                self._floor = max(self._floor, self._raised.pop(tag))
            self.epoch = epoch  # last: whoever sees it sees the tags

    def bump_all(self) -> None:
        """Void everything."""
        with self._lock:
            self._floor = self.epoch + 1
            self._raised.clear()
            self.epoch = self._floor

    def holds(self, tags: Iterable[str], since: int) -> bool:
        """Whether none of `tags` was raised after epoch `since`."""
        raised, floor = self._raised.get, self._floor
        return all(raised(tag, floor) <= since for tag in tags)

    def reset_after_fork(self) -> None:
        """A thread of the parent may have held the lock; it did not come along."""
        self._lock = threading.Lock()
