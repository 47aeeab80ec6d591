"""Tables and indexes: made in a fresh file, checked and repaired in an old one, refused in a newer one."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from pitstop.model.errors import StoreError, StoreNewerError, StoreUnavailableError
from pitstop.store.sqlite import frames
from pitstop.store.sqlite.connection import nap
from pitstop.store.sqlite.repack import aside, repack
from pitstop.store.sqlite.tallies import HOUSE
from pitstop.store.sqlite.tiers import FOREVER_S, LISTS, PROFILE_TIERS, ROLLUP_TIERS, SAMPLE_TIERS, TIERS

VERSION = 4
_SQL = Path(__file__).parent / "sql"
_USER_VERSION_AT = 60  # sqlite.org/fileformat.html, 1.3: a big-endian integer in the header
_HEADER_BYTES = 100
_WAL_PATIENCE_S = 5.0

_wanted: sqlite3.Connection | None = None


def script() -> str:
    """Everything that makes a file of this schema."""
    rollup_tier = (_SQL / "rollup_tier.sql").read_text(encoding="utf-8")
    pack_tier = (_SQL / "pack_tier.sql").read_text(encoding="utf-8")
    profile_tier = (_SQL / "profile_tier.sql").read_text(encoding="utf-8")
    sample_tier = (_SQL / "sample_tier.sql").read_text(encoding="utf-8")
    return "\n".join(
        [
            (_SQL / "0001_create.sql").read_text(encoding="utf-8"),
            *(
                (pack_tier if tier.packed else rollup_tier).replace("{name}", tier.name).replace("{key}", tier.key)
                for tier in ROLLUP_TIERS
            ),
            *(sample_tier.replace("{name}", tier.name) for tier in SAMPLE_TIERS),
            *(profile_tier.replace("{name}", tier.name).replace("{key}", tier.key) for tier in PROFILE_TIERS),
        ]
    )


def refuse_newer(path: str) -> None:
    """Raises StoreNewerError when the file's header names a newer schema. Writes nothing."""
    try:
        with Path(path).open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return
    if len(header) == _HEADER_BYTES and header.startswith(b"SQLite format 3\0"):
        _refuse(path, int.from_bytes(header[_USER_VERSION_AT : _USER_VERSION_AT + 4], "big"))
        log = Path(path + "-wal")
        if log.exists() and log.stat().st_size:
            _refuse(path, _version_in_log(path))


def _version_in_log(path: str) -> int:
    """The version a log that is not folded in yet names. A readonly connection leaves both files as they are."""
    try:
        with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)) as connection:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error:
        return 0  # whatever is wrong shows when the file is opened for good


def _refuse(path: str, version: int) -> None:
    if version > VERSION:
        raise StoreNewerError(
            f"the store '{path}' has schema {version}, this Pitstop knows {VERSION}; it was left untouched: "
            "upgrade Pitstop or choose another store"
        )


def check_readable(connection: sqlite3.Connection, path: str) -> None:
    """Raises StoreError when a reader cannot use the file as it is; changes nothing."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _refuse(path, version)
    if not version and not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        raise StoreUnavailableError(f"the store '{path}' is being made right now; try again in a second")
    if version < VERSION:
        raise StoreError(f"the store '{path}' has the old schema {version}; run 'pitstop storage migrate'")


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the file to this schema; of many processes one does it, the others wait.

    Raises StoreNewerError, and StoreError when the tables are somebody else's.
    """
    _refuse(path, connection.execute("PRAGMA user_version").fetchone()[0])
    if not connection.execute("PRAGMA page_count").fetchone()[0]:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")  # counts only before the first page is written
    _switch_to_wal(connection)
    if not _differences(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _refuse(path, connection.execute("PRAGMA user_version").fetchone()[0])
        _refuse_foreign(connection, path)
        plain = aside(connection)
        for statement in _differences(connection):
            connection.execute(statement)
        repack(connection, plain)
        _fill(connection)
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a commit that met an input/output error has ended it already
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    deadline = time.monotonic() + _WAL_PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            # the switch does not wait for others by itself
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            nap(0.005)
        else:
            return


def _refuse_foreign(connection: sqlite3.Connection, path: str) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and not tables & {tier.name for tier in ROLLUP_TIERS}:
        raise StoreError(f"'{path}' is another application's database (it has {min(tables)}); choose another file")


def _reference() -> sqlite3.Connection:
    global _wanted  # noqa: PLW0603  made once a process
    if _wanted is None:
        _wanted = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _wanted.executescript(script())
    return _wanted


def _differences(connection: sqlite3.Connection) -> list[str]:
    """Statements that make the file's tables, columns, keys and indexes what they have to be."""
    listing = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    wanted = _reference().execute(listing).fetchall()
    have = {name: sql for _, name, _, sql in connection.execute(listing)}
    statements: list[str] = []
    rebuilt: set[str] = set()
    for kind, name, _, sql in wanted:
        if kind != "table" or have.get(name) == sql:
            continue
        if name not in have:
            statements.append(sql)
            continue
        changes = _column_changes(connection, name, sql, other_form=_has_rowid(have[name]) != _has_rowid(sql))
        statements += changes
        if len(changes) > 1 and changes[0].endswith("_old"):
            rebuilt.add(name)
    for kind, name, table, sql in wanted:
        if kind == "index" and (name not in have or table in rebuilt):
            statements.append(sql)
    if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        statements.append(f"PRAGMA user_version={VERSION}")
    return statements


def _has_rowid(sql: str) -> bool:
    return "WITHOUT ROWID" not in sql


def _column_changes(connection: sqlite3.Connection, table: str, sql: str, *, other_form: bool) -> list[str]:
    wanted = _reference().execute(f"PRAGMA table_info({table})").fetchall()
    have = connection.execute(f"PRAGMA table_info({table})").fetchall()
    names = {column[1] for column in have}
    if other_form or [c[1] for c in sorted(wanted, key=lambda c: c[5]) if c[5]] != [
        c[1] for c in sorted(have, key=lambda c: c[5]) if c[5]
    ]:
        shared = ", ".join(column[1] for column in wanted if column[1] in names)
        return [
            f"ALTER TABLE {table} RENAME TO {table}_old",
            sql,
            f"INSERT OR IGNORE INTO {table} ({shared}) SELECT {shared} FROM {table}_old",  # noqa: S608  our own names
            f"DROP TABLE {table}_old",
        ]
    return [
        f"ALTER TABLE {table} ADD COLUMN {name} {kind} NOT NULL DEFAULT {default}"
        for _, name, kind, _, default, _ in wanted
        if name not in names
    ]


def _fill(connection: sqlite3.Connection) -> None:
    for tiers in (ROLLUP_TIERS, SAMPLE_TIERS, PROFILE_TIERS):
        for place, tier in enumerate(tiers):
            _register(connection, tier.name, tier.step_s, 0 if place else FOREVER_S)
    for table in LISTS:
        _register(connection, table, 0, FOREVER_S)
    connection.executemany("INSERT OR IGNORE INTO house (name) VALUES (?)", [(name,) for name in HOUSE])
    frames.fill(connection)
    connection.execute("INSERT OR IGNORE INTO lease (id) VALUES (1)")


def _register(connection: sqlite3.Connection, table: str, step_s: int, mark_s: int) -> None:
    rows = TIERS[table].rows_sql if table in TIERS else "count(*)"
    connection.execute(
        f"INSERT OR IGNORE INTO tier (name, step_s, mark_s, n_rows) VALUES (?, ?, ?, (SELECT {rows} FROM {table}))",  # noqa: S608
        (table, step_s, mark_s),
    )
