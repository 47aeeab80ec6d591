"""Deadlines of statements: an engine's own, a tenant's, and that of a block.

    with statement_timeout(2.5):
        connection.execute(…)

PostgreSQL gets ``SET LOCAL``, which ends with its transaction and so is safe behind a pooler; MariaDB and MySQL get
their session's variable; SQLite has none and is asked every 10,000 instructions whether it has worked long enough.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from pitstop.model.errors import SettingError
from pitstop.record.operation import get_current
from pitstop.tune.database.clock import CLOCK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Connection

LEAST_TENANT_S = 15.0  # R39: what a tenant may be given
MOST_TENANT_S = 60.0
DEFAULT_S = 30.0
LONGEST_S = 86_400.0

_BLOCK: ContextVar[float | None] = ContextVar("pitstop_statement_timeout", default=None)
_SESSION, _LOCAL = "pitstop_timeout_session", "pitstop_timeout_local"  # in the info of a connection


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

    def begun(self, connection: Connection) -> None:
        """A transaction begins: what an earlier one has set is gone."""
        connection.info.pop(_LOCAL, None)

    def in_doubt(self, connection: Connection, *_: object) -> None:
        """A savepoint was rolled back, perhaps with what was set behind it."""
        connection.info[_LOCAL] = 0.0

    def apply(self, connection: Connection, context: Any) -> None:
        """Before a statement: tell the database where its deadline is another than what holds now."""
        info = connection.info
        wanted_s = self.wanted_s()
        holds_s = info.get(_LOCAL, info.get(_SESSION, self.session_s))
        clock = info.get(CLOCK)
        if clock is not None:
            clock.start(wanted_s, context)
        elif wanted_s != holds_s:
            self._set(connection, wanted_s or 0.0)

    def _set(self, connection: Connection, seconds: float) -> None:
        if self.dialect == "postgresql":
            local = not _is_autocommit(connection)
            if local or not self.pooled:  # nothing may be left on a pooler's connection
                scope = "LOCAL" if local else "SESSION"
                _run(connection, f"SET {scope} statement_timeout = {max(round(seconds * 1e3), 1) if seconds else 0}")
                connection.info[_LOCAL if local else _SESSION] = seconds or None
        elif self.dialect in {"mysql", "mariadb"}:
            _run(connection, mysql_setting(seconds, is_mariadb=bool(getattr(connection.dialect, "is_mariadb", False))))
            connection.info[_SESSION] = seconds or None


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
