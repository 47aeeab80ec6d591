"""Figures that transactions keep, so that nobody has to count: rows of each table, and the house's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

HOUSE = ("generation", "now_s", "token", "trace_bytes")
"""`generation` of ids, the house's clock, the fold in progress, bytes of traces' spans; thinning has its marks here."""


def count_rows(connection: sqlite3.Connection, table: str, more: int) -> None:
    """Keep the number of rows of `table`."""
    connection.execute("UPDATE tier SET n_rows = n_rows + ? WHERE name = ?", (more, table))


def house_value(connection: sqlite3.Connection, name: str) -> int:
    """One of the house's figures; 0 when it was never set."""
    row = connection.execute("SELECT value FROM house WHERE name = ?", (name,)).fetchone()
    return int(row[0]) if row else 0


def set_house_value(connection: sqlite3.Connection, name: str, value: int) -> None:
    """Set one of the house's figures."""
    connection.execute("INSERT OR REPLACE INTO house (name, value) VALUES (?, ?)", (name, value))
