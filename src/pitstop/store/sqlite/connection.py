"""Connections of one process to one file: taken from a pool, used shortly, given back.

SQLite's connections do not survive a fork, not even unused (sqlite.org/howtocorrupt.html, 2.6): a child that opens
the file while it has inherited a connection believes that it holds locks which only its parent has, and loses what it
writes when the parent closes last. So before a fork the pool waits for what is in use (shortly) and closes everything;
what was still in use then is abandoned by the child and never closed there.

Locks and pauses are the real ones also under gevent: a greenlet that gave way while it holds a lock of its whole thread
would never get it back.
"""

from __future__ import annotations

import os
import sqlite3
import time
import weakref
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from pitstop.model.errors import StoreError, StoreUnavailableError
from pitstop.rollup.native import allocate_lock
from pitstop.store.sqlite.faults import DamagedFileError, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUSY_TIMEOUT_MS = 5000
FORK_WAIT_S = 0.25  # a flush takes 2 ms, a long read 75 ms
FIRST_PAUSE_S = 0.0005
LONGEST_PAUSE_S = 0.02
IDLE_CONNECTIONS = 4
STATEMENTS = 64

_never = allocate_lock()
_never.acquire()

_POOLS: weakref.WeakSet[Connections] = weakref.WeakSet()


def nap(seconds: float) -> None:
    """Let the whole thread pause, also where gevent has replaced `time.sleep`."""
    _never.acquire(timeout=seconds)


