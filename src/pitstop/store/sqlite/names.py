"""Names as ids: of series, gauges, workers, frames, stacks and what is profiled. Each process remembers those it met.

Ids are never given twice (AUTOINCREMENT), and forgetting any of them raises the file's `generation`: a process that
remembers an older one asks anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from pitstop.model.series import Series

Gauge = tuple[str, str, str]  # service, worker, name
Source = tuple[str, str, str]  # service, mode, route: what stacks were sampled of
Failed = tuple[str, str, str]  # fingerprint, route, service

Name = TypeVar("Name", bound="tuple[str, ...]")

STACKS = 20_000  # known at once; a stack takes 150 bytes here
FRAMES = 50_000


class Ids:
    """Ids by what they stand for. Stacks are known by a digest: their texts take kilobytes."""

    __slots__ = ("failures", "frames", "gauges", "series", "sources", "stacks", "workers")

    def __init__(self) -> None:
        self.series: dict[Series, int] = {}
        self.gauges: dict[Gauge, int] = {}
        self.workers: dict[str, int] = {}
        self.sources: dict[Source, int] = {}
        self.failures: dict[Failed, int] = {}
        self.frames: dict[str, int] = {}
        self.stacks: dict[bytes, int] = {}


class Names(Ids):
    """What this process knows. Valid while `generation` is the file's."""

    __slots__ = ("generation",)

    def __init__(self) -> None:
        super().__init__()
        self.generation = -1

    def clear(self, generation: int) -> None:
        """Forget everything."""
        self.__init__()  # type: ignore[misc]  # it has no subclasses
        self.generation = generation


class Appended(Ids):
    """Names that the transaction gave; they count once it is committed."""

    __slots__ = ()

    def settle(self, names: Names) -> None:
        """The transaction is committed."""
        if len(names.stacks) > STACKS:
            names.stacks.clear()
        if len(names.frames) > FRAMES:
            names.frames.clear()
        for field in Ids.__slots__:
            getattr(names, field).update(getattr(self, field))


def series_ids(
    connection: sqlite3.Connection, wanted: Sequence[tuple[int, Series]], names: Names, added: Appended
) -> list[int]:
    """The id of each of `wanted`, which are first seen at their times."""
    return [
        names.series.get(series) or _named(connection, "series", series._fields, series, ts, added.series)
        for ts, series in wanted
    ]


def gauge_id(connection: sqlite3.Connection, gauge: Gauge, ts: int, names: Names, added: Appended) -> int:
    """The id of a gauge."""
    fields = ("service", "worker", "name")
    return names.gauges.get(gauge) or _named(connection, "gauge", fields, gauge, ts, added.gauges)


def source_id(connection: sqlite3.Connection, source: Source, ts: int, names: Names, added: Appended) -> int:
    """The id of what stacks were sampled of."""
    fields = ("service", "mode", "route")
    return names.sources.get(source) or _named(connection, "source", fields, source, ts, added.sources)


def failure_id(connection: sqlite3.Connection, failed: Failed, ts: int, names: Names, added: Appended) -> int:
    """The id of a failure of a route."""
    fields = ("fingerprint", "route", "service")
    return names.failures.get(failed) or _named(connection, "failure", fields, failed, ts, added.failures)


def _named(
    connection: sqlite3.Connection, table: str, fields: Sequence[str], name: Name, ts: int, new: dict[Name, int]
) -> int:
    known = new.get(name)
    if known is None:
        new[name] = known = found_or_made(connection, table, fields, name, ts)
    return known


def found_or_made(
    connection: sqlite3.Connection, table: str, fields: Sequence[str], values: Sequence[object], ts: int
) -> int:
    """The id of the row with `values`, which is made when it is missing."""
    where = " AND ".join(f"{field} = ?" for field in fields)
    row = connection.execute(f"SELECT id FROM {table} WHERE {where}", values).fetchone()  # noqa: S608  our own names
    if row:
        return int(row[0])
    insert = f"INSERT INTO {table} ({', '.join(fields)}, seen_s) VALUES ({'?, ' * len(fields)}?)"  # noqa: S608
    return int(connection.execute(insert, (*values, ts)).lastrowid or 0)
