"""Tables that a SQLAlchemy engine (≥ 2.0, sync or async) has changed, published when the change is committed.

Each commit publishes ``table.<name>`` for every table that its INSERT, UPDATE, DELETE or MERGE statements name, after
the server has acknowledged it: who reads then reads what is new. What is rolled back is not published.
"""

from __future__ import annotations

import re
from contextlib import suppress
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


def changed_tables(statement: str) -> set[str]:
    """Tables that SQL writes to, without schema and quotes, inside WITH, too. Rather too many than too few."""
    return {_bare(found[1]) for found in WRITES.findall(statement[:LONGEST])}


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name[0] in '"`[' else name.lower()


def publish_commits(engine: Any, bus: Bus) -> Callable[[], None]:
    """Publish what commits of `engine` change from now on; what is returned ends that."""
    from sqlalchemy import event  # noqa: PLC0415  the host has it where it has an engine

    engine = getattr(engine, "sync_engine", engine)
    dialect = engine.dialect
    commit, rollback, twophase = dialect.do_commit, dialect.do_rollback, dialect.do_commit_twophase

    def noted(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        tables = changed_tables(statement)
        if not tables:
            return
        level = connection.get_execution_options().get("isolation_level") or dialect._on_connect_isolation_level  # noqa: SLF001  asking otherwise is a round trip
        if level == "AUTOCOMMIT":
            publish(tables)
        else:
            connection.info.setdefault(KEY, set()).update(tables)

    def publish(tables: set[str]) -> None:
        for table in sorted(tables):
            bus.publish(f"{TOPIC}{table}")

    def committed(connection: Any) -> None:
        commit(connection)
        publish(connection.info.pop(KEY, set()))

    def committed_twophase(connection: Any, *args: Any, **options: Any) -> None:
        twophase(connection, *args, **options)
        publish(connection.info.pop(KEY, set()))

    def rolled_back(connection: Any) -> None:
        rollback(connection)
        with suppress(NotImplementedError):  # the one that a dialect's first connection is looked at by
            connection.info.pop(KEY, None)

    event.listen(engine, "after_cursor_execute", noted)
    dialect.do_commit, dialect.do_rollback = committed, rolled_back  # events of SQLAlchemy come before the commit
    dialect.do_commit_twophase = committed_twophase

    def end() -> None:
        event.remove(engine, "after_cursor_execute", noted)
        dialect.do_commit, dialect.do_rollback, dialect.do_commit_twophase = commit, rollback, twophase

    return end
