"""Versions of tags that this process began or raised itself: so that it knows its own doing when it is pushed back.

Without that, the first value with a new tag would be void before it was kept: its tag's beginning is pushed to all, to
whoever began it, too.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pitstop.tune.cache.redis.wire import ReplyError, WireError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pitstop.tune.cache.redis.wire import Reply

MOST: Final = 10_000  # own versions that are remembered


class OwnTags:
    """Those under way and the newest that are done. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._pushed: set[str] = set()  # while they were under way
        self._versions: OrderedDict[str, int] = OrderedDict()

    @contextmanager
    def rising(
        self, tags: Sequence[str], verify: Callable[[list[str]], None]
    ) -> Iterator[Callable[[Sequence[Reply]], list[Reply]]]:
        """While a block begins or raises `tags`: it hands over the replies, which are the versions.

        `verify` is then told of tags that were pushed meanwhile: by us, or by somebody else as well.
        """
        versions: dict[str, int] = {}

        def rose(replies: Sequence[Reply]) -> list[Reply]:
            for tag, reply in zip(tags, replies, strict=True):
                if isinstance(reply, ReplyError) or reply is None:
                    raise WireError(f"Redis refused a tag's version: {reply}")
                versions[tag] = int(reply)
            return list(replies)

        with self._lock:
            self._under_way.update(tags)
        try:
            yield rose
        finally:
            doubtful = []
            with self._lock:
                for tag in tags:
                    self._under_way[tag] -= 1
                    if self._under_way[tag] <= 0:
                        del self._under_way[tag]
                    if tag in versions:
                        self._versions[tag] = versions[tag]
                        self._versions.move_to_end(tag)
                    if tag in self._pushed and tag not in self._under_way:
                        self._pushed.discard(tag)
                        doubtful.append(tag)
                while len(self._versions) > MOST:
                    self._versions.popitem(last=False)
            if doubtful:
                verify(doubtful)

    def pushed(self, tag: str) -> bool:
        """Whether a push of `tag` may be of our own doing; if not, somebody else raised it."""
        with self._lock:
            return tag in self._under_way or tag in self._versions

    def waits(self, tag: str) -> bool:
        """Whether it cannot be told yet: then `rising` has it verified at its end."""
        with self._lock:
            if tag in self._under_way:
                self._pushed.add(tag)
                return True
            return False

    def version(self, tag: str) -> int | None:
        """What we made it."""
        return self._versions.get(tag)

    def clear(self) -> None:
        """After a fork."""
        self._lock = threading.Lock()
        self._under_way.clear()
        self._pushed.clear()
