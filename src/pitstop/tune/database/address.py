"""Addresses of databases as people write them, with a driver that is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from sqlalchemy import URL

_DRIVERS = {  # by database: SQLAlchemy's name of the driver, and its package; the first one installed is taken
    "postgresql": (("psycopg", "psycopg"), ("psycopg2", "psycopg2"), ("pg8000", "pg8000")),
    "mysql": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
    "mariadb": (("pymysql", "pymysql"), ("mysqldb", "MySQLdb")),
    "sqlite": (("pysqlite", "sqlite3"),),
}
_OTHER_NAMES = {"postgres": "postgresql", "pgsql": "postgresql"}


def address_of(text: str) -> URL:
    """The URL that `text` means, with a driver that is no asyncio one.

    Raises SettingError where it is no URL, the database is none that is known, or no driver for it is installed.
    """
    scheme, found, rest = text.partition("://")
    if not found:
        raise SettingError(
            f"'{text}' is no address of a database; write postgresql://user@host/name, mysql://… or sqlite:///file.db"
        )
    base, _, driver = scheme.partition("+")
    base = _OTHER_NAMES.get(base.lower(), base.lower())
    if base not in _DRIVERS:
        raise SettingError(f"'{base}' is no database that is known here; there are {', '.join(_DRIVERS)}")
    try:
        url = make_url(f"{base}://{rest}")
    except (ArgumentError, ValueError):
        raise SettingError(
            f"the address of the {base} database cannot be read; is there a sign that wants %-escaping?"
        ) from None
    if url.query.get("schema"):  # as Prisma writes it
        url = url.difference_update_query(["schema"])
    known = dict(_DRIVERS[base])
    if driver in known and find_spec(known[driver]) is not None:
        return url.set(drivername=f"{base}+{driver}")
    for name, package in _DRIVERS[base]:
        if find_spec(package) is not None:
            return url.set(drivername=f"{base}+{name}")
    raise SettingError(f"no driver for {base} is installed: pip install {_DRIVERS[base][0][1]}")
