"""The newest versions of tags that this process has seen: so that a push that brings no news voids nothing.

A tag's beginning is pushed to all, to whoever began it and to whoever has read it already. Without this, the first
values with a new tag would be void before they were kept. Whatever way a newer version is learnt, it is news once.
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

MOST: Final = 100_000  # versions that are remembered; a tag that is forgotten is void, which is early but never late


class SeenTags:
    """Versions that were read, and tags that are being read. Any thread.

    `gone` is told of tags with news, `verify` of tags that were pushed while they were read: before that or after it.
    """

    def __init__(self, gone: Callable[[str], None], verify: Callable[[list[str]], None], *, most: int = MOST) -> None:
        self._gone = gone
        self._verify = verify
        self._most = most
        self._lock = threading.Lock()
        self._under_way: Counter[str] = Counter()
        self._pushed: set[str] = set()  # while they were under way
        self._versions: OrderedDict[str, int] = OrderedDict()

    @contextmanager
    def learning(self, tags: Sequence[str]) -> Iterator[Callable[[Sequence[Reply]], list[Reply]]]:
        """While a block reads, begins or raises `tags`: it hands over the replies, which are their versions."""
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
            with self._lock:
                doubtful = [tag for tag in tags if self._ended(tag)]
                news = [tag for tag, version in versions.items() if self._is_news(tag, version)]
                while len(self._versions) > self._most:
                    news.append(self._versions.popitem(last=False)[0])
            for tag in news:
                self._gone(tag)
            if doubtful:
                self._verify(doubtful)

    def _ended(self, tag: str) -> bool:
        """Whether `tag` was pushed while it was read, and nobody else reads it still."""
        self._under_way[tag] -= 1
        if self._under_way[tag] > 0:
            return False
        del self._under_way[tag]
        pushed = tag in self._pushed
        self._pushed.discard(tag)
        return pushed

    def _is_news(self, tag: str, version: int) -> bool:
        old = self._versions.get(tag)
        self._versions[tag] = version
        self._versions.move_to_end(tag)
        return old is not None and old != version

    def pushed(self, tag: str) -> bool | None:
        """Whether a push of `tag` may be no news, so that `version` has to be compared; None: `verify` will be told."""
        with self._lock:
            if tag in self._under_way:
                self._pushed.add(tag)
                return None
            return tag in self._versions

    def version(self, tag: str) -> int | None:
        """The newest that was seen."""
        return self._versions.get(tag)

    def saw(self, tag: str, version: int) -> None:
        """Remember it; whoever calls this has told of the news."""
        with self._lock:
            if tag in self._versions:
                self._versions[tag] = version

    def reset_after_fork(self) -> None:
        """Whoever read was a thread of the parent."""
        self._lock = threading.Lock()
        self._under_way.clear()
        self._pushed.clear()
