"""What an advisor says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pitstop.record.statements import ANY, normalized

if TYPE_CHECKING:
    from pitstop.model.tuned import AdviceBody, AdviceItem
    from pitstop.tune.database.advice.shape import Index

CREATE, DROP, ANALYZE, VACUUM, REINDEX = "create index", "drop index", "analyze", "vacuum", "reindex"


_VALUE = re.compile(r"""'|(?<![\w"])\d""")  # a text or number in a definition
_LEFT_OUT = "; values of the host's are left out here, pitstop advise prints them"


def without_values(text: str) -> str:
    """SQL as it may stand in the store: as it is, or where it has texts or numbers as a pattern."""
    return normalized(text, ANY) if _VALUE.search(text) else text


def size_text(nbytes: float) -> str:
    """Bytes as a person reads them: ``12 kB``, ``3.4 MB``."""
    return f"{max(nbytes / 1e3, 1):,.0f} kB" if nbytes < 1e6 else f"{nbytes / 1e6:,.1f} MB"  # noqa: PLR2004  a megabyte


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to do: `sql`, and `undo` to take it back (empty where there is nothing to take back).

    `gain_ratio` is what the plans of its statements cost now over what they would cost, weighted by calls; None where
    that is not what it is for. `index` is what CREATE INDEX makes or DROP INDEX takes away.
    """

    kind: str
    table: str
    reason: str
    gain: str
    cost: str
    sql: str
    undo: str
    statements: tuple[str, ...] = ()
    index: Index | None = None
    name: str = ""
    gain_ratio: float | None = None

    def item(self) -> AdviceItem:
        """For the store: statements as patterns, and no text that a partial index's condition may have."""
        sql = without_values(self.sql)
        return {
            "kind": self.kind,
            "table": self.table,
            "reason": self.reason if sql == self.sql else self.reason + _LEFT_OUT,
            "gain": self.gain,
            "cost": self.cost,
            "sql": sql,
            "undo": without_values(self.undo),
            "statements": [normalized(text, ANY) for text in self.statements],
        }


class Advice(NamedTuple):
    """What to do to a database, the most worth first; and what was tried and refused, with the reason."""

    dialect: str
    database: str
    suggestions: tuple[Suggestion, ...]
    refused: tuple[str, ...]
    read: int  # statements that were looked at

    def body(self) -> AdviceBody:
        """As a report for the store."""
        return {
            "dialect": self.dialect,
            "items": [each.item() for each in self.suggestions],
            "refused": list(self.refused),
        }
