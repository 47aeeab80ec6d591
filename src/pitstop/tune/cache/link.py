"""A level as the cache uses it: its failures are counted and never the host's, and no invalidation of it is lost.

What could not be voided or removed because the level did not answer, or the caller was cancelled, is owed: it is done
before the level is believed again. Where more is owed than can be remembered, everything is voided.
"""

from __future__ import annotations

import logging
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.series import CACHE
from pitstop.record.leaf import leaf
from pitstop.record.recorder import RECORDER
from pitstop.record.timing import ERROR, OK
from pitstop.tune.cache.steps import Ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.tune.cache.level import Level, Loaded
    from pitstop.tune.cache.stats import Stats
    from pitstop.tune.cache.steps import Steps

MOST_OWED: Final = 10_000
FAILED: Final = object()
HIT, MISS = "hit", "miss"

_log = logging.getLogger("pitstop.cache")


class Link:
    """One level below memory. `everything` is the tag that all it keeps carries."""

    def __init__(self, level: Level, everything: str) -> None:
        self.level = level
        self.name = level.name
        self._everything = everything
        self._owed_tags: dict[str, None] = {}
        self._owed_keys: dict[str, None] = {}
        self.answers = True  # whether it did so when it was last asked
        self._said = ""

    def load(self, stats: Stats, key: str, tags: Sequence[str]) -> Steps[Loaded | None]:
        """What it has; None where it did not answer, or cannot be believed yet."""
        if (self._owed_tags or self._owed_keys) and not (yield from self._settle(stats)):
            return None
        answer = yield from self.ask(stats, "load", key, tags)
        return None if answer is FAILED else answer

    def versions(self, stats: Stats, tags: Sequence[str]) -> Steps[tuple[int, ...] | None]:
        """The tags' versions; None as for `load`."""
        if (self._owed_tags or self._owed_keys) and not (yield from self._settle(stats)):
            return None
        answer = yield from self.ask(stats, "versions", tags)
        return None if answer is FAILED else answer

    def remove(self, stats: Stats, keys: Sequence[str]) -> Steps[int]:
        """Forget `keys`, now or as soon as it answers again."""
        try:
            answer = yield from self.ask(stats, "remove", keys)
        except BaseException:  # cancelled: whether it was done is not known
            self.owe(keys=keys)
            raise
        if answer is FAILED:
            self.owe(keys=keys)
            return 0
        return int(answer)

    def raise_versions(self, stats: Stats, tags: Sequence[str]) -> Steps[None]:
        """Void what carries `tags`, now or as soon as it answers again."""
        try:
            answer = yield from self.ask(stats, "raise_versions", tags)
        except BaseException:  # as above
            self.owe(tags=tags)
            raise
        if answer is FAILED:
            self.owe(tags=tags)

    def owe(self, *, tags: Sequence[str] = (), keys: Sequence[str] = ()) -> None:
        """Void and forget these before it is believed again."""
        self._owe(self._owed_tags, tags)
        self._owe(self._owed_keys, keys)

    def ask(self, stats: Stats, method: str, *args: object) -> Steps[Any]:
        """Call `method` of the level; FAILED, counted, where it raised. Its time is the running request's."""
        start_ns = perf_counter_ns()
        try:
            answer = yield Ask(self.level, method, *args)
        except Exception as error:  # noqa: BLE001  whatever a level raises must not cost the host its request
            next(stats.errors.up)
            stats.last_error = f"{self.name}: {error!r}"
            if self._said != type(error).__name__:  # once for each kind, until it answered again
                self._said = type(error).__name__
                _log.warning("cache level %s does not answer (%s: %r); going on without it", self.name, method, error)
            self.answers = False
            if RECORDER.on:
                leaf(CACHE, f"{self.name} {method}", ERROR, start_ns, perf_counter_ns())
            return FAILED
        self.answers = True
        if RECORDER.on:
            leaf(CACHE, f"{self.name} {method}", _outcome(method, answer), start_ns, perf_counter_ns())
        return answer

    def _owe(self, where: dict[str, None], names: Sequence[str]) -> None:
        where.update(dict.fromkeys(names))
        if len(where) > MOST_OWED:
            where.clear()
            self._owed_tags[self._everything] = None

    def _settle(self, stats: Stats) -> Steps[bool]:
        tags, keys = list(self._owed_tags), list(self._owed_keys)
        if tags and (yield from self.ask(stats, "raise_versions", tags)) is FAILED:
            return False
        for tag in tags:
            self._owed_tags.pop(tag, None)
        if keys and (yield from self.ask(stats, "remove", keys)) is FAILED:
            return False
        for key in keys:
            self._owed_keys.pop(key, None)
        self._said = ""
        return True


def _outcome(method: str, answer: Any) -> str:
    if method != "load":
        return OK
    return MISS if answer.blob is None else HIT
