"""The newest versions of tags that this process has seen: so that a push that brings no news voids nothing.

A tag's beginning is pushed to all, to whoever began it and to whoever has read it already. Without this, the first
values with a new tag would be void before they were kept.
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

MOST: Final = 100_000  # versions that are remembered; a push of another tag counts as news


class SeenTags:
    """Those that are being read and those that were. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._pushed: set[str] = set()  # while they were under way
        self._versions: OrderedDict[str, int] = OrderedDict()

    @contextmanager
    def learning(
        self, tags: Sequence[str], verify: Callable[[list[str]], None]
    ) -> Iterator[Callable[[Sequence[Reply]], list[Reply]]]:
        """While a block reads, begins or raises versions of `tags`: it hands over the replies, which are the versions.

        `verify` is then told of tags that were pushed meanwhile: before what was read, or after it.
        """
        versions: dict[str, int] = {}

        def learn(replies: Sequence[Reply]) -> list[Reply]:
            for tag, reply in zip(tags, replies, strict=True):
                if isinstance(reply, ReplyError) or reply is None:
                    raise WireError(f"Redis refused a tag's version: {reply}")
                versions[tag] = int(reply)
            return list(replies)

        with self._lock:
            self._under_way.update(tags)
        try:
            yield learn
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
        """Whether a push of `tag` may be no news."""
        with self._lock:
            return tag in self._under_way or tag in self._versions

    def waits(self, tag: str) -> bool:
        """Whether it cannot be told yet: then `learning` has it verified at its end."""
        with self._lock:
            if tag in self._under_way:
                self._pushed.add(tag)
                return True
            return False

    def version(self, tag: str) -> int | None:
        """The newest we saw."""
        return self._versions.get(tag)

    def clear(self) -> None:
        """After a fork."""
        self._lock = threading.Lock()
        self._under_way.clear()
        self._pushed.clear()
