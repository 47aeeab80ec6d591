"""The connection of one process to the cache's file."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION_ID: Final = 0x50495443  # "PITC", in the file's header: no other program's file is taken for ours
BUSY_S: Final = 0.5  # a cache that has to be waited for longer is none
TRIES: Final = 50
PAUSE_S: Final = 0.01
_SCHEMA = Path(__file__).with_name("schema.sql")

_log = logging.getLogger("pitstop.cache")


class Connection:
    """One connection, opened when it is needed, by each process for itself; one thread at a time uses it.

    A file that is damaged is put aside as ``….broken`` and begun anew: it held nothing that cannot be made again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        self._file: tuple[int, int] | None = None  # device and inode of what is open

    @contextlib.contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """For statements that change nothing."""
        with self._locked():
            try:
                yield self._open()
            except sqlite3.DatabaseError as error:
                self._doubt(error)
                raise

    @contextlib.contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """For one transaction: all of it, or nothing."""
        with self._locked():
            try:
                db = self._open()
                db.execute("BEGIN IMMEDIATE")  # a reader that turns writer would fail where another writes
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            except sqlite3.DatabaseError as error:
                self._doubt(error)
                raise

    def close(self) -> None:
        """Close it; it opens again when it is needed."""
        with self._locked():
            if self._db is not None and self._pid == os.getpid():
                self._db.close()
            self._db = None

    def leave_if_gone(self) -> bool:
        """Close it if its path leads elsewhere by now, or nowhere; whether it did. It opens again as it always does."""
        with self._locked():
            if self._db is None or self._pid != os.getpid() or _file_of(self.path) == self._file:
                return False
            _log.warning("the cache's file %s was removed or replaced; it is opened anew", self.path)
            self._db.close()  # SQLite sees that its file was moved, and leaves the other's -wal alone
            self._db = None
            return True

    def reset_after_fork(self) -> None:
        """The parent's connection must not be used, nor closed, here."""
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=BUSY_S * 4):
            raise TimeoutError(f"{self.path}: {BUSY_S * 4} s are over and other threads still use it")
        try:
            yield
        finally:
            self._lock.release()

    def _open(self) -> sqlite3.Connection:
        if self._db is not None and self._pid == os.getpid():
            return self._db
        if self._db is not None:
            _inherited.append(self._db)  # closing it here would let go of the parent's locks
        self._db = None
        self.path.touch(mode=0o600)  # what is cached may be anybody's data
        for left in reversed(range(TRIES)):
            opened = _file_of(self.path)  # before: what is put there meanwhile is noticed at the next look
            db = sqlite3.connect(self.path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException as error:
                db.close()
                if not left or not _is_busy(error):
                    raise
                time.sleep(PAUSE_S)  # another process is just making the file, which no timeout waits for
            else:
                break
        self._db, self._pid, self._file = db, os.getpid(), opened
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN")  # both answers are of one moment
        owner = db.execute("PRAGMA application_id").fetchone()[0]
        used = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        db.execute("COMMIT")
        if owner != APPLICATION_ID and used:
            raise SettingError(f"{self.path} is a database of another program; name a file of its own for the cache")
        if owner != APPLICATION_ID:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=OFF")  # a crash of the machine may cost a cache its file, never anybody's data
        db.execute("PRAGMA wal_autocheckpoint=0")  # one process keeps house: SQLite before 3.51.3 may corrupt otherwise
        if owner != APPLICATION_ID:
            db.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA.read_text().split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            db.execute("COMMIT")

    def _doubt(self, error: sqlite3.DatabaseError) -> None:
        """Put the file aside if it is damaged."""
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            return
        if self._db is not None:
            self._db.close()
            self._db = None
        _log.warning("the cache's file %s is damaged (%s); it is put aside and begun anew", self.path, error)
        with contextlib.suppress(OSError):
            self.path.replace(self.path.with_name(self.path.name + ".broken"))
        for ending in ("-wal", "-shm"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)


def _file_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_busy(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


_inherited: list[sqlite3.Connection] = []  # the parent's connections, kept from being closed
