"""The newest or slowest of many traces, by index: a list of 100 reads about 100 rows, whatever it asks for.

A question becomes paths, each a range of one index that has the wanted order or is short. First the value that the
last row of the list has is found on the paths, then the rows from there on are read and put in exact order.
"""

from __future__ import annotations

from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.window import Window
from pitstop.store.examples import PLAIN
from pitstop.store.sqlite.tiers import DAY_S

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from pitstop.model.trace import TraceMatch

MOST_PATHS = 300  # of series and reasons, 10 µs each; beyond, all rows of the window are looked at


class Path(NamedTuple):
    """A condition on `trace` that an index answers, beside the bounds of time and duration."""

    condition: str
    values: tuple[int | str, ...]
    window: Window
    least_ns: int
    ts: str = "ts"

    def where(self, least: int, *, slowest: bool) -> tuple[str, tuple[int | str, ...]]:
        """SQL and values for what is `least` or more: ns if `slowest`, else Unix seconds.

        Each column has one lower bound: of two, SQLite seeks with the first and then looks at all that the other
        excludes.
        """
        since_s = self.window.start_s if slowest else max(self.window.start_s, least)
        least_ns = max(self.least_ns, least) if slowest else self.least_ns
        condition, values = (
            f"{self.condition} AND {self.ts} >= ? AND {self.ts} < ?",
            (*self.values, since_s, self.window.end_s),
        )
        return (condition, values) if least_ns <= 0 else (f"{condition} AND duration_ns >= ?", (*values, least_ns))


def paths_of(connection: sqlite3.Connection, window: Window, match: TraceMatch, *, slowest: bool) -> list[Path]:
    """Disjoint paths that hold all matching traces and no others."""
    least_ns = match.min_ns or 0
    condition = "1"
    values: tuple[int | str, ...] = ()
    if match.max_ns is not None:
        condition, values = "duration_ns < ?", (match.max_ns,)
    series = _series(connection, match)
    if series is not None:
        reasons = [match.reason] if match.reason is not None else _reasons(connection)
        if len(series) * len(reasons) <= MOST_PATHS:
            pairs = [(i, reason) for i in series for reason in reasons]
            return [Path(f"series = ? AND reason = ? AND {condition}", (*p, *values), window, least_ns) for p in pairs]
        # a plus keeps SQLite from taking the index: it would sort all that is found there
        condition = f"+series IN ({','.join(map(str, series))}) AND {condition}"
    by_duration = slowest or least_ns > 0 or match.max_ns is not None
    if match.reason is not None and not (by_duration and match.reason in PLAIN):
        return [Path(f"reason = ? AND {condition}", (match.reason, *values), window, least_ns)]
    if match.reason is not None:  # most are, so that looking at each costs less than sorting all
        condition, values = f"+reason = ? AND {condition}", (match.reason, *values)
    if series is None and by_duration:
        condition = f"ts / {DAY_S} = ? AND {condition}"
        days = reversed(range(*_days(connection, window)))
        return [Path(condition, (day, *values), _within(window, day), least_ns, "+ts") for day in days]
    return [Path(condition, values, window, least_ns)]


def _within(window: Window, day: int) -> Window:
    return Window(max(window.start_s, day * DAY_S), min(window.end_s, (day + 1) * DAY_S))


def rows_from(
    connection: sqlite3.Connection, paths: list[Path], limit: int, *, slowest: bool
) -> Iterator[tuple[Path, int]]:
    """The paths that have rows of the list, and the value of the last row of the list (0: all rows are in it)."""
    column = "duration_ns" if slowest else "ts"
    top: list[int] = []
    highest: dict[int, int] = {}
    for place, path in enumerate(paths):
        least = top[0] if len(top) == limit else 0
        if not slowest and path.window.end_s <= least:
            continue
        where, values = path.where(least, slowest=slowest)
        query = f"SELECT {column} FROM trace WHERE {where} ORDER BY {column} DESC LIMIT ?"  # noqa: S608  our own
        for (value,) in connection.execute(query, (*values, limit)):
            highest.setdefault(place, value)
            if len(top) < limit:
                heappush(top, value)
            else:
                heappushpop(top, value)
    least = top[0] if len(top) == limit else 0
    return ((paths[place], least) for place, most in highest.items() if most >= least)


def _series(connection: sqlite3.Connection, match: TraceMatch) -> list[int] | None:
    """Ids of the series that are meant; None when all are."""
    wanted = [("name", match.name), ("outcome", match.outcome), ("service", match.service)]
    if match.name is None and match.outcome is None:
        if match.service is None:
            return None
        others = "SELECT 1 FROM series WHERE service != ? AND parent = '' LIMIT 1"
        mine = "SELECT 1 FROM series WHERE service = ? LIMIT 1"
        only = not connection.execute(others, (match.service,)).fetchone()
        if only and connection.execute(mine, (match.service,)).fetchone():
            return None
    condition = " AND ".join(f"{field} = ?" for field, value in wanted if value is not None)
    query = f"SELECT id FROM series WHERE {condition} AND parent = ''"  # noqa: S608  our own names
    return [i for (i,) in connection.execute(query, [value for _, value in wanted if value is not None])]


def _reasons(connection: sqlite3.Connection) -> list[str]:
    """Every reason that some trace was kept for, each by one seek."""
    reasons: list[str] = []
    after = ""
    query = "SELECT reason FROM trace WHERE reason > ? ORDER BY reason LIMIT 1"
    if connection.execute("SELECT 1 FROM trace WHERE reason = '' LIMIT 1").fetchone():
        reasons.append("")
    while row := connection.execute(query, (after,)).fetchone():
        after = row[0]
        reasons.append(after)
    return reasons


def _days(connection: sqlite3.Connection, window: Window) -> tuple[int, int]:
    """The days in `window` that have traces."""
    oldest = connection.execute("SELECT min(ts) FROM trace").fetchone()[0]
    newest = connection.execute("SELECT max(ts) FROM trace").fetchone()[0]
    if oldest is None:
        return 0, 0
    first, last = max(window.start_s, oldest), min(window.end_s - 1, newest)
    return first // DAY_S, last // DAY_S + 1
