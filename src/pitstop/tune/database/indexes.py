"""`ensure_index`: an index that is there afterwards, however often it is asked for, without locking its table.

PostgreSQL builds it CONCURRENTLY, which may fail half way and leave an invalid index behind: that is dropped first
(PostgreSQL's manual, "Building Indexes Concurrently"). MariaDB and MySQL build theirs in place; SQLite just does.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import blake2b
from time import sleep
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.tune.database.names import LONGEST, must_be_sync, quoted, verbatim
from pitstop.tune.database.pool import is_pooled
from pitstop.tune.database.statement import dialect_of, read_pattern

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sqlalchemy import Connection, Engine

MYSQLS = frozenset({"mysql", "mariadb"})  # SQLAlchemy has a name for each
LOCK_TIMEOUT_S = 5.0  # a build that waits for longer holds up everybody who comes after it
_LOOK_S = 0.2  # between two looks at whether another worker has built the index
_KEYS = frozenset({"asc", "desc", "nulls", "first", "last"})


@dataclass(frozen=True, slots=True)
class Ensured:
    """What was done, or with `dry_run` what would be: `sql` in order, `undo` takes it back. No `sql`: it is there."""

    name: str
    done: bool
    sql: tuple[str, ...]
    undo: str
    why: str


def ensure_index(
    engine: Engine,
    table: str,
    columns: Sequence[str],
    *,
    name: str | None = None,
    unique: bool = False,
    where: str | None = None,
    include: Sequence[str] = (),
    dry_run: bool = False,
) -> Ensured:
    """Have an index on `columns` of `table`; nothing happens where one with these columns is there.

    A column may be followed by ``DESC``; `where` makes it partial (PostgreSQL, SQLite), `include` covering
    (PostgreSQL). Not for use within a transaction: it opens a connection of its own, in autocommit. Raises SettingError
    for what is no name, for a table that is not there, and where the database refuses. Of workers that ask for it at
    once, one builds it and the others wait.
    """
    must_be_sync(engine)
    if not columns:
        raise SettingError("an index needs a column at least")
    dialect = engine.dialect
    if (where or include) and dialect.name in MYSQLS:
        raise SettingError(f"{'partial' if where else 'covering'} indexes are not known to {dialect.name}")
    if include and dialect.name != "postgresql":
        raise SettingError(f"INCLUDE is not known to {dialect.name}; name the columns last in the index instead")
    keys = [_key(engine, column) for column in columns]
    condition = "" if where is None else f" WHERE {_checked(engine, where)}"
    index = name or _name(table, columns, where, include)
    quoted(dialect, index)
    with (
        engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        nullcontext() if dry_run else _alone(connection, table, index),
    ):
        leftover, valid = _state(connection, table, index, keys, condition, unique=unique, include=include)
        if valid:
            return Ensured(valid, False, (), "", f"{valid} is there already")
        if leftover and not _has_failed(connection, table, index):
            return Ensured(index, False, (), "", f"{index} is being built by somebody else right now")
        schema = table.rpartition(".")[0]
        full = quoted(dialect, f"{schema}.{index}" if schema else index)
        concurrently = " CONCURRENTLY" if dialect.name == "postgresql" else ""
        covered = f" INCLUDE ({', '.join(quoted(dialect, column) for column in include)})" if include else ""
        create = (
            f"CREATE{' UNIQUE' if unique else ''} INDEX{concurrently} {quoted(dialect, index)}"
            f" ON {quoted(dialect, table)} ({', '.join(keys)}){covered}{condition}"
        )
        on_table = f" ON {quoted(dialect, table)}" if dialect.name in MYSQLS else ""
        drop = f"DROP INDEX{concurrently} {quoted(dialect, index) if on_table else full}{on_table}"
        commands = ((drop,) if leftover else ()) + (create,)
        why = "an earlier build had failed and left it invalid" if leftover else "no index had these columns"
        if not dry_run:
            _run(connection, commands, drop, lambda: _has_failed(connection, table, index))
        return Ensured(index, not dry_run, commands, drop, why)


def _key(engine: Engine, column: str) -> str:
    name, *order = column.split()
    if any(word.lower() not in _KEYS for word in order):
        raise SettingError(f"'{column}' is no column with ASC, DESC, NULLS FIRST or NULLS LAST")
    return " ".join([quoted(engine.dialect, name), *(word.upper() for word in order)])


def _checked(engine: Engine, where: str) -> str:
    """A condition comes from the host's code; that it is one, and ends there, is looked after all the same."""
    read_pattern(f"SELECT 1 WHERE ({where})", dialect_of(engine.dialect.name))
    depth = 0
    for sign in where:
        depth += (sign == "(") - (sign == ")")
        if depth < 0:
            raise SettingError(f"the condition '{where}' closes a bracket that it has not opened")
    return f"({where})"


def _name(table: str, columns: Sequence[str], where: str | None, include: Sequence[str]) -> str:
    parts = [table.rpartition(".")[2], *(column.split()[0] for column in columns)]
    mark = blake2b(repr((table, tuple(columns), where, tuple(include))).encode(), digest_size=4).hexdigest()
    name = "_".join([*parts, "idx"])
    if len(name) <= LONGEST and where is None and not include:
        return name
    return f"{'_'.join(parts)[: LONGEST - len(mark) - 5]}_{mark}_idx"


