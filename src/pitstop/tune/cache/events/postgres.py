"""Events by PostgreSQL's LISTEN and NOTIFY (psycopg ≥ 3.2): told with the transaction that caused them, or not at all.

What is published while a process is away is lost to it; the bus then says so (`Bus.on_gap`). Triggers can publish:
``PERFORM pg_notify('pitstop', 'table.' || TG_TABLE_NAME)``. LISTEN needs a session of its own: behind PgBouncer's
transaction mode give the server's own address.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT_S: Final = 5
TICK_S: Final = 0.5
ASK_S: Final = 5.0  # of silence, then it is asked for a sign of life
CONNECTED: Final = {
    "connect_timeout": CONNECT_S, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 5000, "application_name": "pitstop-events",
}  # fmt: skip


class PostgresNotify:
    """LISTEN and NOTIFY on `channel` of the database that libpq finds by `dsn`."""

    def __init__(self, dsn: str, channel: str = "pitstop") -> None:
        try:
            import psycopg  # noqa: PLC0415  whoever uses no PostgreSQL need not have it
        except ImportError as error:
            raise SettingError("events by PostgreSQL need psycopg: pip install 'psycopg>=3.2'") from error
        if not channel.isidentifier():
            raise SettingError(f"channel {channel!r} is no plain name, such as pitstop")
        self.dsn = dsn
        self.channel = channel
        self._psycopg: Any = psycopg
        self._sending: Any = None
        self._lock = threading.Lock()

    def send(self, raw: bytes) -> None:
        """NOTIFY, in a transaction of its own."""
        with self._lock:
            if self._sending is None:
                self._sending = self._connect()
            try:
                self._sending.execute("SELECT pg_notify(%s, %s)", (self.channel, raw.decode()))
            except BaseException:
                self._sending.close()
                self._sending = None
                raise

    def receive(self, got: Callable[[bytes], None], hears: Callable[[bool], None], stopped: threading.Event) -> None:
        """LISTEN, and ask for a sign of life when nothing comes."""
        with self._connect() as connection:
            connection.execute(f'LISTEN "{self.channel}"')
            hears(True)
            heard_s = time.monotonic()
            while not stopped.is_set():
                for note in connection.notifies(timeout=TICK_S):
                    heard_s = time.monotonic()
                    got(note.payload.encode())
                    if stopped.is_set():
                        break
                if time.monotonic() - heard_s > ASK_S:
                    connection.execute("SELECT 1")
                    heard_s = time.monotonic()

    def _connect(self) -> Any:
        return self._psycopg.connect(self.dsn, autocommit=True, **CONNECTED)

    def close(self) -> None:
        """Close the connection that publishes."""
        with self._lock:
            sending, self._sending = self._sending, None
        if sending is not None:
            sending.close()
