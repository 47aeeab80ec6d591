"""Deadlines of statements: an engine's own, a tenant's, and that of a block.

    with statement_timeout(2.5):
        connection.execute(…)

PostgreSQL gets ``SET LOCAL``, which ends with its transaction and so is safe behind a pooler; MariaDB and MySQL get
their session's variable; SQLite has none and is asked every 10,000 instructions whether it has worked long enough.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from weakref import ref

from sqlalchemy.pool import _ConnectionFairy  # there is no other way to know a connection that the pool has lent

from pitstop.model.errors import SettingError
from pitstop.record.operation import get_current
from pitstop.tune.database.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection
    from sqlalchemy.engine import Transaction

LEAST_TENANT_S = 15.0  # R39: what a tenant may be given
MOST_TENANT_S = 60.0
DEFAULT_S = 30.0
LONGEST_S = 86_400.0

_BLOCK: ContextVar[float | None] = ContextVar("pitstop_statement_timeout", default=None)
_ENDS = re.compile(r"\s*(?:SAVEPOINT|RELEASE|COMMIT|END|(ROLLBACK|ABORT))\b", re.IGNORECASE)
_SESSION, _LOCAL, _ROOT = (f"pitstop_timeout_{what}" for what in ("session", "local", "root"))  # in a connection's info


@contextmanager
def statement_timeout(seconds: float) -> Iterator[None]:
    """Statements that begin in this block, on engines made by `create_engine`, may take so long.

    Other threads and tasks keep their own. What takes longer is stopped by its database. Raises SettingError.
    """
    if not 0 < seconds <= LONGEST_S:
        raise SettingError(f"a statement's timeout of {seconds} s is outside 0 … {LONGEST_S:.0f} s")
    token = _BLOCK.set(seconds)
    try:
        yield
    finally:
        _BLOCK.reset(token)


def checked_tenants(tenants: Mapping[str, float]) -> dict[str, float]:
    """`tenants` with their timeouts, seconds. Raises SettingError where one is outside 15 … 60 s."""
    for tenant, seconds in tenants.items():
        if not LEAST_TENANT_S <= seconds <= MOST_TENANT_S:
            raise SettingError(
                f"the statement timeout of tenant '{tenant}' is {seconds} s; "
                f"a tenant's is {LEAST_TENANT_S:.0f} … {MOST_TENANT_S:.0f} s"
            )
    return dict(tenants)


class Timeouts:
    """Which deadline a statement has, and telling the database. `session_s`: what connections are opened with."""

    def __init__(
        self,
        dialect: str,
        default_s: float | None,
        tenants: Mapping[str, float],
        *,
        session_s: float | None,
        pooled: bool = False,
    ) -> None:
        self.dialect = dialect
        self.default_s = default_s
        self.tenants = checked_tenants(tenants)
        self.session_s = session_s
        self.pooled = pooled
        self._is_sqlite = dialect == "sqlite"
        self._quiet = not self.tenants and session_s == default_s  # nothing was set that differs from connecting

    def wanted_s(self) -> float | None:
        """Of a statement that begins here and now."""
        block_s = _BLOCK.get()
        if block_s is not None:
            return block_s
        if self.tenants:
            running = get_current()
            if running is not None:
                return self.tenants.get((running.root or running).tenant, self.default_s)
        return self.default_s

    def apply(self, connection: Connection, context: Any) -> None:
        """Before a statement: tell the database where its deadline is another than what holds now."""
        if self._quiet and not self._is_sqlite and _BLOCK.get() is None:
            return
        if not is_lent(connection):
            return
        if self._is_sqlite:
            clock = connection.info.get(CLOCK)
            if clock is not None:
                clock.start(self.wanted_s(), context)
            return
        ends = _ENDS.match(context.statement or "")
        if ends is not None:  # may be what ends an aborted transaction, in which nothing can be set
            if ends[1] and _LOCAL in connection.info:
                connection.info[_LOCAL] = (_nothing, None)  # undone, or not: by when it was set
            return
        wanted_s = self.wanted_s()
        if wanted_s != self._holding_s(connection):
            self._quiet = False
            self._set(connection, wanted_s)

    def _holding_s(self, connection: Connection) -> float | None:
        """What holds now: SET LOCAL until its transaction or savepoint ends, and then what the session has.

        -1 within another transaction than the one where it was set, and after a rollback to a savepoint: that may have
        undone it.
        """
        info = connection.info
        local = info.get(_LOCAL)
        if local is not None:
            transaction, seconds = local
            here, whole = _innermost(connection), connection.get_transaction()
            if transaction() is here:
                return float(seconds) if seconds else None
            if whole is not None and info.get(_ROOT, _nothing)() is whole:
                return -1.0
        session_s: float | None = info.get(_SESSION, self.session_s)
        return session_s

    def _set(self, connection: Connection, seconds: float | None) -> None:
        info = connection.info
        if self.dialect == "postgresql":
            ms = max(round(seconds * 1e3), 1) if seconds else 0
            transaction = None if _is_autocommit(connection) else _innermost(connection)
            if transaction is not None:
                _run(connection, f"SET LOCAL statement_timeout = {ms}")
                info[_LOCAL] = (ref(transaction), seconds)
                info[_ROOT] = ref(connection.get_transaction() or transaction)
            elif not self.pooled:  # nothing may be left on a pooler's connection
                _run(connection, f"SET SESSION statement_timeout = {ms}")
                info[_SESSION] = seconds
        elif self.dialect in {"mysql", "mariadb"}:
            is_mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
            _run(connection, mysql_setting(seconds or 0.0, is_mariadb=is_mariadb))
            info[_SESSION] = seconds


def is_lent(connection: Connection) -> bool:
    """Whether it is the host's; else SQLAlchemy looks at a server that it meets for the first time."""
    return isinstance(connection.connection, _ConnectionFairy)


def _innermost(connection: Connection) -> Transaction | None:
    return connection.get_nested_transaction() or connection.get_transaction()


def _nothing() -> None:
    """A reference to nothing."""


def mysql_setting(seconds: float, *, is_mariadb: bool) -> str:
    """What limits the statements of a session; MySQL's holds for SELECT only."""
    if is_mariadb:
        return f"SET SESSION max_statement_time = {seconds:.3f}"
    return f"SET SESSION max_execution_time = {round(seconds * 1e3)}"


def _is_autocommit(connection: Connection) -> bool:
    return bool(connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT") or bool(
        getattr(connection.connection.dbapi_connection, "autocommit", False) is True
    )


def _run(connection: Connection, sql: str) -> None:
    cursor = connection.connection.cursor()
    try:
        cursor.execute(sql)
    finally:
        cursor.close()
