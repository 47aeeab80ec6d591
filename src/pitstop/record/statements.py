"""Patterns of statements, remembered by their texts: the names of `db` series.

What a pattern is: `pitstop.record.pattern`.
"""

from __future__ import annotations

from _thread import allocate_lock

from pitstop.record.lexing import ANY, MYSQL, POSTGRESQL, SQLITE, Dialect
from pitstop.record.pattern import LOOKED_AT, pattern_of

__all__ = ["ANY", "MYSQL", "POSTGRESQL", "SQLITE", "Dialect", "Statements", "fingerprint", "normalized", "statements"]

CAPACITY_BYTES = 2_000_000  # of texts remembered for one dialect: about 3,000 statements of an ORM
_ENTRY_BYTES = 100  # the place in the dict


class Statements(dict[str, str]):
    """``statements[text]`` is the pattern of `text`: 0.05 µs where it is known, some 10 µs where not.

    Bounded in bytes: when full it begins anew, which costs a service that puts values into its texts nothing more.
    Texts longer than `LOOKED_AT` are remembered by their beginnings. Safe from any thread, and across forks.
    """

    def __init__(self, dialect: Dialect = ANY, capacity_bytes: int = CAPACITY_BYTES) -> None:
        super().__init__()
        self.dialect = dialect
        self.capacity_bytes = capacity_bytes
        self.held_bytes = 0
        self._lock = allocate_lock()

    def __missing__(self, text: str) -> str:
        if len(text) > LOOKED_AT + 1:
            return self[text[: LOOKED_AT + 1]]  # one more than is looked at says that there is more
        pattern = pattern_of(text, self.dialect)
        if self._lock.acquire(blocking=False):  # one that another thread holds at a fork is never free again
            try:
                self._remember(text, pattern)
            finally:
                self._lock.release()
        return pattern

    def _remember(self, text: str, pattern: str) -> None:
        size_bytes = _ENTRY_BYTES + text.__sizeof__() + pattern.__sizeof__()
        if self.held_bytes + size_bytes > self.capacity_bytes:
            self.clear()
            self.held_bytes = 0
        if size_bytes <= self.capacity_bytes:
            self[str(text)] = pattern
            self.held_bytes += size_bytes


_remembered = {dialect: Statements(dialect) for dialect in (ANY, POSTGRESQL, MYSQL, SQLITE)}


def statements(dialect: Dialect) -> Statements:
    """What this process remembers of `dialect`."""
    return _remembered[dialect]


def normalized(text: str, dialect: Dialect = ANY) -> str:
    """The pattern of `text`; of a pattern it is the pattern itself."""
    return _remembered[dialect][text]


def fingerprint(pattern: str) -> str:
    """16 hex digits that stand for a pattern where its text is too long for a name: reports, addresses.

    The same in every process and version: BLAKE2b of the text.
    """
    from hashlib import blake2b  # noqa: PLC0415  a host that only records has no use for it

    return blake2b(pattern.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