class Connections:
    """The pool. Before a file is first opened, `approve` may refuse it untouched; then `prepare` makes the schema.

    Any thread; `write` lets one thread of the process in at a time. `inode` is the file's, once known.
    """

    def __init__(
        self,
        path: str,
        *,
        readonly: bool,
        approve: Callable[[], None],
        prepare: Callable[[sqlite3.Connection], None],
    ) -> None:
        self.path = path
        self.readonly = readonly
        self.busy_timeout_ms = BUSY_TIMEOUT_MS
        self.inode = 0
        self._approve = approve
        self._prepare = prepare
        self._idle: list[sqlite3.Connection] = []
        self._used: list[sqlite3.Connection] = []
        self._changing = allocate_lock()
        self._writing = allocate_lock()
        self._quiet = False
        self._lasting = True
        self._closed = False
        _POOLS.add(self)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one state of the file. Keep it short: an open one blocks checkpoints."""
        with self._borrowed() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    @contextmanager
    def write(self, committed: Callable[[], None] | None = None) -> Iterator[sqlite3.Connection]:
        """A connection that holds the write lock; committed at the end, rolled back when anything is raised.

        `committed` is called after the commit, before another thread may write.
        """
        with self._writing, self._borrowed() as connection:
            self._begin(connection)
            try:
                yield connection
                connection.execute("COMMIT")
                if committed is not None:
                    committed()
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise

    @contextmanager
    def bare(self) -> Iterator[sqlite3.Connection]:
        """A connection without a transaction, for pragmas; with the process's right to write."""
        with self._writing, self._borrowed() as connection:
            yield connection

    def close(self) -> None:
        """Close what is idle now and the rest when it is given back."""
        with self._changing:
            self._closed = True
            self._close_idle()

    def forget(self) -> None:
        """Close what is idle, so that the next use opens the file anew."""
        with self._changing:
            self._close_idle()
            self.inode = 0

    @contextmanager
    def _borrowed(self) -> Iterator[sqlite3.Connection]:
        connection = self._take()
        broken = True
        try:
            yield connection
            broken = False
        except sqlite3.Error as error:
            raised = translated(error, self.path)
            broken = isinstance(raised, DamagedFileError) or not isinstance(error, sqlite3.IntegrityError)
            raise raised from error
        except StoreError:
            broken = False
            raise
        finally:
            self._give_back(connection, keep=not broken)

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock. SQLite itself looks again after 1, 2, 5, 10, 15, 20 … ms: most of a wait in vain."""
        deadline = time.monotonic() + self.busy_timeout_ms / 1000
        pause_s = FIRST_PAUSE_S
        connection.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                else:
                    return
                nap(pause_s)
                pause_s = min(LONGEST_PAUSE_S, pause_s * 1.1)
        finally:
            connection.execute(f"PRAGMA busy_timeout={self.busy_timeout_ms}")

    def _take(self) -> sqlite3.Connection:
        with self._changing:
            if self._closed:
                raise StoreUnavailableError(f"the store '{self.path}' is closed")
            if self.inode and not self._same_file():
                self._close_idle()  # renamed aside by another process, or removed
                self.inode = 0
            if self._idle:
                connection = self._idle.pop()
                self._used.append(connection)
                return connection
            try:
                return self._open()
            except sqlite3.Error as error:
                raise translated(error, self.path) from error

    def _same_file(self) -> bool:
        try:
            return os.stat(self.path).st_ino == self.inode  # noqa: PTH116  every flush pays for it
        except OSError:
            return False

    def _open(self) -> sqlite3.Connection:
        if not self.inode:
            self._approve()
        connection = self._connect()
        try:
            if not self.inode:
                self._prepare(connection)
                self.inode = os.stat(self.path).st_ino  # noqa: PTH116
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        if not self.readonly:
            return self._configured(f"file:{quote(self.path)}?mode=rwc")
        if not Path(self.path).exists():
            raise StoreUnavailableError(f"there is no store '{self.path}' yet; it appears with the first flush")
        try:
            return self._configured(f"file:{quote(self.path)}?mode=ro")
        except sqlite3.OperationalError:
            log = Path(self.path + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            # a log cannot be made on a read-only disk, and none is there: nobody writes this file now
            self._lasting = False
            return self._configured(f"file:{quote(self.path)}?immutable=1")

    def _configured(self, uri: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=self.busy_timeout_ms / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS,
        )
        self._used.append(connection)
        try:
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA secure_delete=OFF")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except BaseException:
            self._drop(connection)
            raise
        return connection

    def _drop(self, connection: sqlite3.Connection) -> None:
        self._used.remove(connection)
        connection.close()

    def _give_back(self, connection: sqlite3.Connection, *, keep: bool) -> None:
        with self._changing:
            if connection not in self._used:
                return  # forked in the middle of a use: the parent's, which this process may not touch
            if keep and self._lasting and not self._closed and len(self._idle) < IDLE_CONNECTIONS:
                self._used.remove(connection)
                self._idle.append(connection)
            else:
                self._drop(connection)

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def before_fork(self) -> None:
        """Wait shortly for what is in use, and close everything."""
        self._quiet = self._changing.acquire(timeout=FORK_WAIT_S)
        if not self._quiet:
            return  # being opened right now, perhaps waiting for a lock: the child abandons it
        deadline = time.monotonic() + FORK_WAIT_S
        while self._used and time.monotonic() < deadline:
            self._changing.release()
            nap(FIRST_PAUSE_S)
            self._changing.acquire()
        self._close_idle()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._quiet:
            self._changing.release()

    def after_fork_in_child(self) -> None:
        """Begin anew; what another thread of the parent was using is left alone for good."""
        abandoned = self._used + self._idle
        self._used, self._idle = [], []
        self._changing = allocate_lock()
        self._writing = allocate_lock()
        if abandoned:
            _never_close(abandoned)


def _never_close(connections: list[sqlite3.Connection]) -> None:
    """Keep `connections` beyond the interpreter's end: even closing them would touch the parent's locks."""
    import ctypes  # noqa: PLC0415  needed in this rare case only

    for connection in connections:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _each(name: str) -> Callable[[], None]:
    def hook() -> None:
        for pool in list(_POOLS):
            getattr(pool, name)()

    return hook


os.register_at_fork(
    before=_each("before_fork"),
    after_in_parent=_each("after_fork_in_parent"),
    after_in_child=_each("after_fork_in_child"),
)
