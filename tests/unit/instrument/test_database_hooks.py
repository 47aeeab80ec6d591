"""Database drivers are hooked as they are imported, wherever they stand in a program, and told of by `status`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pitstop.instrument import hooks, status

SOURCE = Path(__file__).parents[3] / "src"
PLACES = {
    "sqlite3": "connect",
    "psycopg": "connect Cursor.execute AsyncCursor.execute Connection.connect",
    "psycopg_pool": "ConnectionPool.getconn AsyncConnectionPool.getconn",
    "psycopg2": "connect",
    "asyncpg": "connect connection.Connection._execute",
    "pymysql": "cursors.Cursor.execute connections.Connection.commit",
    "aiosqlite": "core.Connection._execute",
    "sqlalchemy": "Connection._begin_impl",
    "django.db.transaction": "Atomic.__enter__",
    "django.db.backends.utils": "CursorWrapper._execute",
}


@pytest.mark.parametrize("first", [True, False])
def test_drivers_are_hooked_whether_pitstop_comes_first_or_last(tmp_path: Path, *, first: bool) -> None:
    begin = f"import pitstop; pitstop.init(store='sqlite:///{tmp_path}/p.db')\n"
    imports = f"import {', '.join(PLACES)}\n"
    checks = "".join(
        f"print('{module}.{place}') if not hasattr({module}.{place}, '__wrapped__') else None\n"
        for module, places in PLACES.items()
        for place in places.split()
    )
    code = begin + imports + checks if first else imports + begin + checks
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("", "")


def test_the_setting_instrument_leaves_drivers_out(tmp_path: Path) -> None:
    code = (
        "import sqlite3, psycopg, pitstop; pitstop.init(store='memory://', instrument='psycopg')\n"
        "print(hasattr(sqlite3.connect, '__wrapped__'), hasattr(psycopg.connect, '__wrapped__'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SOURCE)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == "False True\n"


def test_status_tells_of_every_driver_with_its_version() -> None:
    rows = {row.name: row for row in status()}
    for name in ("sqlite3", "aiosqlite", "psycopg", "psycopg2", "asyncpg", "pymysql", "sqlalchemy", "django-orm"):
        assert rows[name].version
        assert rows[name].text.startswith(f"{name} {rows[name].version}: ")
    assert set(hooks.OLDEST) >= {"aiosqlite", "psycopg", "psycopg2", "asyncpg", "pymysql", "mysqlclient", "sqlalchemy"}
