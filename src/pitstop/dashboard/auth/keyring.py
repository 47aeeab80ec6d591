"""Users, sessions and API tokens, in a small SQLite file of its own beside the store, mode 0600.

A file and not memory, so that several workers serve the same sessions and a sign-out counts in all of them. Only
hashes are kept: who reads the file cannot sign in with what it says. No secret is ever written to the store itself.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pitstop.dashboard.auth.passwords import NOBODY, generate_password, hash_password, verify_password
from pitstop.model import SettingError, StoreUnavailableError, SystemClock
from pitstop.store import beside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pitstop.model import Clock

SESSION_S = 7 * 86_400  # a session ends a week after the sign-in …
IDLE_S = 24 * 3600  # … or a day after it was last used
_TOUCH_S = 60  # how exactly "last used" is kept: one write a minute and session
ADMIN = "admin"
SHORTEST_PASSWORD = 12

_SCHEMA = """
CREATE TABLE IF NOT EXISTS user (name TEXT PRIMARY KEY, hash TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
  id TEXT PRIMARY KEY, user TEXT NOT NULL, csrf TEXT NOT NULL, born_s INTEGER NOT NULL, seen_s INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS token (id TEXT PRIMARY KEY, name TEXT NOT NULL, born_s INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. `id` is the hash of the cookie, `csrf` what every change must carry.

    `by_token` is true for an API token, which needs no CSRF token: browsers never send it by themselves.
    """

    id: str
    user: str
    csrf: str
    by_token: bool = False


class Keyring:
    """Who may look. Safe from any thread and after a fork. `path` None: kept in memory, for this process only."""

    def __init__(self, path: Path | None = None, *, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._given: dict[str, str] = {}
        with self._open() as db:
            db.executescript(_SCHEMA)

    def give_password(self, password: str, user: str = ADMIN) -> None:
        """Let `user` in with `password` for the life of this process, instead of what the file says.

        Raises SettingError for one that is too short.
        """
        _check(password)
        self._given[user] = hash_password(password)

    def set_password(self, password: str, user: str = ADMIN) -> None:
        """Write the hash of `password` and end every session of `user`. Raises SettingError for one too short."""
        _check(password)
        with self._open() as db:
            db.execute("REPLACE INTO user VALUES (?, ?)", (user, hash_password(password)))
            db.execute("DELETE FROM session WHERE user = ?", (user,))

    def make_first_password(self, user: str = ADMIN) -> str | None:
        """A generated password when there is no user yet, else None. Of several workers at once one gets it."""
        with self._open() as db:
            if db.execute("SELECT 1 FROM user LIMIT 1").fetchone() is not None:
                return None
        password = generate_password()
        with self._open() as db:
            taken = db.execute("INSERT OR IGNORE INTO user VALUES (?, ?)", (user, hash_password(password))).rowcount
        return password if taken else None

    def make_new_password(self, user: str = ADMIN) -> str:
        """A generated password that replaces the one `user` had, and ends all their sessions."""
        password = generate_password()
        self.set_password(password, user)
        return password

    def verify(self, user: str, password: str) -> bool:
        """Whether this is `user`'s password; an unknown user takes as long as a known one."""
        with self._open() as db:
            row = db.execute("SELECT hash FROM user WHERE name = ?", (user,)).fetchone()
        hashed = self._given.get(user) or (row[0] if row else None)
        return verify_password(password, hashed or NOBODY) and hashed is not None

    def open_session(self, user: str) -> tuple[str, Session]:
        """The cookie's value, seen once, and the session that it opens."""
        cookie = secrets.token_urlsafe(32)
        session = Session(_digest(cookie), user, secrets.token_urlsafe(24))
        now_s = int(self._clock.now_s())
        with self._open() as db:
            db.execute("DELETE FROM session WHERE born_s < ? OR seen_s < ?", (now_s - SESSION_S, now_s - IDLE_S))
            db.execute("INSERT INTO session VALUES (?, ?, ?, ?, ?)", (session.id, user, session.csrf, now_s, now_s))
        return cookie, session

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie's value, or None: unknown, ended, too old or idle for too long."""
        now_s = int(self._clock.now_s())
        with self._open() as db:
            row = db.execute(
                "SELECT user, csrf, born_s, seen_s FROM session WHERE id = ?", (_digest(cookie),)
            ).fetchone()
            if row is None or row[2] < now_s - SESSION_S or row[3] < now_s - IDLE_S:
                return None
            if row[3] < now_s - _TOUCH_S:
                db.execute("UPDATE session SET seen_s = ? WHERE id = ?", (now_s, _digest(cookie)))
        return Session(_digest(cookie), row[0], row[1])

    def live_ids(self) -> set[str]:
        """Ids of every session and token that counts at this moment."""
        now_s = int(self._clock.now_s())
        with self._open() as db:
            rows = db.execute(
                "SELECT id FROM session WHERE born_s >= ? AND seen_s >= ? UNION ALL SELECT id FROM token",
                (now_s - SESSION_S, now_s - IDLE_S),
            ).fetchall()
        return {row[0] for row in rows}

    def close_session(self, session_id: str) -> None:
        """End it, in every worker."""
        with self._open() as db:
            db.execute("DELETE FROM session WHERE id = ?", (session_id,))

    def add_token(self, name: str) -> str:
        """A new API token, seen once: ``pst_…``."""
        token = "pst_" + secrets.token_urlsafe(32)
        with self._open() as db:
            db.execute("INSERT INTO token VALUES (?, ?, ?)", (_digest(token), name, int(self._clock.now_s())))
        return token

    def token(self, token: str) -> Session | None:
        """Who holds this API token, or None."""
        with self._open() as db:
            row = db.execute("SELECT name FROM token WHERE id = ?", (_digest(token),)).fetchone()
        return Session(_digest(token), row[0], "", by_token=True) if row else None

    def tokens(self) -> list[str]:
        """The names of all API tokens, oldest first."""
        with self._open() as db:
            return [row[0] for row in db.execute("SELECT name FROM token ORDER BY born_s, name")]

    def drop_token(self, name: str) -> int:
        """Revoke every token of that name; how many there were."""
        with self._open() as db:
            return db.execute("DELETE FROM token WHERE name = ?", (name,)).rowcount

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction. A child of a fork opens its own connection and leaves its parent's alone."""
        with self._lock:
            try:
                if self._connection is None or (self._pid != os.getpid() and self.path is not None):
                    if self.path is not None:
                        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
                        self.path.chmod(0o600)
                    self._connection = sqlite3.connect(
                        self.path or ":memory:", timeout=5, isolation_level="IMMEDIATE", check_same_thread=False
                    )
                    self._pid = os.getpid()
                with self._connection:
                    yield self._connection
            except (sqlite3.Error, OSError) as error:
                raise StoreUnavailableError(
                    f"{self.path or 'memory'}: {error}; users and sessions are kept there: is its folder writable?"
                ) from error


def keyring_path(store_url: str) -> Path | None:
    """Where the users of this store are kept: ``pitstop.auth.db`` beside ``pitstop.db``; None for a store in memory."""
    return beside(store_url, "auth")


def _check(password: str) -> None:
    if len(password) < SHORTEST_PASSWORD:
        raise SettingError(
            f"the password has {len(password)} characters, it needs at least {SHORTEST_PASSWORD}; "
            "leave it out and one is generated"
        )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
