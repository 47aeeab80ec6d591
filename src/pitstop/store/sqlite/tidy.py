"""Names that nothing is kept of any more are forgotten, some time after their last row."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pitstop.store.sqlite.packs import Unpacked
from pitstop.store.sqlite.tallies import house_value, set_house_value
from pitstop.store.sqlite.tidy_stacks import tidy_stacks
from pitstop.store.sqlite.tiers import DAY_S, HOUR_S, PROFILE_TIERS, ROLLUP_TIERS, SAMPLE_TIERS
from pitstop.store.sqlite.write import read_reaches

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pitstop.store.sqlite.connection import Connections
    from pitstop.store.sqlite.tiers import Reach, Tier

MARGIN_S = DAY_S  # `seen_s` may lie behind the newest row by an interval or a late batch
WORKER_KEPT_S = 30 * DAY_S  # no worker retries a batch for so long


def tidy(connections: Connections, now_s: int) -> int:
    """Forget names without rows; how many. Other processes see it by the generation and ask for ids anew."""
    forgotten = tidy_stacks(connections)
    with connections.read() as connection:
        if not any(
            connection.execute(f"SELECT 1 FROM {table} WHERE seen_s < ? LIMIT 1", (old_s,)).fetchone()  # noqa: S608
            for table, old_s in _old(connection, now_s).items()
        ):
            return forgotten
    with connections.write() as connection:
        old, reaches = _old(connection, now_s), read_reaches(connection)
        hours = [tier for tier in ROLLUP_TIERS if tier.step_s <= HOUR_S]
        used = {
            "series": _unfolded(connection, reaches, hours, "series") | _used(connection, "trace", "series"),
            "gauge": _unfolded(connection, reaches, SAMPLE_TIERS, "gauge"),
            "worker": _used(connection, "trace", "worker"),
            "source": _used(connection, "profile_1", "source") | _used(connection, "profile_60", "source"),
            "failure": _used(connection, "error", "failure"),
        }
        before = forgotten
        for table, old_s in old.items():
            ids = {i for (i,) in connection.execute(f"SELECT id FROM {table} WHERE seen_s < ?", (old_s,))}  # noqa: S608
            gone = [(i,) for i in ids - used[table]]
            connection.executemany(f"DELETE FROM {table} WHERE id = ?", gone)  # noqa: S608
            forgotten += len(gone)
        if forgotten > before:
            set_house_value(connection, "generation", house_value(connection, "generation") + 1)
    return forgotten


def _used(connection: sqlite3.Connection, table: str, column: str) -> set[int]:
    return {i for (i,) in connection.execute(f"SELECT DISTINCT {column} FROM {table}")}  # noqa: S608


def _old(connection: sqlite3.Connection, now_s: int) -> dict[str, int]:
    """Before which `seen_s` a name of each table is old."""
    reaches = read_reaches(connection)
    return {
        "series": reaches[ROLLUP_TIERS[-1].name].floor_s - MARGIN_S,
        "gauge": reaches[SAMPLE_TIERS[-1].name].floor_s - MARGIN_S,
        "worker": now_s - WORKER_KEPT_S,
        "source": reaches[PROFILE_TIERS[-1].name].floor_s - MARGIN_S,
        "failure": now_s - WORKER_KEPT_S,
    }


def _unfolded(
    connection: sqlite3.Connection, reaches: dict[str, Reach], tiers: Sequence[Tier], column: str
) -> set[int]:
    """Ids of rows that have not reached the tier where `seen_s` is raised."""
    ids: set[int] = set()
    for finer, coarser in pairwise(tiers):
        since = (reaches[coarser.name].mark_s,)
        if finer.packed:
            got = Unpacked()
            query = f"SELECT ts, n, numbers, NULL FROM {finer.name} WHERE ts >= ?"  # noqa: S608
            got.add_packs(connection.execute(query, since))
            ids.update(got.series)
        else:
            query = f"SELECT DISTINCT {column} FROM {finer.name} WHERE ts >= ?"  # noqa: S608
            ids.update(i for (i,) in connection.execute(query, since))
    return ids
