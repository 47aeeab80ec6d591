"""Names that nothing is kept of any more: series, gauges and workers are forgotten, some time after their last row."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from pitstop.store.sqlite.tiers import DAY_S, HOUR_S, ROLLUP_TIERS, SAMPLE_TIERS
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
    with connections.read() as connection:
        if not any(connection.execute(query).fetchone() for query, _ in _deletions(connection, now_s)):
            return 0
    with connections.write() as connection:
        forgotten = sum(connection.execute(delete).rowcount for _, delete in _deletions(connection, now_s))
        connection.execute("UPDATE house SET value = value + 1 WHERE name = 'generation'")
    return forgotten


def _deletions(connection: sqlite3.Connection, now_s: int) -> list[tuple[str, str]]:
    """Whether there is something to delete, and how, for each kind of name."""
    reaches = read_reaches(connection)
    hours = [tier for tier in ROLLUP_TIERS if tier.step_s <= HOUR_S]
    old_series = f"seen_s < {reaches[ROLLUP_TIERS[-1].name].floor_s - MARGIN_S}"
    old_gauges = f"seen_s < {reaches[SAMPLE_TIERS[-1].name].floor_s - MARGIN_S}"
    old_workers = f"seen_s < {now_s - WORKER_KEPT_S}"
    return [
        (_any("series", old_series), _delete("series", old_series, _unfolded(reaches, hours, "series"))),
        (_any("gauge", old_gauges), _delete("gauge", old_gauges, _unfolded(reaches, SAMPLE_TIERS, "gauge"))),
        (_any("worker", old_workers), f"DELETE FROM worker WHERE {old_workers}"),  # noqa: S608  whole numbers
    ]


def _any(table: str, condition: str) -> str:
    return f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1"  # noqa: S608


def _delete(table: str, condition: str, unfolded: str) -> str:
    return f"DELETE FROM {table} WHERE {condition} AND id NOT IN ({unfolded})"  # noqa: S608


def _unfolded(reaches: dict[str, Reach], tiers: Sequence[Tier], column: str) -> str:
    """Ids of rows that have not reached the tier where `seen_s` is raised."""
    return " UNION ".join(
        f"SELECT {column} FROM {finer.name} WHERE ts >= {reaches[coarser.name].mark_s}"  # noqa: S608
        for finer, coarser in pairwise(tiers)
    )
