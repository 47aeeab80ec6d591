"""How many connections a server takes, and which share of them one worker may have."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHARE = 0.9  # of what the server takes; the rest is for migrations, backups and whoever looks at it
KEPT_RATIO = 1 / 3  # of a worker's share is kept open: the proportion of the defaults
IDLE_MARGIN_S = 60  # a connection is let go of so long before the server would

_POSTGRESQL = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,"
    " (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user),"
    " (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = current_database())"
)
_MYSQL = "SELECT @@max_connections, @@max_user_connections, @@wait_timeout"


class Fit(NamedTuple):
    """The sizes that one worker's pool gets and why."""

    size: int
    overflow: int
    recycle_s: int
    limit: int | None
    advice: str


def server_limit(connection: Any, dialect: str) -> tuple[int | None, int | None]:
    """Connections that the server of this DBAPI connection takes from us, and seconds until it drops an idle one.

    None where it does not tell: then pools stay as they are. Never raises.
    """
    if dialect not in {"postgresql", "mysql", "mariadb"}:
        return None, None
    try:
        cursor = connection.cursor()
        try:
            cursor.execute(_POSTGRESQL if dialect == "postgresql" else _MYSQL)
            row = cursor.fetchone()
        finally:
            cursor.close()
        connection.rollback()
        if dialect == "postgresql":
            return min(int(part) for part in row if part is not None and int(part) >= 0), None
        return min(int(part) for part in row[:2] if int(part) > 0), int(row[2])
    except Exception:  # noqa: BLE001  a service must not stay without its database because this is not told
        with suppress(Exception):
            connection.rollback()
        return None, None


def fit(
    size: int, overflow: int, recycle_s: int, *, limit: int | None, workers: int | None, idle_s: int | None = None
) -> Fit:
    """A pool of `size` and `overflow` cut down to one worker's share of `limit`. `idle_s` bounds `recycle_s`."""
    if idle_s is not None and recycle_s > max(idle_s - IDLE_MARGIN_S, 1):
        recycle_s = max(idle_s - IDLE_MARGIN_S, 1)
    if limit is None or overflow < 0:
        return Fit(size, overflow, recycle_s, limit, "the server does not tell how many connections it takes")
    number = workers or 1
    guess = "" if workers else " Taken for one worker; say workers= or set WEB_CONCURRENCY if there are more."
    share = max(int(limit * SHARE) // number, 1)
    wanted = size + overflow
    if wanted <= share:
        why = f"{number} × {wanted} connections are within {SHARE:.0%} of the {limit} that the server takes.{guess}"
        return Fit(size, overflow, recycle_s, limit, why)
    kept = max(min(size, round(share * KEPT_RATIO)), 1)
    why = (
        f"cut from {size} + {overflow}: {number} × {wanted} connections are more than {SHARE:.0%} of the {limit} "
        f"that the server takes. Raise its limit, or put a pooler in between.{guess}"
    )
    return Fit(kept, share - kept, recycle_s, limit, why)


def workers_of(environment: Mapping[str, str] = os.environ, argv: Sequence[str] | None = None) -> int | None:
    """How many processes serve here, by WEB_CONCURRENCY or the server's own ``--workers``; None where neither says."""
    words = list(sys.argv if argv is None else argv)
    told = [environment.get("WEB_CONCURRENCY", "")]
    for place, word in enumerate(words):
        if word in {"--workers", "-w"} and place + 1 < len(words):
            told.append(words[place + 1])
        elif word.startswith("--workers="):
            told.append(word.partition("=")[2])
    numbers = [int(text) for text in told if text.isdecimal() and int(text) > 0]
    return numbers[-1] if numbers else None
