"""Finer tiers into coarser ones, exactly, a bounded piece at a time.

A piece is read and merged without the write lock, then written in one transaction that also moves the mark. That
transaction makes sure nothing changed meanwhile: rows are only ever added, so an equal number is the same rows. What
lies in a tier at or beyond its mark is nobody's answer yet, so a long interval may be written in several transactions,
and a crash between them leaves only what the next round overwrites.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from pitstop.store.sqlite.tiers import HOUR_S, ROLLUP_TIERS, SAMPLE_TIERS, Reach, Tier
from pitstop.store.sqlite.write import INSERT_ROLLUP, Row, Values, count_rows, merged, read_reaches

if TYPE_CHECKING:
    import sqlite3

    from pitstop.store.sqlite.connection import Connections

LAG_S = 6  # a flush comes 1 … 2 s after its interval; what is later costs a row a tier, what waits makes tails long
PIECE_ROWS = 4000  # read and merged at once: about 40 ms of Python outside the lock
WRITE_ROWS = 2000  # written in one transaction: about 5 ms inside the lock
ROUND_ROWS = 20_000  # folded in one round


class Piece(NamedTuple):
    """Whole intervals of a coarser tier, ``[start_s, end_s)``, merged from `source_rows` finer rows."""

    start_s: int
    end_s: int
    source_rows: int
    rows: list[Row]


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


def _target(reaches: dict[str, Reach], finer: Tier, coarser: Tier, now_s: int) -> int:
    return min(reaches[finer.name].mark_s, now_s - LAG_S) // coarser.step_s * coarser.step_s


def _fold_piece(connections: Connections, finer: Tier, coarser: Tier, now_s: int) -> tuple[int, bool]:
    """Rows read, and whether there may be more to do."""
    with connections.read() as connection:
        reaches = read_reaches(connection)
        mark_s, target_s = reaches[coarser.name].mark_s, _target(reaches, finer, coarser, now_s)
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
    over = f"SELECT ts FROM {finer.name} WHERE ts >= ? ORDER BY ts LIMIT 1 OFFSET ?"  # noqa: S608
    beyond = connection.execute(over, (start_s, PIECE_ROWS)).fetchone()
    end_s = target_s if beyond is None else min(target_s, max(start_s + unit, beyond[0] // unit * unit))
    groups: dict[tuple[int, int], list[Values]] = {}
    query = f"SELECT ts, series, count, sum_ns, min_ns, max_ns, nbytes, hist FROM {finer.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    read = 0
    for ts, series, *values in connection.execute(query, (start_s, end_s)):
        read += 1
        groups.setdefault((ts // unit * unit, series), []).append(tuple(values))
    return Piece(start_s, end_s, read, [(*place, 0, 0, *merged(groups[place])) for place in sorted(groups)])


def _write_piece(connections: Connections, finer: Tier, coarser: Tier, mark_s: int, piece: Piece) -> bool:
    """Whether the piece is in and the mark moved; False when the file changed meanwhile."""
    token = int.from_bytes(os.urandom(7), "big") if len(piece.rows) > WRITE_ROWS else 0
    chunks = [piece.rows[i : i + WRITE_ROWS] for i in range(0, len(piece.rows), WRITE_ROWS)] or [[]]
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
            connection.executemany(INSERT_ROLLUP.format(name=coarser.name), chunk)
            if last:
                count_rows(connection, coarser.name, len(piece.rows))
                connection.execute("UPDATE tier SET mark_s = ? WHERE name = ?", (piece.end_s, coarser.name))
                if coarser.step_s == HOUR_S:
                    _raise_seen(connection, piece)
    return True


def _unchanged(connection: sqlite3.Connection, finer: Tier, mark_s: int, piece: Piece) -> bool:
    query = f"SELECT count(*) FROM {finer.name} WHERE ts >= ? AND ts < ?"  # noqa: S608
    found = connection.execute(query, (mark_s, piece.end_s)).fetchone()[0]
    return bool(found == piece.source_rows)


def _raise_seen(connection: sqlite3.Connection, piece: Piece) -> None:
    newest = {row[1]: row[0] for row in piece.rows}
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
        mark_s, target_s = reaches[coarser.name].mark_s, _target(reaches, finer, coarser, now_s)
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
