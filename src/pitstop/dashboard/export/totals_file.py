"""Totals on disk: a small SQLite file beside the store, so that counters go on where they were after a restart."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from pitstop.model import Series, StoreNewerError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

VERSION = 1
_BUSY_S = 5.0


class Total(NamedTuple):
    """All that was counted of one series; the newest of it was at `seen_s`. `hist` is encoded as in a rollup."""

    seen_s: int
    events: int
    sum_ns: int
    nbytes: int
    hist: bytes


class Mark(NamedTuple):
    """Everything before `until_s` is counted; `change` tells one state of the file from another."""

    until_s: int
    change: int


class TotalsFile:
    """The file at `path`. A connection is opened for each use: there is one every few minutes.

    Any thread, any number of processes. Raises StoreUnavailableError where it cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> Mark:
        """How far it counts; (0, 0) when there is no file yet."""
        if not self.path.exists():
            return Mark(0, 0)
        with self._opened() as db:
            return _mark(db)

    def load(self) -> tuple[Mark, dict[Series, Total]]:
        """Everything."""
        if not self.path.exists():
            return Mark(0, 0), {}
        with self._opened() as db:
            db.execute("BEGIN")
            query = (
                "SELECT service, tenant, kind, name, parent, outcome, seen_s, count, sum_ns, nbytes, hist FROM total"
            )
            found = {Series(*row[:6]): Total(*row[6:]) for row in db.execute(query)}
            return _mark(db), found

    def advance(self, seen: Mark, until_s: int, changed: Iterable[tuple[Series, Total]], forget_s: int) -> Mark | None:
        """Write what `changed` and count up to `until_s`; None when another process was quicker than `seen`.

        Series that nothing came of since `forget_s` are left out from now on.
        """
        with self._opened(write=True) as db:
            db.execute("BEGIN IMMEDIATE")
            if _mark(db) != seen:
                return None
            db.executemany(
                "INSERT OR REPLACE INTO total VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((*series, *total) for series, total in changed),
            )
            db.execute("DELETE FROM total WHERE seen_s < ?", (forget_s,))
            db.execute("UPDATE mark SET until_s = ?, change = change + 1", (until_s,))
            db.execute("COMMIT")
            return Mark(until_s, seen.change + 1)

    def hold_sender(self, holder: str, now_s: float, ttl_s: float) -> bool:
        """Take or renew the right to send; False when another process has it."""
        with self._opened(write=True) as db:
            done = db.execute(
                "INSERT INTO sender VALUES (1, ?1, ?2) ON CONFLICT (id) DO UPDATE SET holder = ?1, until_s = ?2 "
                "WHERE holder = ?1 OR until_s < ?3",
                (holder, now_s + ttl_s, now_s),
            )
            return done.rowcount == 1

    def release_sender(self, holder: str) -> None:
        """Give that right back, so that another need not wait for its end."""
        with self._opened(write=True) as db:
            db.execute("DELETE FROM sender WHERE holder = ?", (holder,))

    @contextmanager
    def _opened(self, *, write: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            if write and not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            with closing(sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)) as db:
                found = db.execute("PRAGMA user_version").fetchone()[0]
                if found > VERSION:
                    raise StoreNewerError(f"{self.path} is of version {found}, this Pitstop knows {VERSION}; update it")
                if write and found < VERSION:
                    db.execute("PRAGMA journal_mode = WAL")
                    script = resources.files("pitstop.dashboard.export").joinpath("totals.sql").read_text("utf-8")
                    db.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {VERSION}; COMMIT;")
                yield db
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"{self.path} cannot be used: {error}") from error


def _mark(db: sqlite3.Connection) -> Mark:
    if not db.execute("PRAGMA user_version").fetchone()[0]:
        return Mark(0, 0)
    return Mark(*db.execute("SELECT until_s, change FROM mark").fetchone())
