"""What a service asks of its database: statements, how often, and what they touch."""

from __future__ import annotations

from typing import NamedTuple

ASSUMED_CALLS = 1000.0  # of a statement that was given without a figure: somebody cares for it


class Workload(NamedTuple):
    """A statement over some time: `calls`, seconds and rows of all of them. `rows` None: not known.

    `statement` is a text with or without values, or a pattern as Pitstop records it (``?`` for each value).
    """

    statement: str
    calls: float = ASSUMED_CALLS
    total_s: float = 0.0
    rows: float | None = None

    @property
    def rows_per_call(self) -> float | None:
        """Rows that a call returned or touched; None where nobody counted."""
        return self.rows / self.calls if self.rows and self.calls else None