def _state(
    connection: Connection,
    table: str,
    index: str,
    keys: Sequence[str],
    condition: str,
    *,
    unique: bool,
    include: Sequence[str],
) -> tuple[bool, str]:
    """Whether an invalid index of this name was left, and the name of one that does what is asked for, or ``""``."""
    schema, _, bare = table.rpartition(".")
    inspector = sa.inspect(connection)
    if not inspector.has_table(bare, schema or None):
        raise SettingError(f"there is no table '{table}' in {connection.engine.url.database}")
    if connection.dialect.name == "postgresql":
        found = connection.execute(
            sa.text(
                "SELECT x.relname, i.indisvalid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x"
                " ON x.oid = i.indexrelid WHERE i.indrelid = to_regclass(:name)"
            ),
            {"name": quoted(connection.dialect, table)},
        )
        valid = {str(name): bool(is_valid) for name, is_valid in found}
        if valid.get(index) is False:
            return True, ""
    else:
        valid = {str(entry["name"]): True for entry in inspector.get_indexes(bare, schema or None)}
    if valid.get(index):
        return False, index
    if condition or include or any(len(key.split()) > 1 for key in keys):
        return False, ""  # alike enough only by its name, which stands for all of this
    wanted = [key.strip('"`') for key in keys]
    for entry in inspector.get_indexes(bare, schema or None):
        partial = any(key.endswith("_where") for key in entry.get("dialect_options", {}))
        plain = not entry.get("column_sorting") and not partial and not entry.get("expressions")
        own = list(entry["column_names"])[: len(wanted)]
        alike = not unique or (entry["unique"] and len(entry["column_names"]) == len(wanted))
        if plain and alike and own == wanted and valid.get(str(entry["name"]), True):
            return False, str(entry["name"])
    return False, ""


def _has_failed(connection: Connection, table: str, index: str) -> bool:
    """Whether an invalid index was left by its build, of PostgreSQL.

    It is looked at before and after asking what is being built, lest a build begins or ends between the two.
    """
    names = {"table": quoted(connection.dialect, table), "name": index}
    invalid = (
        "SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid{}"
        " WHERE i.indrelid = to_regclass(:table) AND x.relname = :name AND NOT i.indisvalid"
    )
    progress = (  # who may not see what others do, sees that they do something
        " JOIN pg_catalog.pg_stat_progress_create_index p"
        " ON p.datname = current_database() AND coalesce(p.index_relid, x.oid) = x.oid"
    )
    is_invalid, is_building = (sa.text(f"SELECT EXISTS ({invalid.format(more)})") for more in ("", progress))
    return (
        bool(connection.execute(is_invalid, names).scalar())
        and not connection.execute(is_building, names).scalar()
        and bool(connection.execute(is_invalid, names).scalar())
    )


def _run(connection: Connection, commands: Sequence[str], drop: str, has_failed: Callable[[], bool]) -> None:
    """One by one; what a failed build leaves is taken away again."""
    is_postgresql = connection.dialect.name == "postgresql"
    with _patient(connection):
        try:
            for command in commands:
                connection.execute(verbatim(command))
        except sa.exc.DBAPIError as error:
            is_left = False
            if is_postgresql:
                with suppress(sa.exc.DBAPIError):  # what has refused the build may refuse this
                    is_left = True
                    if has_failed():
                        connection.exec_driver_sql(drop.replace("CONCURRENTLY", "CONCURRENTLY IF EXISTS"))
                    is_left = False
            said = str(error.orig).strip().splitlines()[0]
            left = "it is left invalid, and replaced the next time" if is_left else "nothing of it is left"
            raise SettingError(f"the index was not made, and {left}: {said}") from error


@contextmanager
def _alone(connection: Connection, table: str, index: str) -> Iterator[None]:
    """Of workers that want the same index at once, one builds it and the others find it.

    It is asked for again and again: who waits within a statement holds up the build, which waits for all of them. A
    pooler hands sessions around, so behind one nothing is locked.
    """
    if connection.dialect.name != "postgresql" or is_pooled(connection.engine):
        yield
        return
    names = {"name": f"pitstop index {table} {index}"}
    key = "hashtextextended(:name, 4711)"
    while not connection.execute(sa.text(f"SELECT pg_try_advisory_lock({key})"), names).scalar():
        sleep(_LOOK_S)
    try:
        yield
    finally:
        with suppress(sa.exc.DBAPIError):  # it ends with its session
            connection.execute(sa.text(f"SELECT pg_advisory_unlock({key})"), names)


@contextmanager
def _patient(connection: Connection) -> Iterator[None]:
    """A build takes as long as it takes, but waits for its table's lock only a little."""
    before: list[str] = []
    name = connection.dialect.name
    if name == "postgresql" and not is_pooled(connection.engine):  # a pooler's connection must stay as it is
        for setting, value in (("statement_timeout", "0"), ("lock_timeout", f"{round(LOCK_TIMEOUT_S * 1e3)}")):
            was = connection.exec_driver_sql(f"SHOW {setting}").scalar()
            before.append(f"SET {setting} = '{was}'")
            connection.exec_driver_sql(f"SET {setting} = {value}")
    elif name in MYSQLS:
        is_mariadb = getattr(connection.dialect, "is_mariadb", False)
        settings = [("lock_wait_timeout", round(LOCK_TIMEOUT_S)), *([("max_statement_time", 0)] if is_mariadb else [])]
        for setting, number in settings:
            was = connection.exec_driver_sql(f"SELECT @@{setting}").scalar()
            before.append(f"SET SESSION {setting} = {was}")
            connection.exec_driver_sql(f"SET SESSION {setting} = {number}")
    try:
        yield
    finally:
        for command in before:
            connection.exec_driver_sql(command)
