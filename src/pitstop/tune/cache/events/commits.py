"""Tables that a SQLAlchemy engine (≥ 2.0, sync or async) has changed, published when the change is committed.

Each commit publishes ``table.<name>`` for every table that its INSERT, UPDATE, DELETE or MERGE statements name, after
the server has acknowledged it: who reads then reads what is new. What is rolled back is not published.
"""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.tune.cache.events.bus import Bus

TOPIC: Final = "table."
KEY: Final = "pitstop.changed_tables"  # in the connection's info
_NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|[\w$]+)'
WRITES: Final = re.compile(
    rf"(?:INSERT\s+(?:OR\s+\w+\s+|IGNORE\s+)?INTO|REPLACE\s+INTO|UPDATE(?:\s+ONLY)?|DELETE\s+FROM(?:\s+ONLY)?"
    rf"|MERGE\s+INTO|TRUNCATE(?:\s+TABLE)?|COPY)\s+((?:{_NAME}\.)*)({_NAME})",
    re.IGNORECASE,
)
LONGEST: Final = 10_000  # characters of a statement that are looked at; the table stands near its beginning


_log = logging.getLogger("pitstop.cache")


def changed_tables(statement: str) -> set[str]:
    """Tables that SQL writes to, without schema and quotes, inside WITH, too. Rather too many than too few."""
    return {_bare(found[1]) for found in WRITES.findall(statement[:LONGEST])}


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[0] in '"`[' else name.lower()


def publish_commits(engine: Any, bus: Bus) -> Callable[[], None]:
    """Publish what commits of `engine` change from now on; what is returned ends that.

    A carrier that fails is logged: the commit has succeeded.
    """
    return _Publishing(getattr(engine, "sync_engine", engine), bus).end


class _Publishing:
    """Of one engine. `ended`: what others put around ours meanwhile stays, and ours pass on."""

    def __init__(self, engine: Any, bus: Bus) -> None:
        from sqlalchemy import event  # noqa: PLC0415  the host has it where it has an engine

        self._bus = bus
        self._dialect = dialect = engine.dialect
        self._ended = False
        self._before = {
            method: getattr(dialect, method) for method in ("do_commit", "do_commit_twophase", "do_rollback")
        }
        self._ours = {
            "do_commit": self._committed,
            "do_commit_twophase": self._committed_twophase,
            "do_rollback": self._rolled_back,
        }
        event.listen(engine, "after_cursor_execute", self._noted)
        self._forget: Callable[[], None] = partial(event.remove, engine, "after_cursor_execute", self._noted)
        for method, run in self._ours.items():
            setattr(dialect, method, run)  # events of SQLAlchemy come before the commit

    def end(self) -> None:
        self._ended = True
        self._forget()
        for method, run in self._ours.items():
            if getattr(self._dialect, method) is run:
                setattr(self._dialect, method, self._before[method])

    def _noted(self, connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        tables = changed_tables(statement)
        if not tables:
            return
        level = connection.get_execution_options().get("isolation_level") or self._dialect._on_connect_isolation_level  # noqa: SLF001  asking otherwise is a round trip
        if level == "AUTOCOMMIT":
            self._publish(tables)
        else:
            connection.info.setdefault(KEY, set()).update(tables)

    def _publish(self, tables: set[str]) -> None:
        for table in sorted(tables):
            try:
                self._bus.publish(f"{TOPIC}{table}")
            except Exception:  # noqa: BLE001  the host's commit has succeeded
                _log.exception("the change of table '%s' could not be published", table)

    def _committed(self, connection: Any) -> None:
        self._before["do_commit"](connection)
        self._publish_of(connection)

    def _committed_twophase(self, connection: Any, *args: Any, **options: Any) -> None:
        self._before["do_commit_twophase"](connection, *args, **options)
        self._publish_of(connection)

    def _publish_of(self, connection: Any) -> None:
        tables = self._taken(connection)
        if not self._ended:
            self._publish(tables)

    def _rolled_back(self, connection: Any) -> None:
        self._before["do_rollback"](connection)
        self._taken(connection)

    @staticmethod
    def _taken(connection: Any) -> set[str]:
        tables: set[str] = set()
        with suppress(NotImplementedError):  # the one that a dialect's first connection is looked at by
            tables = connection.info.pop(KEY, tables)
        return tables
