"""Columns out of tables: one short transaction an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.columns import Events, Rollups, Samples
from pitstop.model.protocols import StoreSize, TableSize
from pitstop.model.series import Match, Series
from pitstop.store.sqlite.packs import Unpacked
from pitstop.store.sqlite.tiers import ROLLUP_TIERS, SAMPLE_TIERS, Segment, plan
from pitstop.store.sqlite.write import read_reaches

if TYPE_CHECKING:
    import sqlite3

    from pitstop.model.window import Window

_FEW_SERIES = 1000
_COLUMNS = "ts, series, count, sum_ns, min_ns, max_ns, nbytes"


def rollups_of(
    connection: sqlite3.Connection,
    window: Window,
    match: Match,
    step_s: int | None,
    hist: bool,
    known: dict[int, Series],
) -> Rollups:
    """Rows of the matching series; `known` holds the series of ids, and is filled."""
    ids = matching_ids(connection, match)
    reaches = read_reaches(connection)
    got = Unpacked(ids)
    for segment in plan(window, step_s, [reaches[tier.name] for tier in ROLLUP_TIERS]) if ids != [] else []:
        found = connection.execute(*segment_query(segment, ids, hist=hist, kind=match.kind))
        if segment.tier.packed:
            got.add_packs(found)
        else:
            got.add_rows(found.fetchall())
    unknown = set(got.series).difference(known)
    if unknown:
        known.update(_series_of(connection, unknown))
    series = [known[i] for i in got.series]
    return Rollups(got.ts, series, got.count, got.sum_ns, got.min_ns, got.max_ns, got.nbytes, got.hist)


def matching_ids(connection: sqlite3.Connection, match: Match) -> list[int] | None:
    """Ids of the series that are meant; None when all are."""
    wanted = [(field, value) for field, value in zip(Match._fields, match, strict=True) if value is not None]
    if not wanted:
        return None
    condition = " AND ".join(f"{field} = ?" for field, _ in wanted)
    query = f"SELECT id FROM series WHERE {condition}"  # noqa: S608  field names are Match's own
    return [i for (i,) in connection.execute(query, [value for _, value in wanted])]


def segment_query(
    segment: Segment, ids: list[int] | None, *, hist: bool, kind: str | None = None
) -> tuple[str, list[int | str]]:
    """SQL and parameters for one segment; of packs, those that may hold one of `ids`, which are all of `kind`."""
    (table, *_), start, end = segment
    where = f"FROM {table} WHERE ts >= ? AND ts < ?"
    if segment.tier.packed:
        columns = f"ts, n, numbers, {'hists' if hist else 'NULL'}"
        if ids is None:
            return f"SELECT {columns} {where}", [start, end]
        packs = f"SELECT {columns} {where} AND +series <= ? AND last >= ?"
        values: list[int | str] = [start, end, max(ids), min(ids)]
        # packs that were made of an old file know no kind
        return (packs, values) if kind is None else (f"{packs} AND kind IN (?, '')", [*values, kind])
    query = f"SELECT {_COLUMNS}, {'hist' if hist else chr(120) + chr(39) * 2} {where}"
    return query if ids is None else f"{query} AND +series IN ({','.join(map(str, ids))})", [start, end]


def _series_of(connection: sqlite3.Connection, ids: set[int]) -> dict[int, Series]:
    query = "SELECT id, service, tenant, kind, name, parent, outcome FROM series"
    if len(ids) <= _FEW_SERIES:
        query += f" WHERE id IN ({','.join(map(str, ids))})"
    return {i: Series(*fields) for i, *fields in connection.execute(query) if i in ids}


def samples_of(
    connection: sqlite3.Connection, window: Window, service: str | None, names: tuple[str, ...], step_s: int
) -> Samples:
    """The last value of each gauge in each step, from the coarsest tiers that have it."""
    query = "SELECT id, service, worker, name FROM gauge"
    gauges = {
        i: (of, worker, name)
        for i, of, worker, name in connection.execute(query)
        if (service is None or of == service) and (not names or name in names)
    }
    out = Samples()
    if not gauges:
        return out
    reaches = read_reaches(connection)
    last: dict[tuple[int, int], tuple[int, float]] = {}
    for segment in plan(window, step_s, [reaches[tier.name] for tier in SAMPLE_TIERS]):
        table = segment.tier.name
        query = f"SELECT ts, gauge, value FROM {table} WHERE ts >= ? AND ts < ?"  # noqa: S608
        for ts, gauge, value in connection.execute(query, (segment.start_s, segment.end_s)):
            if gauge in gauges:
                last[ts // step_s, gauge] = (ts, value)
    for (_, gauge), (ts, value) in sorted(last.items(), key=lambda item: (item[1][0], item[0][1])):
        of, worker, name = gauges[gauge]
        out.ts.append(ts)
        out.service.append(of)
        out.worker.append(worker)
        out.name.append(name)
        out.value.append(value)
    return out


def events_of(connection: sqlite3.Connection, window: Window, service: str | None) -> Events:
    """Events in `window`, oldest first."""
    query = "SELECT ts, service, kind, text FROM event WHERE ts >= ? AND ts < ?"
    parameters: list[int | str] = [window.start_s, window.end_s]
    if service is not None:
        query += " AND service = ?"
        parameters.append(service)
    rows = connection.execute(query + " ORDER BY ts, worker, seq, n", parameters).fetchall()
    out = Events()
    if rows:
        out.ts, out.service, out.kind, out.text = map(list, zip(*rows, strict=True))
    return out


def services_of(connection: sqlite3.Connection) -> list[str]:
    """Every service that has a name."""
    query = " UNION ".join(f"SELECT service FROM {table}" for table in ("series", "gauge", "source", "failure"))  # noqa: S608
    return sorted(service for (service,) in connection.execute(query) if service)


def size_of(connection: sqlite3.Connection, url: str, data_bytes: int, log_bytes: int, state: str) -> StoreSize:
    """The report. Rows are read, not counted; oldest and newest are two seeks in the key."""
    tables = []
    for name, step_s, rows in connection.execute(
        "SELECT name, step_s, n_rows FROM tier ORDER BY name >= 's', name < 'rollup', step_s"
    ).fetchall():
        oldest = connection.execute(f"SELECT min(ts) FROM {name}").fetchone()[0]  # noqa: S608
        newest = connection.execute(f"SELECT max(ts) FROM {name}").fetchone()[0]  # noqa: S608
        tables.append(TableSize(name, rows, step_s, oldest, newest))
    holder, until_s = connection.execute("SELECT holder, until_s FROM lease WHERE id = 1").fetchone()
    page = connection.execute("PRAGMA page_size").fetchone()[0]
    return StoreSize(
        url,
        connection.execute("PRAGMA user_version").fetchone()[0],
        data_bytes,
        log_bytes,
        connection.execute("PRAGMA freelist_count").fetchone()[0] * page,
        tuple(tables),
        connection.execute("SELECT count(*) FROM series").fetchone()[0],
        holder,
        until_s,
        state,
    )
