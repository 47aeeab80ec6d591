"""The default store: one SQLite file in WAL mode, written by many processes, folded by one. Standard library only."""

from pitstop.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
