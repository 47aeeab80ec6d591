"""Sampled stacks of shorter intervals into longer ones, where rare stacks become one; the time they have stays exact.

As with rollups: read and merged without the write lock, written with the mark in one transaction that makes sure
that nothing came in between.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pitstop.store.examples import largest
from pitstop.store.sqlite.frames import OTHER_STACK
from pitstop.store.sqlite.profiles import INSERT_PROFILE, Sampled, add_packed, packed_stacks
from pitstop.store.sqlite.tallies import count_rows
from pitstop.store.sqlite.tiers import DAY_S, HOUR_S, PROFILE_TIERS, Tier, fold_target_s
from pitstop.store.sqlite.write import read_reaches

if TYPE_CHECKING:
    import sqlite3

    from pitstop.store.sqlite.connection import Connections

PIECE_STACKS = 20_000  # read and merged at once, about 15 ms outside the lock
ROUND_STACKS = 100_000
RAISED_AFTER_S = DAY_S  # how far `seen_s` may lie behind


class Piece(NamedTuple):
    """Intervals of a longer tier, ``[…, end_s)``: their packs, and what they were made of."""

    end_s: int
    packs: list[tuple[int, int, int, int, int, bytes]]
    seen: dict[int, int]  # the newest interval of each stack
    read_stacks: int
    read_rows: int


def fold_profiles(connections: Connections, now_s: int) -> int:
    """Fold every tier as far as ROUND_STACKS allow; the number of stacks × intervals read."""
    done = 0
    for finer, coarser in pairwise(PROFILE_TIERS):
        while done < ROUND_STACKS:
            read, further = _fold_piece(connections, finer, coarser, now_s)
            done += read
            if not further:
                break
    return done


def _fold_piece(connections: Connections, finer: Tier, coarser: Tier, now_s: int) -> tuple[int, bool]:
    with connections.read() as connection:
        reaches = read_reaches(connection)
        mark_s, target_s = reaches[coarser.name].mark_s, fold_target_s(reaches[finer.name].mark_s, coarser, now_s)
        if target_s <= mark_s:
            return 0, False
        piece = _read_piece(connection, finer, coarser, mark_s, target_s)
        raised = _to_raise(connection, coarser, piece)
    with connections.write() as connection:
        if read_reaches(connection)[coarser.name].mark_s != mark_s:
            return piece.read_stacks, False
        if _rows_in(connection, finer, mark_s, piece.end_s) != piece.read_rows:
            return piece.read_stacks, False
        connection.executemany(INSERT_PROFILE.format(name=coarser.name), piece.packs)
        count_rows(connection, coarser.name, sum(pack[4] for pack in piece.packs))
        connection.execute("UPDATE tier SET mark_s = ? WHERE name = ?", (piece.end_s, coarser.name))
        for statement, rows in raised.items():
            connection.executemany(statement, rows)
    return piece.read_stacks, piece.end_s < target_s


def _read_piece(connection: sqlite3.Connection, finer: Tier, coarser: Tier, mark_s: int, target_s: int) -> Piece:
    """As many whole intervals from the mark on as PIECE_STACKS hold, at least one."""
    unit = coarser.step_s
    groups: dict[tuple[int, int], Sampled] = {}
    rows = stacks = last_s = 0
    end_s = target_s
    query = f"SELECT ts, source, n, stacks FROM {finer.name} WHERE ts >= ? AND ts < ?"  # noqa: S608  our own names
    for ts, source, n, data in connection.execute(query, (mark_s, target_s)):
        start_s = ts // unit * unit
        if stacks >= PIECE_STACKS and start_s > last_s:
            end_s = start_s
            break
        last_s = start_s
        rows += 1
        stacks += n
        add_packed(groups.setdefault((start_s, source), {}), ts, n, data)
    packs = []
    seen: dict[int, int] = {}
    for (ts, source), sampled in sorted(groups.items()):
        kept = _without_rare(sampled) if unit >= HOUR_S else sampled
        packs.append((ts, source, 0, 0, len(kept), packed_stacks(kept)))
        seen.update(dict.fromkeys(kept, ts))
    return Piece(end_s, packs, seen, stacks, rows)


def _without_rare(sampled: Sampled) -> Sampled:
    by_name = largest({stack: samples for stack, (samples, _) in sampled.items()})
    if len(by_name) == len(sampled):
        return sampled
    rare = [sampled[stack] for stack in sampled.keys() - by_name]
    kept = {stack: value for stack, value in sampled.items() if stack in by_name}
    have = kept.get(OTHER_STACK, (0, 0))
    kept[OTHER_STACK] = have[0] + sum(value[0] for value in rare), have[1] + sum(value[1] for value in rare)
    return kept


def _rows_in(connection: sqlite3.Connection, tier: Tier, start_s: int, end_s: int) -> int:
    query = f"SELECT count(*) FROM {tier.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    return int(connection.execute(query, (start_s, end_s)).fetchone()[0])


def _to_raise(connection: sqlite3.Connection, coarser: Tier, piece: Piece) -> dict[str, list[tuple[int, int]]]:
    """What has to be said of names that were seen, by statement."""
    if coarser.step_s < HOUR_S:
        return {}
    column = "seen_s" if coarser.step_s == HOUR_S else "days_s"
    have = dict(connection.execute(f"SELECT id, {column} FROM stack"))  # noqa: S608
    stacks = [(ts, i) for i, ts in piece.seen.items() if have.get(i, ts) < ts - RAISED_AFTER_S]
    raised = {f"UPDATE stack SET {column} = ? WHERE id = ?": stacks}  # noqa: S608
    if coarser.step_s == HOUR_S:
        newest = {pack[1]: pack[0] for pack in piece.packs}
        raised["UPDATE source SET seen_s = ? WHERE id = ?"] = [(ts, i) for i, ts in newest.items()]
    return raised
