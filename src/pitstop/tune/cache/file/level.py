"""The file as a level: entries, versions, leases, and a log of changes that other processes follow."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import sqlite3
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache.file.connection import Connection
from pitstop.tune.cache.file.keeping import keep_house
from pitstop.tune.cache.level import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.level import Hearer

MAX_BYTES: Final = 256 << 20
FOLLOW_S: Final = 0.5  # how often changes of other processes are looked for
TRUSTED_S: Final = 3.0  # without a look for that long, memory does not rely on being told
HOUSE_S: Final = 5.0
FIRST_WAIT_S: Final = 0.005
LONGEST_WAIT_S: Final = 0.05
_BEGUN_ANEW: Final = 1 << 63  # more changes than any file has: what others changed in the new one is not known
_HOUSE: Final = "*house"  # the lease of whoever keeps it; keys of entries have a namespace before them


class FileLevel:
    """One SQLite file of about `max_bytes` at most. Safe for any number of threads and processes of one machine.

    A thread follows what other processes change, twice a second, as soon as it is used.
    """

    name = "file"
    breaker = "closed"  # a file does not hang for longer than its own timeouts

    def __init__(
        self,
        path: str | Path,
        *,
        max_bytes: int = MAX_BYTES,
        now_s: Callable[[], float] = time.time,
        follow: bool = True,
    ) -> None:
        path = Path(path)
        if not path.parent.is_dir():
            raise SettingError(f"the cache's file {path} cannot be made: there is no folder {path.parent}; create it")
        self._connection = Connection(path)
        self._max_bytes = max_bytes
        self._now_s = now_s
        self._writer = secrets.token_hex(6)
        self._hearer: Hearer | None = None
        self._follows = follow
        self._follower: threading.Thread | None = None
        self._follower_pid = 0
        self._stop = threading.Event()
        self._starting = threading.Lock()
        self._seen = -1
        self._looked_s = -TRUSTED_S
        self._housed_s = 0.0

    @property
    def tells(self) -> bool:
        """Whether changes are being followed."""
        return time.monotonic() - self._looked_s < TRUSTED_S and self._follower_pid == os.getpid()

    def listen(self, hearer: Hearer) -> None:
        """As `Level.listen` says."""
        self._hearer = hearer

    def load(self, key: str, tags: Sequence[str]) -> Loaded:
        """As `Level.load` says."""
        self._begin()
        with self._connection.read() as db:
            row = db.execute("SELECT blob FROM entry WHERE key = ? AND until_s > ?", (key, self._now_s())).fetchone()
            return Loaded(None if row is None else row[0], _versions(db, tags))

    def versions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """As `Level.versions` says."""
        self._begin()
        with self._connection.read() as db:
            return _versions(db, tags)

    def save(self, key: str, blob: bytes, ttl_s: float) -> None:
        """As `Level.save` says."""
        with self._connection.write() as db:
            db.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", (key, blob, self._now_s() + ttl_s))
            self._log(db, "key", [key])

    def remove(self, keys: Sequence[str]) -> int:
        """As `Level.remove` says."""
        with self._connection.write() as db:
            removed = sum(db.execute("DELETE FROM entry WHERE key = ?", (key,)).rowcount for key in keys)
            self._log(db, "key", keys)
        return removed

    def raise_versions(self, tags: Sequence[str]) -> None:
        """As `Level.raise_versions` says."""
        with self._connection.write() as db:
            db.executemany(
                "INSERT INTO tag VALUES (?, 1) ON CONFLICT (name) DO UPDATE SET version = version + 1",
                [(tag,) for tag in tags],
            )
            self._log(db, "tag", tags)

    def lease(self, key: str, hold_s: float) -> str | None:
        """As `Level.lease` says."""
        now_s, token = self._now_s(), secrets.token_hex(8)
        with self._connection.write() as db:
            taken = db.execute(
                "INSERT INTO lease VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET token = ?2, until_s = ?3"
                " WHERE until_s <= ?4",
                (key, token, now_s + hold_s, now_s),
            ).rowcount
        return token if taken > 0 else None

    def release(self, key: str, token: str) -> None:
        """As `Level.release` says."""
        with self._connection.write() as db:
            db.execute("DELETE FROM lease WHERE key = ? AND token = ?", (key, token))

    def wait(self, key: str, timeout_s: float) -> None:
        """As `Level.wait` says: by looking again, ever more rarely."""
        until_s, pause_s = time.monotonic() + timeout_s, FIRST_WAIT_S
        while self._is_leased(key) and (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_WAIT_S)

    async def await_(self, key: str, timeout_s: float) -> None:
        """The same."""
        until_s, pause_s = time.monotonic() + timeout_s, FIRST_WAIT_S
        while await asyncio.to_thread(self._is_leased, key) and (left_s := until_s - time.monotonic()) > 0:
            await asyncio.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, LONGEST_WAIT_S)

    async def aload(self, key: str, tags: Sequence[str]) -> Loaded:
        """The same, in a thread, as all below."""
        return await asyncio.to_thread(self.load, key, tags)

    async def aversions(self, tags: Sequence[str]) -> tuple[int, ...]:
        """The same."""
        return await asyncio.to_thread(self.versions, tags)

    async def asave(self, key: str, blob: bytes, ttl_s: float) -> None:
        """The same."""
        await asyncio.to_thread(self.save, key, blob, ttl_s)

    async def aremove(self, keys: Sequence[str]) -> int:
        """The same."""
        return await asyncio.to_thread(self.remove, keys)

    async def araise_versions(self, tags: Sequence[str]) -> None:
        """The same."""
        await asyncio.to_thread(self.raise_versions, tags)

    async def alease(self, key: str, hold_s: float) -> str | None:
        """The same."""
        return await asyncio.to_thread(self.lease, key, hold_s)

    async def arelease(self, key: str, token: str) -> None:
        """The same."""
        await asyncio.to_thread(self.release, key, token)

    def close(self) -> None:
        """As `Level.close` says."""
        self._stop.set()
        follower = self._follower
        if follower is not None and follower is not threading.current_thread() and self._follower_pid == os.getpid():
            follower.join(2.0)
        self._follower = None
        self._follower_pid = 0
        self._connection.close()

    def reset_after_fork(self) -> None:
        """The thread that follows stayed in the parent."""
        self._connection.reset_after_fork()
        self._starting = threading.Lock()
        self._stop = threading.Event()
        self._follower = None
        self._writer = secrets.token_hex(6)

    def look(self) -> None:
        """Tell the hearer what other processes have changed since the last look; also keeps house when it is time."""
        with self._connection.read() as db:
            oldest, newest = db.execute("SELECT min(id), (SELECT seq FROM sqlite_sequence) FROM change").fetchone()
            newest = newest or 0
            seen, self._seen = self._seen, newest
            rows: list[Any] = []
            if 0 <= seen < newest:
                rows = db.execute(
                    "SELECT kind, name FROM change WHERE id > ? AND id <= ? AND writer != ?",
                    (seen, newest, self._writer),
                ).fetchall()
        hearer = self._hearer
        if hearer is not None:
            if newest < seen or (
                0 <= seen < newest and (oldest is None or oldest > seen + 1)
            ):  # begun anew, or trimmed
                hearer.forget_all()
            for kind, name in rows:
                if kind == "key":
                    hearer.forget_key(name)
                elif kind == "tag":
                    hearer.forget_tag(name)
                else:
                    hearer.forget_all()
        self._looked_s = time.monotonic()
        if self._looked_s - self._housed_s > HOUSE_S:
            self._housed_s = self._looked_s
            if self.lease(_HOUSE, HOUSE_S * 0.9) is not None:
                keep_house(self._connection, self._now_s(), self._max_bytes)

    def _is_leased(self, key: str) -> bool:
        with self._connection.read() as db:
            query = "SELECT 1 FROM lease WHERE key = ? AND until_s > ?"
            return db.execute(query, (key, self._now_s())).fetchone() is not None

    def _log(self, db: sqlite3.Connection, kind: str, names: Sequence[str]) -> None:
        now_s = self._now_s()
        rows = [(now_s, self._writer, kind, name) for name in names]
        db.executemany("INSERT INTO change (at_s, writer, kind, name) VALUES (?, ?, ?, ?)", rows)

    def _begin(self) -> None:
        """Follow what others change, from the first use on: before anything of the file is believed."""
        if self._follower_pid == os.getpid() or not self._follows:
            return
        with self._starting:
            if self._follower_pid == os.getpid():
                return
            self._seen = -1
            self.look()
            self._stop = threading.Event()
            follow = functools.partial(self._follow, self._stop)
            self._follower = threading.Thread(target=follow, name="pitstop cache file", daemon=True)
            self._follower.start()
            self._follower_pid = os.getpid()

    def _follow(self, stop: threading.Event) -> None:
        while not stop.wait(FOLLOW_S):
            try:
                if self._connection.leave_if_gone():
                    self._seen = _BEGUN_ANEW
                self.look()
            except (sqlite3.Error, OSError):  # busy, or put aside: the next look is in a moment
                continue


def _versions(db: sqlite3.Connection, tags: Sequence[str]) -> tuple[int, ...]:
    marks = ",".join("?" * len(tags))
    known = dict(db.execute(f"SELECT name, version FROM tag WHERE name IN ({marks})", tuple(tags)))  # noqa: S608  marks
    return tuple(known.get(tag, 0) for tag in tags)
