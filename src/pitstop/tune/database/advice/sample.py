"""A few rows of a SQLite table, chosen at random: how often values repeat, how many rows a condition leaves."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pitstop.tune.database.clock import set_handler

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

    Handler = Callable[[], bool]

SAMPLE_ROWS = 2000  # a share of 1 % is seen as 1 ± 0.2 %; some 10 ms of look-ups
COUNTED_ROWS = 20_000_000  # up to here rows are counted, 0.1 s a million where pages are cached
_STEPS = 1000  # of SQLite's machine between two looks at the clock


class Sample:
    """Rows of one table by their rowids, so that any column or expression of them can be asked for later."""

    def __init__(
        self, raw: sqlite3.Connection, table: str, random: Random, timeout_s: float, back: Handler | None = None
    ) -> None:
        self._raw = raw
        self._table = table  # quoted
        self._timeout_s = timeout_s
        self._back = back
        with deadline(raw, timeout_s, back):
            self.rows, self._rowids = _rowids(raw, table, random)
        self._values: dict[str, list[Any]] = {}
        self._ratios: dict[str, float] = {}

    def values(self, text: str) -> list[Any]:
        """What the column or expression `text` is in the sampled rows."""
        known = self._values.get(text)
        if known is None:
            with deadline(self._raw, self._timeout_s, self._back):
                known = self._values[text] = [row[0] for row in self._ask(text)]
        return known

    def _ask(self, text: str) -> Sequence[Any]:
        if self._rowids is None:
            return self._raw.execute(f"SELECT {text} FROM {self._table} LIMIT {SAMPLE_ROWS}").fetchall()
        return self._raw.execute(
            f"SELECT {text} FROM {self._table} WHERE rowid IN (SELECT value FROM json_each(?))",
            (json.dumps(self._rowids),),
        ).fetchall()

    def alike(self, texts: Sequence[str]) -> float:
        """How likely two rows agree in all of `texts`: the share of rows that a look-up finds, unbiased.

        A common value is looked up more often than a rare one, and counts so. E. H. Simpson, Nature 163 (1949), 688.
        """
        rows = list(zip(*(self.values(text) for text in texts), strict=True))
        number = len(rows)
        if number < 2:  # noqa: PLR2004  two rows are needed to agree
            return 1.0
        pairs = sum(count * (count - 1) for count in Counter(rows).values())
        return max(pairs / (number * (number - 1)), 1.0 / max(self.rows, 1.0))

    def ratio(self, condition: str) -> float:
        """The share of rows that `condition` leaves; where none is seen half of one, as one may have been missed."""
        known = self._ratios.get(condition)
        if known is None:
            with deadline(self._raw, self._timeout_s, self._back):
                seen = [bool(row[0]) for row in self._ask(f"({condition})")]
            known = max(sum(seen), 0.5) / max(len(seen), 1)
            self._ratios[condition] = known
        return known


def _rowids(raw: sqlite3.Connection, table: str, random: Random) -> tuple[float, list[int] | None]:
    """How many rows there are and the rowids of some; None for a table without rowids."""
    import sqlite3  # noqa: PLC0415  not in every Python

    try:
        low, high = raw.execute(f"SELECT min(rowid), max(rowid) FROM {table}").fetchone()
    except sqlite3.OperationalError:
        return float(raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]), None
    if low is None:
        return 0.0, []
    span = high - low + 1
    rows = float(raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]) if span <= COUNTED_ROWS else float(span)
    if rows <= SAMPLE_ROWS:
        return rows, [row[0] for row in raw.execute(f"SELECT rowid FROM {table}")]
    found = set()
    for number in range(SAMPLE_ROWS):  # one in each stratum, anywhere in it: values that repeat in step are not missed
        probe = low + math.floor((number + random.random()) * span / SAMPLE_ROWS)
        found.add(
            raw.execute(f"SELECT rowid FROM {table} WHERE rowid >= ? ORDER BY rowid LIMIT 1", (probe,)).fetchone()[0]
        )
    return rows, sorted(found)


@contextmanager
def deadline(
    raw: sqlite3.Connection,
    timeout_s: float,
    back: Handler | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Whatever `raw` is asked within is interrupted after `timeout_s`: sqlite3.OperationalError.

    Then `back` is its handler again, which looks after the deadlines of the host's statements: SQLite has one only.
    """
    end = clock() + timeout_s
    raw.set_progress_handler(lambda: clock() > end, _STEPS)
    try:
        yield
    finally:
        set_handler(raw, back)
