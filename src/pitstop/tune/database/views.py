"""Materialized views of PostgreSQL: made once, refreshed without locking readers out, with an age that is known.

PostgreSQL does not keep when a view was last refreshed, nor from which text it was made, so both stand in its comment.
A refresh takes an advisory lock of its transaction: of many workers with one schedule, one does it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from time import perf_counter
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pitstop.model.errors import SettingError
from pitstop.record.timing import Span, gauge
from pitstop.tune.database.indexes import Ensured
from pitstop.tune.database.names import must_be_sync, quoted, verbatim
from pitstop.tune.database.statement import dialect_of, must_read, read_pattern
from pitstop.tune.database.timeouts import statement_timeout

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

REFRESH_S = 3600.0  # the most that a refresh may take
_MARK = "pitstop"
_STATE = (
    "SELECT c.relispopulated, obj_description(c.oid, 'pg_class'), extract(epoch FROM now())::float8"
    " FROM pg_catalog.pg_class c WHERE c.oid = to_regclass(:name) AND c.relkind = 'm'"
)


@dataclass(frozen=True, slots=True)
class View:
    """A materialized view: the `query` it keeps the answer of, and columns that make its rows `unique`.

    Without those it can only be refreshed while nobody reads it.
    """

    name: str
    query: str
    unique: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refreshed:
    """`done`: by us; else somebody else was at it. `concurrently`: readers went on meanwhile."""

    done: bool
    took_s: float
    concurrently: bool


def ensure_view(engine: Engine, view: View, *, dry_run: bool = False) -> Ensured:
    """Have `view`, filled; one that was made from another text is made anew, in one transaction.

    Raises SettingError for a query that does more than read, for names that are none, and where the database refuses.
    """
    name = _name(engine, view.name)
    must_read(read_pattern(view.query, dialect_of(engine.dialect.name)))
    made_from = _fingerprint(view)
    with engine.connect() as connection:
        state = _state(connection, name)
    drop = f"DROP MATERIALIZED VIEW {name}"
    if state is not None and state[0].get("query") == made_from:
        return Ensured(view.name, False, (), "", "it is there already")
    commands = [f"CREATE MATERIALIZED VIEW {name} AS {view.query.strip().rstrip(';')}"]
    if view.unique:
        columns = ", ".join(quoted(engine.dialect, column) for column in view.unique)
        commands.append(f"CREATE UNIQUE INDEX ON {name} ({columns})")
    if state is not None:
        commands.insert(0, drop)
    why = "it was not there" if state is None else "it was made from another query"
    if not dry_run:
        try:
            with statement_timeout(REFRESH_S), engine.begin() as connection:
                start_s = perf_counter()
                for command in commands:
                    connection.execute(verbatim(command))
                _note(connection, name, made_from, perf_counter() - start_s)
        except sa.exc.DBAPIError as error:
            said = str(error.orig).strip().splitlines()[0]
            raise SettingError(f"the view {view.name} was not made: {said}") from error
    return Ensured(view.name, not dry_run, tuple(commands), drop, why)


def refresh_view(engine: Engine, view: View, *, older_than_s: float = 0.0) -> Refreshed:
    """Fill `view` anew, unless another process does so right now or it is no older than `older_than_s`, seconds.

    Raises SettingError where there is no such view, or the database refuses. Recorded as ``refresh <name>``.
    """
    name = _name(engine, view.name)
    with Span(f"refresh {view.name}"), statement_timeout(REFRESH_S), engine.begin() as connection:
        mine = connection.execute(
            sa.text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 4711))"), {"name": f"{_MARK} {name}"}
        ).scalar()
        state = _state(connection, name)
        if state is None:
            raise SettingError(f"there is no materialized view '{view.name}'; make it by ensure_view")
        note, is_filled, now = state
        age_s = now - note["refreshed_at"] if "refreshed_at" in note else None
        if not mine or (is_filled and age_s is not None and age_s < older_than_s):
            return Refreshed(False, 0.0, False)
        concurrently = bool(view.unique) and is_filled
        start_s = perf_counter()
        try:
            connection.exec_driver_sql(f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY ' if concurrently else ''}{name}")
        except sa.exc.DBAPIError as error:
            said = str(error.orig).strip().splitlines()[0]
            raise SettingError(f"the view {view.name} was not refreshed: {said}") from error
        took_s = perf_counter() - start_s
        _note(connection, name, note.get("query", _fingerprint(view)), took_s)
    gauge(f"database.view.age_s {view.name}", 0.0)
    return Refreshed(True, took_s, concurrently)


def view_age_s(engine: Engine, name: str) -> float | None:
    """Seconds since the view was last filled by us; None where that is not known. Raises SettingError without one."""
    return view_ages_s(engine, name)[0]


def view_ages_s(engine: Engine, name: str) -> tuple[float | None, float | None]:
    """`view_age_s`, and seconds since that filling began: what was committed before that is in the view."""
    with engine.connect() as connection:
        state = _state(connection, _name(engine, name))
    if state is None:
        raise SettingError(f"there is no materialized view '{name}'; make it by ensure_view")
    note, is_filled, now = state
    if not is_filled or "refreshed_at" not in note:
        return None, None
    age_s = max(now - note["refreshed_at"], 0.0)
    gauge(f"database.view.age_s {name}", age_s)
    return float(age_s), float(now - note["began_at"]) if "began_at" in note else None


def _name(engine: Engine, name: str) -> str:
    must_be_sync(engine)
    if engine.dialect.name != "postgresql":
        raise SettingError(f"{engine.dialect.name} has no materialized views; keep the answer in a cache or a table")
    return quoted(engine.dialect, name)


def _fingerprint(view: View) -> str:
    return blake2b(repr((view.query.strip(), view.unique)).encode(), digest_size=8).hexdigest()


def _state(connection: Connection, name: str) -> tuple[dict[str, Any], bool, float] | None:
    """What its comment says of it, whether it is filled, and the server's time; None where it is not there."""
    row = connection.execute(sa.text(_STATE), {"name": name}).one_or_none()
    if row is None:
        return None
    try:
        note = json.loads(row[1] or "{}").get(_MARK, {})
    except (ValueError, AttributeError):  # somebody else's words
        note = {}
    return (note if isinstance(note, dict) else {}), bool(row[0]), float(row[2])


def _note(connection: Connection, name: str, made_from: str, took_s: float) -> None:
    ended, began = connection.exec_driver_sql(
        "SELECT extract(epoch FROM clock_timestamp())::float8, extract(epoch FROM now())::float8"
    ).one()
    times = {"began_at": float(began), "refreshed_at": float(ended), "took_s": round(took_s, 3)}
    note = json.dumps({_MARK: {"query": made_from} | times})
    connection.exec_driver_sql(f"COMMENT ON MATERIALIZED VIEW {name} IS '{note}'")  # hex digits and numbers
