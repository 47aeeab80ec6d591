"""Schema 1 to 2: tiers of 10 s and longer had a row for each series; now their intervals are packed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.store.sqlite.tiers import ROLLUP_TIERS
from pitstop.store.sqlite.write import INSERT_PACK, Groups, kinds_of, pack_rows

if TYPE_CHECKING:
    import sqlite3

PIECE_ROWS = 5000  # packed at once
_VALUES = ("count", "sum_ns", "min_ns", "max_ns", "nbytes", "hist")


def aside(connection: sqlite3.Connection) -> list[str]:
    """Rename tiers that are to be packed but are not; their names."""
    plain = [tier.name for tier in ROLLUP_TIERS if tier.packed and "hist" in _columns(connection, tier.name)]
    for name in plain:
        connection.execute(f"ALTER TABLE {name} RENAME TO {name}_plain")
    return plain


def repack(connection: sqlite3.Connection, plain: list[str]) -> None:
    """Pack the rows of tables that `aside` renamed, in the open transaction, and drop those.

    What several writers left in one interval becomes one pack, which is exact. Takes about 6 s for 1 M rows.
    """
    kinds = kinds_of(connection)
    for name in plain:
        have = _columns(connection, f"{name}_plain")
        values = ", ".join(column if column in have else "0" for column in _VALUES)
        groups: Groups = {}
        rows = 0
        for ts, series, *value in connection.execute(f"SELECT ts, series, {values} FROM {name}_plain ORDER BY ts"):  # noqa: S608
            if rows >= PIECE_ROWS and ts not in groups:
                connection.executemany(INSERT_PACK.format(name=name), pack_rows(groups, kinds))
                groups, rows = {}, 0
            groups.setdefault(ts, {}).setdefault(series, []).append(tuple(value))
            rows += 1
        connection.executemany(INSERT_PACK.format(name=name), pack_rows(groups, kinds))
        connection.execute(f"DROP TABLE {name}_plain")
        # an interval's rows of one series are now one; a tier that is not registered yet is counted then
        counted = f"UPDATE tier SET n_rows = (SELECT ifnull(sum(n), 0) FROM {name}) WHERE name = ?"  # noqa: S608
        connection.execute(counted, (name,))


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {column[1] for column in connection.execute(f"PRAGMA table_info({table})")}
