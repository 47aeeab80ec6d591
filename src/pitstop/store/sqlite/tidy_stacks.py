"""Stacks that no interval and no error has any more, and their frames.

Rows of the longer tiers are as new as `seen_s` and `days_s` say, within a margin; the shorter ones are looked through.
What is appended meanwhile stands in the shortest tier.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.store.sqlite.frames import OTHER_STACK, frames_of
from pitstop.store.sqlite.profiles import Sampled, add_packed
from pitstop.store.sqlite.tallies import house_value, set_house_value
from pitstop.store.sqlite.tiers import DAY_S, PROFILE_TIERS
from pitstop.store.sqlite.write import read_reaches

if TYPE_CHECKING:
    import sqlite3

    from pitstop.store.sqlite.connection import Connections

MARGIN_S = 3 * DAY_S  # `seen_s` and `days_s` lie behind by a day, a late batch or an interval
ROUND_STACKS = 2000  # forgotten at once, about 5 ms inside the lock


def tidy_stacks(connections: Connections) -> int:
    """Forget at most ROUND_STACKS; how many."""
    shortest, minutes, hours, days = (tier.name for tier in PROFILE_TIERS)
    with connections.read() as connection:
        reaches = read_reaches(connection)
        old = "SELECT id FROM stack WHERE seen_s < ? AND days_s < ? LIMIT ?"
        limits = (reaches[hours].floor_s - MARGIN_S, reaches[days].floor_s - MARGIN_S)
        found = {i for (i,) in connection.execute(old, (*limits, ROUND_STACKS))} - {OTHER_STACK}
        if found:
            found -= _stacks_in(connection, minutes, reaches[hours].mark_s)
            found -= {i for (i,) in connection.execute("SELECT DISTINCT stack FROM error")}
        if not found:
            return 0
        (newest,) = connection.execute("SELECT max(id) FROM stack").fetchone()
        kept = frames_of(connection, f"id NOT IN ({_listed(found)})")
    with connections.write() as connection:
        used = _stacks_in(connection, shortest, 0) | {
            i for (i,) in connection.execute("SELECT DISTINCT stack FROM error")
        }
        gone = found - used
        kept |= frames_of(connection, f"id > {newest} OR id IN ({_listed(found & used)})")
        lost = frames_of(connection, f"id IN ({_listed(gone)})") - kept
        connection.executemany("DELETE FROM stack WHERE id = ?", [(i,) for i in gone])
        connection.executemany("DELETE FROM frame WHERE id = ?", [(frame,) for frame in lost])
        set_house_value(connection, "generation", house_value(connection, "generation") + 1)
    return len(gone)


def _listed(ids: set[int]) -> str:
    return ",".join(map(str, ids))


def _stacks_in(connection: sqlite3.Connection, table: str, since_s: int) -> set[int]:
    sampled: Sampled = {}
    for ts, n, data in connection.execute(f"SELECT ts, n, stacks FROM {table} WHERE ts >= ?", (since_s,)):  # noqa: S608
        add_packed(sampled, ts, n, data)
    return set(sampled)
