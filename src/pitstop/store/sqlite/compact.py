"""Intervals that got many rows after they were folded, merged into as few as they need. No answer changes.

Only below the next tier's mark: no fold reads there any more, so only late rows may come in between.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from pitstop.store.sqlite.packs import Unpacked
from pitstop.store.sqlite.tallies import count_rows
from pitstop.store.sqlite.tiers import ROLLUP_TIERS
from pitstop.store.sqlite.write import INSERT_PACK, Groups, kinds_of, pack_rows, read_reaches, rows_in

if TYPE_CHECKING:
    import sqlite3

    from pitstop.store.sqlite.connection import Connections
    from pitstop.store.sqlite.tiers import Tier

LATE_PACKS = 8  # fewer are left alone; the index late_many has this number, too
ROUND_ROWS = 4000  # merged in one round: about 40 ms of Python outside the lock

Keys = list[tuple[int, int, int]]  # first series, worker, seq


def compact(connections: Connections) -> int:
    """One bounded round; the number of intervals."""
    with connections.read() as connection:
        places = _crowded(connection)
    done = rows = 0
    for tier, ts in places:
        if rows >= ROUND_ROWS:
            break
        rows += _compact_interval(connections, tier, ts)
        done += 1
    return done


def _crowded(connection: sqlite3.Connection) -> list[tuple[Tier, int]]:
    """Intervals with more than LATE_PACKS late packs, the oldest of each tier."""
    places: list[tuple[Tier, int]] = []
    reaches = read_reaches(connection)
    for tier, coarser in zip_longest(ROLLUP_TIERS[1:], ROLLUP_TIERS[2:]):
        query = f"SELECT ts FROM late WHERE tier = ? AND ts < ? AND packs > {LATE_PACKS} LIMIT 16"  # noqa: S608
        mark_s = reaches[(coarser or tier).name].mark_s
        places += [(tier, ts) for (ts,) in connection.execute(query, (tier.name, mark_s))]
    return places


def _compact_interval(connections: Connections, tier: Tier, ts: int) -> int:
    """Merge the packs of one interval, unless they changed meanwhile; the number of rows read."""
    with connections.read() as connection:
        keys, kinds = _keys(connection, tier, ts), kinds_of(connection)
        got = Unpacked()
        got.add_packs(connection.execute(f"SELECT ts, n, numbers, hists FROM {tier.name} WHERE ts = ?", (ts,)))  # noqa: S608
    groups: Groups = {}
    for _, series, values in got.rows():
        groups.setdefault(ts, {}).setdefault(series, []).append(values)
    packs = pack_rows(groups, kinds)
    with connections.write() as connection:
        # a batch is written once, so equal keys are equal rows, even when another process has merged them meanwhile
        if _keys(connection, tier, ts) == keys:
            connection.execute(f"DELETE FROM {tier.name} WHERE ts = ?", (ts,))  # noqa: S608
            connection.executemany(INSERT_PACK.format(name=tier.name), packs)
            connection.execute("DELETE FROM late WHERE tier = ? AND ts = ?", (tier.name, ts))
            count_rows(connection, tier.name, rows_in(packs) - len(got.ts))
    return len(got.ts)


def _keys(connection: sqlite3.Connection, tier: Tier, ts: int) -> Keys:
    return connection.execute(f"SELECT series, worker, seq FROM {tier.name} WHERE ts = ?", (ts,)).fetchall()  # noqa: S608
