"""Keeping the cache's file small: what has ended goes, then the oldest, then the space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from pitstop.tune.cache.file.connection import Connection

LOG_S: Final = 60.0  # changes are kept that long; a process that slept longer forgets all it has in memory
CHUNK: Final = 1000  # rows of one transaction, so that others write in between
LEAVE: Final = 0.9  # of the bytes allowed that are left where there were more
MOST_TAGS: Final = 200_000


def keep_house(connection: Connection, now_s: float, max_bytes: int) -> int:
    """Delete what has ended, and the oldest beyond `max_bytes`; rows that went. For one process at a time."""
    gone = 0
    while (rows := _delete(connection, "until_s <= ?", CHUNK, now_s)) > 0:
        gone += rows
    with connection.write() as db:
        db.execute("DELETE FROM change WHERE at_s < ?", (now_s - LOG_S,))
        db.execute("DELETE FROM lease WHERE until_s < ?", (now_s,))
        _bound_tags(db, now_s)
    while (used := _used_bytes(connection)) > max_bytes:
        with connection.read() as db:
            count = db.execute("SELECT count(*) FROM entry").fetchone()[0]
        share = 1 - LEAVE * max_bytes / used
        if (rows := _delete(connection, "1", min(CHUNK, int(count * share) + 1))) <= 0:
            break
        gone += rows
    with connection.read() as db:
        db.executescript("PRAGMA incremental_vacuum(2000)")  # `execute` would free one page
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return gone


def _delete(connection: Connection, which: str, most: int, *values: float) -> int:
    with connection.write() as db:
        query = f"DELETE FROM entry WHERE rowid IN (SELECT rowid FROM entry WHERE {which} ORDER BY rowid LIMIT {most})"  # noqa: S608  ours
        return db.execute(query, values).rowcount


def _used_bytes(connection: Connection) -> int:
    with connection.read() as db:
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


def _bound_tags(db: sqlite3.Connection, now_s: float) -> None:
    """Forget all versions, and with them all entries, where tags are too many: none may begin anew at 0 by itself."""
    if db.execute("SELECT count(*) FROM tag").fetchone()[0] > MOST_TAGS:
        db.execute("DELETE FROM entry")
        db.execute("DELETE FROM tag")
        db.execute("INSERT INTO change (at_s, writer, kind, name) VALUES (?, '', 'all', '')", (now_s,))
