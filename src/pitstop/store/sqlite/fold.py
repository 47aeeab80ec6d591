"""Finer tiers into coarser ones, exactly, a bounded piece at a time.

A piece is read and merged without the write lock, then written in one transaction that also moves the mark. That
transaction makes sure that nothing changed meanwhile: beyond a mark, rows are only ever added. What lies in a tier at
or beyond its mark is nobody's answer yet, so a long interval may be written in several transactions, and a crash
between them leaves only what the next round overwrites.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pitstop.store.sqlite.packs import Unpacked
from pitstop.store.sqlite.tallies import count_rows
from pitstop.store.sqlite.tiers import HOUR_S, ROLLUP_TIERS, SAMPLE_TIERS, Tier, fold_target_s
from pitstop.store.sqlite.write import (
    INSERT_PACK,
    Groups,
    PackRow,
    kinds_of,
    pack_rows,
    read_reaches,
    rows_in,
)

if TYPE_CHECKING:
    import sqlite3

    from pitstop.store.sqlite.connection import Connections

PIECE_ROWS = 4000  # read and merged at once: about 40 ms of Python outside the lock
WRITE_PACKS = 100  # written in one transaction: at most 12,800 rows, about 5 ms inside the lock
COUNT_ROWS = 10_000  # counted inside the lock in about 1 ms
ROUND_ROWS = 20_000  # folded in one round


class Piece(NamedTuple):
    """Whole intervals of a coarser tier, ``[start_s, end_s)``, merged from `source_rows` finer series × intervals.

    `found` is the number of rows in the table since the mark, `seqs` each worker's last batch when they were many.
    """

    start_s: int
    end_s: int
    source_rows: int
    packs: list[PackRow]
    found: int = 0
    seqs: dict[int, int] | None = None


def fold_rollups(connections: Connections, now_s: int) -> int:
    """Fold every tier up to `now_s` − LAG_S as far as ROUND_ROWS allow; the number of rows read."""
    done = 0
    for finer, coarser in pairwise(ROLLUP_TIERS):
        while done < ROUND_ROWS:
            read, further = _fold_piece(connections, finer, coarser, now_s)
            done += read
            if not further:
                break
    return done


def _fold_piece(connections: Connections, finer: Tier, coarser: Tier, now_s: int) -> tuple[int, bool]:
    """Rows read, and whether there may be more to do."""
    with connections.read() as connection:
        reaches = read_reaches(connection)
        mark_s, target_s = reaches[coarser.name].mark_s, fold_target_s(reaches[finer.name].mark_s, coarser, now_s)
        if target_s <= mark_s:
            return 0, False
        piece = _read_piece(connection, finer, coarser, mark_s, target_s)
    written = _write_piece(connections, finer, coarser, mark_s, piece)
    return piece.source_rows, written and piece.end_s < target_s


def _read_piece(connection: sqlite3.Connection, finer: Tier, coarser: Tier, mark_s: int, target_s: int) -> Piece:
    """As many whole intervals from the mark on as PIECE_ROWS hold, at least one."""
    unit = coarser.step_s
    first = connection.execute(f"SELECT min(ts) FROM {finer.name} WHERE ts >= ?", (mark_s,)).fetchone()[0]  # noqa: S608
    if first is None or first >= target_s:
        return Piece(mark_s, target_s, 0, [])
    start_s = first // unit * unit
    beyond_s = _beyond(connection, finer, start_s, target_s)
    end_s = target_s if beyond_s is None else min(target_s, max(start_s + unit, beyond_s // unit * unit))
    got = Unpacked()
    columns = "ts, n, numbers, hists" if finer.packed else "ts, series, count, sum_ns, min_ns, max_ns, nbytes, hist"
    query = f"SELECT {columns} FROM {finer.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    found = connection.execute(query, (start_s, end_s))
    if finer.packed:
        got.add_packs(found)
    else:
        got.add_rows(found.fetchall())
    groups: Groups = {}
    for ts, series, values in got.rows():
        groups.setdefault(ts // unit * unit, {}).setdefault(series, []).append(values)
    found_rows = _count(connection, finer, mark_s, end_s)
    seqs = _seqs(connection) if not finer.packed and found_rows > COUNT_ROWS else None
    return Piece(start_s, end_s, len(got.ts), pack_rows(groups, kinds_of(connection)), found_rows, seqs)


def _beyond(connection: sqlite3.Connection, tier: Tier, start_s: int, target_s: int) -> int | None:
    """Where PIECE_ROWS rows from `start_s` on are passed; None when that is not before `target_s`."""
    if not tier.packed:
        over = f"SELECT ts FROM {tier.name} WHERE ts >= ? ORDER BY ts LIMIT 1 OFFSET ?"  # noqa: S608
        row = connection.execute(over, (start_s, PIECE_ROWS)).fetchone()
        return None if row is None else row[0]
    rows = 0
    for ts, n in connection.execute(f"SELECT ts, n FROM {tier.name} WHERE ts >= ? AND ts < ?", (start_s, target_s)):  # noqa: S608
        rows += n
        if rows > PIECE_ROWS:
            return int(ts)
    return None


def _write_piece(connections: Connections, finer: Tier, coarser: Tier, mark_s: int, piece: Piece) -> bool:
    """Whether the piece is in and the mark moved; False when the file changed meanwhile."""
    token = int.from_bytes(os.urandom(7), "big") if len(piece.packs) > WRITE_PACKS else 0
    chunks = [piece.packs[i : i + WRITE_PACKS] for i in range(0, len(piece.packs), WRITE_PACKS)] or [[]]
    for place, chunk in enumerate(chunks):
        with connections.write() as connection:
            if read_reaches(connection)[coarser.name].mark_s != mark_s:
                return False
            if place == 0:
                connection.execute(f"DELETE FROM {coarser.name} WHERE ts >= ?", (mark_s,))  # noqa: S608
                connection.execute("UPDATE house SET value = ? WHERE name = 'token'", (token,))
            elif connection.execute("SELECT value FROM house WHERE name = 'token'").fetchone()[0] != token:
                return False  # another process folds this, too: it goes on, we do not
            last = place == len(chunks) - 1
            if last and not _unchanged(connection, finer, mark_s, piece):
                return False
            connection.executemany(INSERT_PACK.format(name=coarser.name), chunk)
            if last:
                count_rows(connection, coarser.name, rows_in(piece.packs))
                connection.execute("UPDATE tier SET mark_s = ? WHERE name = ?", (piece.end_s, coarser.name))
                if coarser.step_s == HOUR_S:
                    _raise_seen(connection, piece)
    return True


def _count(connection: sqlite3.Connection, tier: Tier, start_s: int, end_s: int) -> int:
    query = f"SELECT count(*) FROM {tier.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    return int(connection.execute(query, (start_s, end_s)).fetchone()[0])


def _seqs(connection: sqlite3.Connection) -> dict[int, int]:
    return dict(connection.execute("SELECT id, seq FROM worker"))


def _unchanged(connection: sqlite3.Connection, finer: Tier, mark_s: int, piece: Piece) -> bool:
    """Whether nothing came into the piece's rows since it was read.

    An equal number is the same rows, but counting takes 0.1 µs a row: of many seconds it is looked for rows of later
    batches than those that each worker had written. Ids of workers are never given twice.
    """
    if piece.seqs is None:
        return _count(connection, finer, mark_s, piece.end_s) == piece.found
    then = piece.seqs
    wrote = [(worker, then.get(worker, -1)) for worker, seq in _seqs(connection).items() if seq != then.get(worker)]
    next_s = f"SELECT min(ts) FROM {finer.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    newer = f"SELECT 1 FROM {finer.name} WHERE ts = ? AND worker = ? AND seq > ? LIMIT 1"  # noqa: S608
    ts = connection.execute(next_s, (mark_s, piece.end_s)).fetchone()[0] if wrote else None
    while ts is not None:
        if any(connection.execute(newer, (ts, worker, seq)).fetchone() for worker, seq in wrote):
            return False
        ts = connection.execute(next_s, (ts + 1, piece.end_s)).fetchone()[0]
    return True


def _raise_seen(connection: sqlite3.Connection, piece: Piece) -> None:
    got = Unpacked()
    got.add_packs((ts, n, numbers, None) for ts, *_, n, numbers, _ in piece.packs)
    newest = dict(zip(got.series, got.ts, strict=True))
    update = "UPDATE series SET seen_s = ? WHERE id = ? AND seen_s < ?"
    connection.executemany(update, [(ts, series, ts) for series, ts in newest.items()])


def fold_samples(connections: Connections, now_s: int) -> int:
    """The last value of each gauge in each coarser interval; the number of rows written."""
    done = 0
    for finer, coarser in pairwise(SAMPLE_TIERS):
        while done < ROUND_ROWS:
            written, further = _fold_samples_piece(connections, finer, coarser, now_s)
            done += written
            if not further:
                break
    return done


def _fold_samples_piece(connections: Connections, finer: Tier, coarser: Tier, now_s: int) -> tuple[int, bool]:
    unit = coarser.step_s
    with connections.write() as connection:
        reaches = read_reaches(connection)
        mark_s, target_s = reaches[coarser.name].mark_s, fold_target_s(reaches[finer.name].mark_s, coarser, now_s)
        if target_s <= mark_s:
            return 0, False
        first = connection.execute(f"SELECT min(ts) FROM {finer.name} WHERE ts >= ?", (mark_s,)).fetchone()[0]  # noqa: S608
        start_s = target_s if first is None else min(target_s, first // unit * unit)
        over = f"SELECT ts FROM {finer.name} WHERE ts >= ? ORDER BY ts LIMIT 1 OFFSET ?"  # noqa: S608
        beyond = connection.execute(over, (start_s, PIECE_ROWS)).fetchone()
        end_s = target_s if beyond is None else min(target_s, max(start_s + unit, beyond[0] // unit * unit))
        before = connection.total_changes
        connection.execute(
            f"INSERT OR REPLACE INTO {coarser.name} (ts, gauge, value) SELECT ts / {unit} * {unit}, gauge, value FROM "  # noqa: S608
            f"(SELECT max(ts) AS ts, gauge, value FROM {finer.name} WHERE ts >= ? AND ts < ?"
            f" GROUP BY ts / {unit}, gauge)",
            (start_s, end_s),
        )
        written = connection.total_changes - before
        count_rows(connection, coarser.name, written)
        connection.execute("UPDATE tier SET mark_s = ? WHERE name = ?", (end_s, coarser.name))
        if coarser is SAMPLE_TIERS[-1]:
            connection.execute(
                f"UPDATE gauge SET seen_s = max(seen_s, ?) WHERE id IN (SELECT gauge FROM {coarser.name}"  # noqa: S608
                " WHERE ts >= ? AND ts < ?)",
                (start_s, start_s, end_s),
            )
    return written, end_s < target_s
