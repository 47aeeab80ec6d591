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

    A client's own word, as RFC 9218's Priority header, is not asked: it would be critical always.
    """
    known = dict.fromkeys(HEALTH, Priority.CRITICAL) | dict(priorities or {})
    ordered = sorted(known.items(), key=lambda one: -len(one[0]))
    prefixes = tuple(prefix for prefix, _ in ordered)

    def priority_of(path: str) -> Priority:
        if not path.startswith(prefixes):
            return Priority.NORMAL
        return next(priority for prefix, priority in ordered if path.startswith(prefix))

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
