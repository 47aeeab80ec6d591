"""Traces and errors in small bites: by age, by what their spans take, and thinned out as they get older.

A bite chooses and deletes within one transaction, so housekeepers that do the same at once do no harm. Traces have
five indexes and a body: 200 of them take about 5 ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.trace import SAMPLE
from pitstop.store.examples import PLAIN, PLAIN_KEPT_S, THINNING
from pitstop.store.sqlite.connection import nap
from pitstop.store.sqlite.tallies import count_rows, house_value, set_house_value

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from pitstop.store.sqlite.connection import Connections

BITE_TRACES = 200
PAUSE_S = 0.01
ROUND_BITES = 20
ROUND_THINNED = 5000  # rows looked at in one round of thinning, about 5 ms

Place = tuple[int, int, int, int]  # ts, worker, seq, n
Piece = tuple["list[Place]", Place]  # of one group: what goes, and what stays


def bite(connections: Connections, floor_s: int) -> tuple[int, bool]:
    """Delete some of the oldest traces before `floor_s`: how many, and whether there may be more."""
    query = "SELECT ts, worker, seq, n, body FROM trace WHERE ts < ? ORDER BY ts LIMIT ?"
    gone = _delete_chosen(connections, query, (floor_s,))
    return gone, gone == BITE_TRACES


def trim(connections: Connections, now_s: int, budget_bytes: int) -> int:
    """One bounded round; the number of traces and errors deleted."""
    gone = _old_plain(connections, now_s) + _beyond_budget(connections, budget_bytes)
    for level, (age_s, step_s) in enumerate(THINNING):
        until_s = (now_s - age_s) // step_s * step_s
        gone += _thin(connections, "error", level, step_s, until_s)
        gone += _thin(connections, "trace", level, step_s, until_s)
    return gone


def _old_plain(connections: Connections, now_s: int) -> int:
    query = "SELECT ts, worker, seq, n, body FROM trace WHERE reason = ? AND ts < ? ORDER BY ts LIMIT ?"
    gone = 0
    for reason in PLAIN:
        for _ in range(ROUND_BITES):
            bitten = _delete_chosen(connections, query, (reason, now_s - PLAIN_KEPT_S))
            gone += bitten
            if bitten < BITE_TRACES:
                break
            nap(PAUSE_S)
    return gone


def _beyond_budget(connections: Connections, budget_bytes: int) -> int:
    """Delete plain traces, then any, the oldest first, while spans take more than they may."""
    query = "SELECT ts, worker, seq, n, body FROM trace WHERE reason = ? ORDER BY ts LIMIT ?"
    oldest = "SELECT ts, worker, seq, n, body FROM trace ORDER BY ts LIMIT ?"
    gone = 0
    for _ in range(ROUND_BITES):
        with connections.read() as connection:
            if house_value(connection, "trace_bytes") <= budget_bytes:
                break
        bitten = 0
        for reason in PLAIN:
            bitten = bitten or _delete_chosen(connections, query, (reason,))
        gone += bitten or _delete_chosen(connections, oldest, ())
        nap(PAUSE_S)
    return gone


def _delete_chosen(connections: Connections, query: str, values: Sequence[int | str]) -> int:
    with connections.read() as connection:  # nearly always there is nothing to do, and no lock to take
        if not connection.execute(query, (*values, 1)).fetchone():
            return 0
    with connections.write() as connection:
        chosen = connection.execute(query, (*values, BITE_TRACES)).fetchall()
        _delete(connection, chosen)
    return len(chosen)


def _delete(connection: sqlite3.Connection, chosen: Sequence[tuple[int, int, int, int, int]]) -> None:
    """Delete traces, given by place and body."""
    bodies = ",".join(str(row[4]) for row in chosen if row[4])
    query = f"SELECT ifnull(sum(length(spans)), 0) FROM trace_body WHERE id IN ({bodies})"  # noqa: S608  numbers
    freed = connection.execute(query).fetchone()[0]
    connection.execute(f"DELETE FROM trace_body WHERE id IN ({bodies})")  # noqa: S608
    delete = "DELETE FROM trace WHERE ts = ? AND worker = ? AND seq = ? AND n = ?"
    connection.executemany(delete, [row[:4] for row in chosen])
    count_rows(connection, "trace", -len(chosen))
    set_house_value(connection, "trace_bytes", house_value(connection, "trace_bytes") - freed)


def _thin(connections: Connections, table: str, level: int, step_s: int, until_s: int) -> int:
    """Leave the newest row of each group and interval before `until_s`; what went adds its weight to that one."""
    mark = f"{table}_thin_{level}"
    with connections.read() as connection:
        from_s = house_value(connection, mark)
        if until_s <= from_s:
            return 0
        groups, end_s = _groups(connection, table, step_s, from_s, until_s)
    gone = 0
    for pieces in _bites(groups):
        gone += _leave_last(connections, table, pieces)
        nap(PAUSE_S)
    with connections.write() as connection:
        set_house_value(connection, mark, max(end_s, house_value(connection, mark)))
    return gone


def _groups(
    connection: sqlite3.Connection, table: str, step_s: int, from_s: int, until_s: int
) -> tuple[list[list[Place]], int]:
    """Rows of one group and interval each, oldest first, and the time up to which that is all."""
    if table == "trace":
        query, values = "SELECT series, ts, worker, seq, n FROM trace WHERE reason = ?", [SAMPLE]
    else:
        query, values = "SELECT failure, ts, worker, seq, n FROM error WHERE 1", []
    found = connection.execute(
        f"{query} AND ts >= ? AND ts < ? ORDER BY ts, worker, seq, n LIMIT ?", (*values, from_s, until_s, ROUND_THINNED)
    ).fetchall()
    end_s = until_s
    if len(found) == ROUND_THINNED:  # the last interval may go on; if it is the only one, it is thinned as it is
        end_s = max(found[-1][1] // step_s * step_s, found[0][1] // step_s * step_s + step_s)
    groups: dict[tuple[int, int], list[Place]] = {}
    for group, *place in found:
        if place[0] < end_s:
            groups.setdefault((group, place[0] // step_s), []).append((place[0], place[1], place[2], place[3]))
    return [rows for rows in groups.values() if len(rows) > 1], end_s


def _bites(groups: list[list[Place]]) -> Iterator[list[Piece]]:
    """Places to delete, each with the one that stays; about BITE_TRACES at once."""
    bite_of: list[Piece] = []
    size = 0
    for rows in groups:
        for at in range(0, len(rows) - 1, BITE_TRACES):
            some = rows[at : min(at + BITE_TRACES, len(rows) - 1)]
            bite_of.append((some, rows[-1]))
            size += len(some)
            if size >= BITE_TRACES:
                yield bite_of
                bite_of, size = [], 0
    if bite_of:
        yield bite_of


def _leave_last(connections: Connections, table: str, pieces: list[Piece]) -> int:
    where = "WHERE ts = ? AND worker = ? AND seq = ? AND n = ?"
    gone = 0
    with connections.write() as connection:
        if table == "error":
            before = connection.total_changes
            connection.executemany(f"DELETE FROM error {where}", [place for rows, _ in pieces for place in rows])  # noqa: S608
            gone = connection.total_changes - before
            count_rows(connection, "error", -gone)
            return gone
        for rows, last in pieces:
            there = f"SELECT ts, worker, seq, n, body, weight FROM trace {where}"  # noqa: S608
            chosen = [row for place in rows if (row := connection.execute(there, place).fetchone())]
            weight = (sum(row[5] for row in chosen), *last)
            if chosen and connection.execute(f"UPDATE trace SET weight = weight + ? {where}", weight).rowcount:  # noqa: S608
                _delete(connection, [row[:5] for row in chosen])
                gone += len(chosen)
    return gone
