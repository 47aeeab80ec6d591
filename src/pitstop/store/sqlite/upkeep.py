"""Keeping house: retention in small bites, checkpoints, free pages, and who may do it.

Retention follows a clock of its own that the wall clock cannot tear along: it follows at once for a day, beyond that
by a day for each hour that housekeeping runs. So a clock that jumps a year ahead for a minute deletes nothing.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from pitstop.model.protocols import Upkeep
from pitstop.rollup.native import allocate_lock
from pitstop.store.examples import REPORTS_KEPT_S
from pitstop.store.sqlite import fold, trim
from pitstop.store.sqlite.compact import compact
from pitstop.store.sqlite.connection import nap
from pitstop.store.sqlite.fold_profiles import fold_profiles
from pitstop.store.sqlite.tallies import count_rows, house_value, set_house_value
from pitstop.store.sqlite.tidy import tidy
from pitstop.store.sqlite.tiers import (
    DAY_S,
    HOUR_S,
    KEYS,
    LISTS,
    PROFILE_TIERS,
    ROLLUP_TIERS,
    SAMPLE_TIERS,
    TIERS,
    Tier,
)
from pitstop.store.sqlite.write import read_reaches

if TYPE_CHECKING:
    from pitstop.model.clock import Clock
    from pitstop.store.sqlite.connection import Connections

BITE_ROWS = 10_000  # deleted in one transaction
ROUND_BITES = 5
PAUSE_S = 0.01  # between bites: a waiting flush looks again after 1, 2, 5, 10 … ms
LOG_BYTES = 10_000_000  # of the write-ahead log, before it is folded into the data
CHECKPOINT_TIMEOUT_MS = 20  # a checkpoint that waits for a reader holds up every writer
VACUUM_PAGES = 256
TIDY_EVERY_S = 6 * HOUR_S
STEP_S = 60
BELIEVED_AFTER_S = 600
HOUSE_STEP_S = 10  # how exactly the house's clock is written down
FUTURE_S = 5.0  # a lease taken later than this from now is from before a step of the clock


class House:
    """The housekeeping of one store object."""

    def __init__(self, connections: Connections, clock: Clock, trace_bytes: int) -> None:
        self._connections = connections
        self._trace_bytes = trace_bytes
        self._clock = clock
        self._round = allocate_lock()
        self._last_ns = clock.monotonic_ns()
        self._tidied_ns: int | None = None
        self._steady: tuple[float, int] | None = None
        self._stepped_ns: int | None = None

    def round(self, retention_s: int) -> Upkeep:
        """One bounded round of everything; one thread at a time."""
        with self._round:
            steady_s = self.steady_s()
            folded = fold.fold_rollups(self._connections, steady_s) + fold.fold_samples(self._connections, steady_s)
            folded += fold_profiles(self._connections, steady_s)
            now_s = self.now_s()
            deleted = self.retain(now_s, retention_s) + trim.trim(self._connections, now_s, self._trace_bytes)
            deleted += self._tidy(now_s)
            compact(self._connections)
            return Upkeep(folded, deleted, self.checkpoint(LOG_BYTES), self.vacuum())

    def steady_s(self) -> int:
        """Time for folding: the wall clock's, unless that stepped by more than a minute in the last ten.

        Marks that a clock gone ahead has moved stay there, and everything is late for them until it is that time.
        """
        wall_s, tick_ns = self._clock.now_s(), self._clock.monotonic_ns()
        if self._steady is not None:
            then_s, then_ns = self._steady
            expected_s = then_s + (tick_ns - then_ns) / 1e9
            if wall_s > expected_s + STEP_S:
                if self._stepped_ns is None:
                    self._stepped_ns = tick_ns
                if tick_ns - self._stepped_ns < BELIEVED_AFTER_S * 1e9:
                    return int(expected_s)
        self._stepped_ns = None
        self._steady = (wall_s, tick_ns)
        return int(wall_s)

    def now_s(self) -> int:
        """The house's own time: the wall clock's, unless that is more than a day ahead of it."""
        wall_s = int(self._clock.now_s())
        tick_ns = self._clock.monotonic_ns()
        elapsed_s = (tick_ns - self._last_ns) / 1e9
        with self._connections.read() as connection:
            house_s = house_value(connection, "now_s")
        if house_s and wall_s > house_s + DAY_S:
            wall_s = min(wall_s, house_s + int(elapsed_s * DAY_S / HOUR_S))
            if wall_s == house_s:
                return house_s
        self._last_ns = tick_ns
        if abs(wall_s - house_s) >= HOUSE_STEP_S:
            with self._connections.write() as connection:
                set_house_value(connection, "now_s", wall_s)
        return wall_s

    def lease(self, holder: str, ttl_s: float) -> bool:
        """Take or renew the lease; a lease from the future (the clock was set back) is nobody's."""
        now_s = self._clock.now_s()
        query = "SELECT holder, taken_s, until_s FROM lease WHERE id = 1"
        with self._connections.read() as connection:
            has, taken_s, until_s = connection.execute(query).fetchone()
        valid = taken_s <= now_s + FUTURE_S and now_s < until_s
        if valid and has == holder and until_s - now_s > ttl_s / 2:
            return True
        if valid and has != holder:
            return False
        with self._connections.write() as connection:
            if connection.execute(query).fetchone() != (has, taken_s, until_s):
                return False  # somebody was quicker
            update = "UPDATE lease SET holder = ?, taken_s = ?, until_s = ? WHERE id = 1"
            connection.execute(update, (holder, now_s, now_s + ttl_s))
        return True

    def retain(self, now_s: int, retention_s: int) -> int:
        """Delete, at most ROUND_BITES bites, what is kept no longer; the number of rows."""
        with self._connections.read() as connection:
            reaches = read_reaches(connection)
        floors = dict.fromkeys(LISTS, now_s - retention_s)
        floors["report"] = now_s - min(retention_s, REPORTS_KEPT_S)
        for tiers in (ROLLUP_TIERS, SAMPLE_TIERS, PROFILE_TIERS):
            for tier, after in zip(tiers, (*tiers[1:], None), strict=True):
                limit = tier.kept_from_s(now_s, retention_s)
                mark_s = reaches[(after or tier).name].mark_s
                floors[tier.name] = _aligned(min(limit, mark_s), tier, after)
        return self._cut(floors, ROUND_BITES)

    def prune(self, before_s: int, now_s: int) -> int:
        """Delete everything that ends before `before_s`, folded or not, and names left over; the number of rows."""
        floors = self._prune_floors(before_s)
        with self._connections.write() as connection:
            for tiers in (ROLLUP_TIERS, SAMPLE_TIERS, PROFILE_TIERS):
                for tier in tiers[1:]:
                    mark_s = before_s // tier.step_s * tier.step_s
                    raised = "UPDATE tier SET mark_s = ? WHERE name = ? AND mark_s < ?"
                    connection.execute(raised, (mark_s, tier.name, mark_s))
        deleted = self._cut(floors, None)
        tidy(self._connections, now_s)
        return deleted

    def _tidy(self, now_s: int) -> int:
        tick_ns = self._clock.monotonic_ns()
        if self._tidied_ns is not None and tick_ns - self._tidied_ns < TIDY_EVERY_S * 1e9:
            return 0
        self._tidied_ns = tick_ns
        return tidy(self._connections, now_s)

    def prunable(self, before_s: int) -> int:
        """How many rows `prune` would delete."""
        with self._connections.read() as connection:
            queries = {
                f"SELECT {_rows_sql(table)} FROM {table} WHERE ts < ?": floor_s  # noqa: S608
                for table, floor_s in self._prune_floors(before_s).items()
            }
            return sum(int(connection.execute(query, (at_s,)).fetchone()[0]) for query, at_s in queries.items())

    def _prune_floors(self, before_s: int) -> dict[str, int]:
        floors = dict.fromkeys(LISTS, before_s)
        for tiers in (ROLLUP_TIERS, SAMPLE_TIERS, PROFILE_TIERS):
            for tier, after in zip(tiers, (*tiers[1:], None), strict=True):
                floors[tier.name] = _aligned(before_s, tier, after)
        return floors

    def _cut(self, floors: dict[str, int], bites: int | None) -> int:
        """Raise the floors, then delete what lies below them."""
        with self._connections.read() as connection:
            have = dict(connection.execute("SELECT name, floor_s FROM tier"))
        if any(have[name] < floor_s for name, floor_s in floors.items()):
            with self._connections.write() as connection:
                raised = "UPDATE tier SET floor_s = ? WHERE name = ? AND floor_s < ?"
                connection.executemany(raised, [(floor_s, name, floor_s) for name, floor_s in floors.items()])
                connection.executemany("DELETE FROM late WHERE tier = ? AND ts < ?", floors.items())
        deleted = 0
        for table in floors:
            while bites is None or bites > 0:
                gone, more = self._bite(table)
                deleted += gone
                if gone and bites is not None:
                    bites -= 1
                if not more:
                    break
                nap(PAUSE_S)
        return deleted

    def _bite(self, table: str) -> tuple[int, bool]:
        """Delete at most about BITE_ROWS rows below the floor of `table`: how many, and whether there are more."""
        with self._connections.read() as connection:
            floor_s = connection.execute("SELECT floor_s FROM tier WHERE name = ?", (table,)).fetchone()[0]
            oldest = connection.execute(f"SELECT min(ts) FROM {table}").fetchone()[0]  # noqa: S608
            if oldest is None or oldest >= floor_s:
                return 0, False
            border = None if table == "trace" else _border(connection, table, floor_s)
        if table == "trace":
            return trim.bite(self._connections, floor_s)
        values: tuple[int, ...] = (floor_s,) if border is None else border
        where = "ts < ?" if border is None else f"({KEYS[table]}) < ({', '.join('?' * len(border))})"
        with self._connections.write() as connection:
            gone = connection.execute(f"SELECT {_rows_sql(table)} FROM {table} WHERE {where}", values).fetchone()[0]  # noqa: S608
            connection.execute(f"DELETE FROM {table} WHERE {where}", values)  # noqa: S608
            count_rows(connection, table, -gone)
            return gone, border is not None

    def checkpoint(self, least_bytes: int = 0) -> int:
        """Fold the log into the data when it has `least_bytes`; the bytes it had, 0 when it was not folded.

        In TRUNCATE mode only, which keeps writers out: SQLite before 3.51.3 may damage the file when a writer starts
        the log anew during a passive checkpoint (sqlite.org/wal.html, "WAL-reset bug").
        """
        log = Path(self._connections.path + "-wal")
        try:
            had = log.stat().st_size
        except OSError:
            return 0
        if not had or had < least_bytes:
            return 0
        with self._connections.bare() as connection:
            connection.execute(f"PRAGMA busy_timeout={CHECKPOINT_TIMEOUT_MS}")
            try:
                busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                busy = 1
            finally:
                connection.execute(f"PRAGMA busy_timeout={self._connections.busy_timeout_ms}")
        return 0 if busy else had

    def vacuum(self) -> int:
        """Return some free pages to the file system; bytes."""
        with self._connections.read() as connection:
            free = connection.execute("PRAGMA freelist_count").fetchone()[0]
            page = connection.execute("PRAGMA page_size").fetchone()[0]
        if free < VACUUM_PAGES:
            return 0
        with self._connections.bare() as connection:
            # execute() stops after the first of the many steps this pragma takes
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES});")
            left = connection.execute("PRAGMA freelist_count").fetchone()[0]
        return int(max(0, free - left) * page)


def _rows_sql(table: str) -> str:
    return TIERS[table].rows_sql if table in TIERS else "count(*)"


def _border(connection: sqlite3.Connection, table: str, floor_s: int) -> tuple[int, ...] | None:
    """The key behind the first BITE_ROWS rows; None when there are no more than that below `floor_s`."""
    key = KEYS[table]
    if table not in TIERS or not TIERS[table].packed:
        query = f"SELECT {key} FROM {table} WHERE ts < ? ORDER BY {key} LIMIT 1 OFFSET ?"  # noqa: S608
        found: tuple[int, ...] | None = connection.execute(query, (floor_s, BITE_ROWS)).fetchone()
        return found
    rows = 0
    for n, *place in connection.execute(f"SELECT n, {key} FROM {table} WHERE ts < ? ORDER BY {key}", (floor_s,)):  # noqa: S608
        if rows >= BITE_ROWS:
            return tuple(place)
        rows += n
    return None


def _aligned(limit_s: int, tier: Tier, after: Tier | None) -> int:
    unit = (after or tier).step_s
    return limit_s // unit * unit
