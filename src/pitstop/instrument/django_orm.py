"""Django's ORM (≥ 4.2), sync and async views, every alias: what only it knows.

Transactions (the outermost `atomic`) and migrations; statements are recorded by their driver, and here where the
driver has no integration (`pitstop.instrument.queries.ATTACHED`).
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from pitstop.instrument import replacing
from pitstop.instrument.live import fault
from pitstop.instrument.queries import ATTACHED, COMMIT, ERROR, OK, ROLLBACK, Driver, recording
from pitstop.model.series import TRANSACTION
from pitstop.record.leaf import leaf
from pitstop.record.statements import ANY, MYSQL, POSTGRESQL, SQLITE
from pitstop.record.timing import Span

if TYPE_CHECKING:
    from types import ModuleType

_BEGUN = "_pitstop_begun_ns"  # on a DatabaseWrapper
_SQLITE, _PSYCOPG, _MYSQL = ("sqlite3",), ("psycopg", "psycopg2"), ("MySQLdb", "pymysql")
_PACKAGES = {"sqlite": _SQLITE, "postgresql": _PSYCOPG, "mysql": _MYSQL}  # by vendor
_DIALECTS = {"sqlite": SQLITE, "postgresql": POSTGRESQL, "mysql": MYSQL}

_drivers: dict[str, Driver] = {}


def _enter(enter: Any) -> Any:
    """For ``Atomic.__enter__``."""

    def entered(self: Any) -> Any:
        connection = _connection(self)
        if connection is not None and not connection.in_atomic_block and recording():
            setattr(connection, _BEGUN, perf_counter_ns())
        return enter(self)

    return entered


def _exit(leave: Any) -> Any:
    """For ``Atomic.__exit__``: of the outermost, when its commit or rollback is done."""

    def left(self: Any, exc_type: Any, exc: Any, tb: Any) -> Any:
        connection = _connection(self)
        doomed = exc_type is not None or (connection is not None and connection.needs_rollback)
        try:
            return leave(self, exc_type, exc, tb)
        except BaseException:
            doomed = True
            raise
        finally:
            if connection is not None and not connection.in_atomic_block:
                begun_ns = vars(connection).pop(_BEGUN, None)
                if begun_ns is not None:
                    outcome = ROLLBACK if doomed else COMMIT
                    leaf(TRANSACTION, TRANSACTION, outcome.lower(), begun_ns, perf_counter_ns())

    return left


def _connection(atomic: Any) -> Any:
    try:
        from django.db import transaction  # noqa: PLC0415  the host has it

        return transaction.get_connection(atomic.using)
    except Exception:  # noqa: BLE001  Django's own call will tell
        fault("django_orm.atomic")
        return None


def _execute(execute: Any) -> Any:
    """For ``CursorWrapper._execute`` and ``_executemany``."""

    def recorded(self: Any, sql: Any, *args: Any) -> Any:
        vendor = self.db.vendor
        if not ATTACHED.isdisjoint(_PACKAGES.get(vendor, ())) or not recording():
            return execute(self, sql, *args)
        driver = _drivers.get(vendor) or _drivers.setdefault(vendor, Driver(vendor, _DIALECTS.get(vendor, ANY)))
        start_ns = perf_counter_ns()
        try:
            result = execute(self, sql, *args)
        except BaseException:
            driver.filed(sql, ERROR, start_ns, 0)
            raise
        rows = getattr(self.cursor, "rowcount", 0)
        driver.filed(sql, OK, start_ns, rows if isinstance(rows, int) else 0)
        return result

    return recorded


def _migrate(apply: Any) -> Any:
    """For ``Migration.apply`` and ``unapply``: a span, with its statements below it."""

    def applied(self: Any, *args: Any, **kwargs: Any) -> Any:
        with Span(f"migration {self.app_label}.{self.name}"):
            return apply(self, *args, **kwargs)

    return applied


_POINTS: dict[str, tuple[replacing.Point, ...]] = {
    "django.db.transaction": (("Atomic", "__enter__", _enter), ("Atomic", "__exit__", _exit)),
    "django.db.backends.utils": (
        ("CursorWrapper", "_execute", _execute),
        ("CursorWrapper", "_executemany", _execute),
    ),
    "django.db.migrations.migration": (("Migration", "apply", _migrate), ("Migration", "unapply", _migrate)),
}


def attach(module: ModuleType) -> None:
    """Hook `module`, one of those in `_POINTS`."""
    replacing.attach(module, _POINTS[module.__name__])


def detach(module: ModuleType) -> None:
    """Undo `attach`."""
    replacing.detach(module, _POINTS[module.__name__])
