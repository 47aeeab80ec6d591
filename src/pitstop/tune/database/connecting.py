"""What each driver is told when it connects: how long to try, a statement's deadline, nothing that a pooler forbids."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.tune.database.timeouts import mysql_setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import URL

VANISHED_S = 30  # until a peer that does not answer any more is given up: the kernel's own patience is a quarter hour
_BUSY_MS = 5000  # how long SQLite waits for another writer
_LIBPQ = frozenset({"psycopg", "psycopg_async", "psycopg2", "psycopg2cffi"})


class Connecting(NamedTuple):
    """The database, its driver, and how it is connected to. `pooled`: by a pooler in transaction mode."""

    dialect: str
    driver: str
    timeout_s: int
    statement_timeout_s: float | None
    pooled: bool


class Arguments(NamedTuple):
    """`has_timeout`: connections that are opened with these have the statement timeout already."""

    all: dict[str, Any]
    has_timeout: bool


def connect_arguments(how: Connecting, url: URL, given: Mapping[str, Any]) -> Arguments:
    """The driver's arguments; `given` ones and those of the URL win."""
    chosen: dict[str, Any] = {}
    has_timeout = False
    timeout_ms = round((how.statement_timeout_s or 0.0) * 1e3)
    if how.driver in _LIBPQ:
        chosen |= {
            "connect_timeout": how.timeout_s,
            "keepalives_idle": VANISHED_S,
            "tcp_user_timeout": VANISHED_S * 1000,
        }
        if how.pooled and how.driver in {"psycopg", "psycopg_async"}:
            chosen["prepare_threshold"] = None  # no statement of a name
        has_timeout = bool(timeout_ms) and not how.pooled and not {"options", "service"} & (set(given) | set(url.query))
        if has_timeout:
            chosen["options"] = f"-c statement_timeout={timeout_ms}"
    elif how.driver == "asyncpg":
        chosen["timeout"] = how.timeout_s
        if how.pooled:
            chosen |= {
                "statement_cache_size": 0,
                "prepared_statement_cache_size": 0,
                "prepared_statement_name_func": _unnamed,
            }
        has_timeout = bool(timeout_ms) and not how.pooled and "server_settings" not in given
        if has_timeout:
            chosen["server_settings"] = {"statement_timeout": str(timeout_ms)}
    elif how.dialect in {"mysql", "mariadb"}:
        chosen["connect_timeout"] = how.timeout_s
        has_timeout = how.statement_timeout_s is not None  # `prepare_connection` sees to it
    in_url = {name for name in chosen if name in url.query}
    return Arguments({name: value for name, value in chosen.items() if name not in in_url} | dict(given), has_timeout)


def _unnamed() -> str:
    """The name of every prepared statement: the unnamed one, which the next replaces."""
    return ""


def prepare_connection(how: Connecting, connection: Any) -> None:
    """On a new DBAPI connection: what cannot be said by arguments."""
    if how.dialect == "sqlite":
        _execute(connection, f"PRAGMA busy_timeout = {_BUSY_MS}", "PRAGMA synchronous = NORMAL")
        with suppress(Exception):  # a file that may only be read, or whose folder may
            _execute(connection, "PRAGMA journal_mode = WAL")
    elif how.dialect in {"mysql", "mariadb"} and how.statement_timeout_s is not None:
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT @@version")
            version = str(cursor.fetchone()[0]).lower()
            cursor.execute(mysql_setting(how.statement_timeout_s, is_mariadb="mariadb" in version))
        finally:
            cursor.close()


def _execute(connection: Any, *commands: str) -> None:
    cursor = connection.cursor()
    try:
        for command in commands:
            cursor.execute(command)
            if cursor.description:
                cursor.fetchall()
    finally:
        cursor.close()
