"""Upkeep of a service's own SQLite file: its write-ahead log, its statistics, the space that deleted rows left.

`maintain` does what is worth doing and says what it won; with `dry_run` what it would do. Sources: sqlite.org/wal.html,
lang_analyze.html ("PRAGMA optimize"), lang_vacuum.html.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.tune.database.names import must_be_sync
from pitstop.tune.database.wording import bytes_text

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

LOG_BYTES = 10_000_000  # R15: a log above it slows every reader down
FREE_RATIO = 0.2  # of the file that is empty: less is used again soon
FREE_BYTES = 10_000_000
_INCREMENTAL = 2  # PRAGMA auto_vacuum
_ROOM = 2.2  # times the file: VACUUM writes it anew, and through the log


@dataclass(frozen=True, slots=True)
class Done:
    """One step. `done` False: not worth it, not possible, or a dry run; `why` says which."""

    what: str
    done: bool
    why: str
    bytes_before: int
    bytes_after: int
    sql: str


def maintain(engine: Engine, *, dry_run: bool = False, vacuum: bool = True) -> list[Done]:
    """Checkpoint, optimize and, where much is empty, vacuum the file of `engine`. Raises SettingError without a file.

    VACUUM locks everybody out while it runs and needs the file's size twice on the disk; `vacuum` False leaves it out.
    """
    must_be_sync(engine)
    path = _path(engine)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        try:
            steps = [_checkpoint(connection, path, dry_run=dry_run), _optimize(connection, path, dry_run=dry_run)]
            if vacuum:
                steps.append(_vacuum(connection, path, dry_run=dry_run))
        except sa.exc.OperationalError as error:
            raise SettingError(f"{path.name} could not be looked after: {error.orig}; try again later") from error
    return steps


def _path(engine: Engine) -> Path:
    name = engine.url.database
    if engine.dialect.name != "sqlite" or name in {None, "", ":memory:"} or "mode=memory" in str(engine.url):
        raise SettingError(f"only SQLite's files are looked after here, not {engine.url.get_backend_name()}")
    assert name is not None
    return Path(name.removeprefix("file:").partition("?")[0])


def _size(path: Path, suffix: str = "") -> int:
    try:
        return os.stat(f"{path}{suffix}").st_size  # noqa: PTH116  the log's name is the file's with a tail
    except OSError:
        return 0


def _checkpoint(connection: Connection, path: Path, *, dry_run: bool) -> Done:
    sql = "PRAGMA wal_checkpoint(TRUNCATE)"
    before = _size(path, "-wal")
    if before <= LOG_BYTES:
        why = f"the log has {bytes_text(before)}, it may have {bytes_text(LOG_BYTES)}"
        return Done("checkpoint", False, why, before, before, sql)
    if dry_run:
        return Done("checkpoint", False, f"the log has {bytes_text(before)}", before, before, sql)
    busy = connection.exec_driver_sql(sql).one()[0]
    after = _size(path, "-wal")
    why = (
        "somebody reads or writes; a reader that stays open keeps the log"
        if busy
        else f"the log had {bytes_text(before)}"
    )
    return Done("checkpoint", not busy, why, before, after, sql)


def _optimize(connection: Connection, path: Path, *, dry_run: bool) -> Done:
    size = _size(path)
    wanted = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA optimize(-1)").all()]  # only tells
    if not wanted:
        return Done("optimize", False, "its statistics are as they should be", size, size, "PRAGMA optimize")
    tables = ", ".join(sorted({text.split(".")[-1].strip('"') for text in wanted if "ANALYZE" in text.upper()}))
    if not dry_run:
        connection.exec_driver_sql("PRAGMA optimize")
    return Done(
        "optimize", not dry_run, f"the planner knows too little of {tables}", size, _size(path), "PRAGMA optimize"
    )


def _vacuum(connection: Connection, path: Path, *, dry_run: bool) -> Done:
    page, pages, free, mode = (
        int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
        for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")
    )
    before, empty = page * pages, page * free
    sql = "PRAGMA incremental_vacuum" if mode == _INCREMENTAL else "VACUUM"
    why = f"{bytes_text(empty)} of {bytes_text(before)} are empty"
    if empty < FREE_BYTES or empty < FREE_RATIO * before:
        return Done("vacuum", False, f"{why}, which new rows will fill", before, before, sql)
    room = shutil.disk_usage(path.resolve().parent).free
    if mode != _INCREMENTAL and room < _ROOM * before:
        why = f"{why}, but the disk has only {bytes_text(room)} left; it takes {bytes_text(_ROOM * before)}"
        return Done("vacuum", False, why, before, before, sql)
    if not dry_run:
        driver = connection.connection.driver_connection
        assert driver is not None
        driver.executescript(sql)  # by execute, incremental_vacuum gives back a single page
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
    after = page * int(connection.exec_driver_sql("PRAGMA page_count").scalar() or 0)
    return Done("vacuum", not dry_run, why, before, after, sql)
