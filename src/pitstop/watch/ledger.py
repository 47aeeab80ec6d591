"""The file in which whoever watches remembers: incidents, silences, rules and channels made by hand, the outbox.

A file of its own and not the store, because it is changed and not only appended to, and because a change of an
incident, the message about it and the right to make both must be one transaction: an evaluator that lost its lease
cannot write any more, so nothing fires twice after a failover. Stores that cannot do that (ClickHouse) need not.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

from pitstop.model import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

VERSION = 1
_BUSY_MS = 5000


class LeaseLostError(StoreUnavailableError):
    """Another process watches now; what was being written was not."""


class Ledger:
    """Safe from any thread and after a fork. `path` None: kept in memory, for this process only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        with self._opened():
            pass

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection to read from. Raises StoreUnavailableError."""
        with self._lock, self._faults():
            yield self._opened()

    @contextmanager
    def write(self, holder: str = "") -> Iterator[sqlite3.Connection]:
        """One transaction, kept when the block ends without an error.

        With `holder`, only while it has the lease. Raises LeaseLostError when it has not, StoreUnavailableError.
        """
        with self._lock, self._faults():
            db = self._opened()
            db.execute("BEGIN IMMEDIATE")
            try:
                if holder:
                    _must_hold(db, holder)
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    def lease(self, holder: str, ttl_s: float) -> bool:
        """Take or renew the right to evaluate for `ttl_s`; False when another holder has it."""
        now_s = time.time()
        with self.write() as db:
            done = db.execute(
                "INSERT INTO lease VALUES ('watch', ?1, ?2) ON CONFLICT (name) DO UPDATE SET holder = ?1, until_s = ?2 "
                "WHERE holder = ?1 OR until_s < ?3",
                (holder, now_s + ttl_s, now_s),
            )
            return done.rowcount == 1

    def release(self, holder: str) -> None:
        """Give the lease back, so that another need not wait for its end."""
        with self.write() as db:
            db.execute("DELETE FROM lease WHERE name = 'watch' AND holder = ?", (holder,))

    def close(self) -> None:
        """Release the connection."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._pid != os.getpid():
            self._connection = self._open()
            self._pid = os.getpid()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self.path is not None:
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
        db = sqlite3.connect(
            ":memory:" if self.path is None else self.path, isolation_level=None, check_same_thread=False
        )
        db.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        if self.path is not None:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
        found = db.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION:
            raise StoreUnavailableError(
                f"{self.path} is of a newer Pitstop (version {found}, this one knows {VERSION}); update it"
            )
        db.executescript(resources.files("pitstop.watch").joinpath("schema.sql").read_text("utf-8"))
        db.execute(f"PRAGMA user_version = {VERSION}")
        return db

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailableError(f"{self.path or 'the ledger'} cannot be used: {error}") from error


def _must_hold(db: sqlite3.Connection, holder: str) -> None:
    row = db.execute("SELECT holder, until_s FROM lease WHERE name = 'watch'").fetchone()
    if row is None or row[0] != holder or row[1] < time.time():
        raise LeaseLostError(f"{holder} no longer watches; {row[0] if row else 'nobody'} does")
