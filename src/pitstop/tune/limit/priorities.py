"""Which priority a path has, and what a refused client is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pitstop.tune.limit.limiter import Priority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HEALTH: Final = ("/health", "/healthz", "/livez", "/readyz", "/ready", "/live", "/ping")
BODY: Final = b"The service is busy. Try again in a moment.\n"


def by_path(priorities: Mapping[str, Priority] | None = None) -> Callable[[str], Priority]:
    """By the longest prefix that fits; health checks are critical, the rest normal.

    A prefix is a path and all below it: ``/live`` has ``/live/db``, and not ``/livestream``. One that ends with a slash
    has only what is below, so that ``/`` has everything.

    A client's own word, as RFC 9218's Priority header, is not asked: it would be critical always.
    """
    known = dict.fromkeys(HEALTH, Priority.CRITICAL) | dict(priorities or {})
    prefixes = tuple(sorted(known, key=len, reverse=True))
    ordered = [(each, each if each.endswith("/") else f"{each}/", known[each]) for each in prefixes]

    def priority_of(path: str) -> Priority:
        if not path.startswith(prefixes):
            return Priority.NORMAL
        for prefix, below, priority in ordered:
            if path == prefix or path.startswith(below):
                return priority
        return Priority.NORMAL

    return priority_of


class RetryAfter:
    """Seconds for Retry-After: `least` to three times that in turn, so that the refused do not all return at once."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._turn = 0

    def __call__(self) -> bytes:
        """The header's value."""
        self._turn += 1  # a lost turn of two threads does no harm
        return b"%d" % (self._least + self._turn % (2 * self._least + 1))
