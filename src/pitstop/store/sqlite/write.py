"""Batches into tables, appending only: one short transaction a flush.

Rows always go into the finest tier. Rows older than a tier's mark (a worker that retried for minutes, a history that is
filled in) go into that tier too, in the same transaction, because folding has passed them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.model.errors import StoreError
from pitstop.rollup.codec import decode, encode
from pitstop.store.sqlite.failures import append_errors
from pitstop.store.sqlite.names import Appended, Names, gauge_id, series_ids
from pitstop.store.sqlite.packs import Values, packed
from pitstop.store.sqlite.profiles import append_profiles
from pitstop.store.sqlite.reports import put_reports
from pitstop.store.sqlite.tallies import count_rows, house_value
from pitstop.store.sqlite.tiers import HOUR_S, ROLLUP_TIERS, SAMPLE_TIERS, TIERS, Reach, Tier
from pitstop.store.sqlite.traces import append_traces

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from pitstop.model.columns import Batch, Events, Rollups, Samples

PackRow = tuple[int, int, int, int, int, str, int, bytes, bytes]
"""ts, first series, worker, seq, last series, kind, n, numbers, hists."""
Groups = dict[int, dict[int, list[Values]]]  # by interval and series

# columns are named everywhere: one that was added to an old table stands last there
INSERT_ROLLUP = (
    "INSERT INTO {name} (ts, series, worker, seq, count, sum_ns, min_ns, max_ns, nbytes, hist)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
INSERT_PACK = (
    "INSERT INTO {name} (ts, series, worker, seq, last, kind, n, numbers, hists) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)


def merged(rows: Sequence[Values]) -> Values:
    """One row that stands for all of `rows`, exactly."""
    if len(rows) == 1:
        return rows[0]
    counts, sums, mins, maxes, nbytes, hists = zip(*rows, strict=True)
    total: dict[int, int] = {}
    for hist in hists:
        if hist:
            for position, count in decode(hist).items():
                total[position] = total.get(position, 0) + count
    return sum(counts), sum(sums), min(mins), max(maxes), sum(nbytes), encode(total) if total else b""


def pack_rows(groups: Groups, kinds: dict[int, str], author: tuple[int, int] = (0, 0)) -> list[PackRow]:
    """Rows of a packed tier; what one series has several times is merged.

    A pack has series of one kind: pages ask for requests, and there may be many times as many spans.
    """
    out: list[PackRow] = []
    for ts in sorted(groups):
        by_kind: dict[str, list[tuple[int, Values]]] = {}
        for series, values in sorted(groups[ts].items()):
            by_kind.setdefault(kinds.get(series, ""), []).append((series, merged(values)))
        for kind, rows in by_kind.items():
            for first, last, n, numbers, hists in packed(rows):
                out.append((ts, first, *author, last, kind, n, numbers, hists))
    return out


def kinds_of(connection: sqlite3.Connection) -> dict[int, str]:
    """The kind of each series."""
    return dict(connection.execute("SELECT id, kind FROM series"))


def rows_in(packs: Iterable[PackRow]) -> int:
    """How many series × intervals `packs` hold."""
    return sum(pack[6] for pack in packs)


def read_reaches(connection: sqlite3.Connection) -> dict[str, Reach]:
    """Every tier's floor and mark, by its table. Raises StoreError when the file has other tiers than we know."""
    found = connection.execute("SELECT name, floor_s, mark_s FROM tier WHERE step_s > 0").fetchall()
    if {name for name, *_ in found} != TIERS.keys():
        strange = ", ".join(sorted(TIERS.keys() ^ {name for name, *_ in found}))
        raise StoreError(
            f"the store's list of tiers differs from what this Pitstop knows ({strange}); "
            "the file was written by a development version: move it away or choose another store"
        )
    return {name: Reach(TIERS[name], floor_s, mark_s) for name, floor_s, mark_s in found}


def append(connection: sqlite3.Connection, batch: Batch, names: Names, now_s: int) -> Appended | None:
    """Write `batch` in the open transaction; None when this worker has written its `seq` before."""
    generation = house_value(connection, "generation")
    if generation != names.generation:
        names.clear(generation)
    added = Appended()
    worker = _accept(connection, batch, names, added, now_s)
    if worker is None:
        return None
    reaches = read_reaches(connection)
    author = (worker, batch.seq)
    if batch.rollups.ts:
        wanted = list(zip(batch.rollups.ts, batch.rollups.series, strict=True))
        _append_rollups(connection, batch.rollups, author, reaches, series_ids(connection, wanted, names, added))
    if batch.samples.ts:
        samples = batch.samples
        gauges = zip(samples.ts, zip(samples.service, samples.worker, samples.name, strict=True), strict=True)
        ids = [gauge_id(connection, gauge, ts, names, added) for ts, gauge in gauges]
        _append_samples(connection, samples, reaches, ids)
    if batch.events.ts:
        _append_events(connection, batch.events, *author)
    _append_inside(connection, batch, author, reaches, names, added)
    return added


def _append_inside(
    connection: sqlite3.Connection,
    batch: Batch,
    author: tuple[int, int],
    reaches: dict[str, Reach],
    names: Names,
    added: Appended,
) -> None:
    """Traces, errors, stacks and reports."""
    if batch.traces.ts:
        rows = append_traces(connection, batch.traces, batch.worker, author, names, added)
        count_rows(connection, "trace", rows)
    if batch.errors.ts:
        count_rows(connection, "error", append_errors(connection, batch.errors, author, names, added))
    if batch.profiles.ts:
        for table, rows in append_profiles(connection, batch.profiles, author, reaches, names, added).items():
            count_rows(connection, table, rows)
    if batch.reports.ts:
        count_rows(connection, "report", put_reports(connection, batch.reports, batch.worker, author[0]))


def _accept(connection: sqlite3.Connection, batch: Batch, names: Names, added: Appended, now_s: int) -> int | None:
    known = names.workers.get(batch.worker)
    if known is not None:
        update = "UPDATE worker SET seq = ?, seen_s = ? WHERE id = ? AND seq < ?"
        if connection.execute(update, (batch.seq, now_s, known, batch.seq)).rowcount:
            return known
    row = connection.execute("SELECT id, seq FROM worker WHERE name = ?", (batch.worker,)).fetchone()
    worker: int
    if row is None:
        insert = "INSERT INTO worker (name, seq, seen_s) VALUES (?, ?, ?)"
        worker = connection.execute(insert, (batch.worker, batch.seq, now_s)).lastrowid or 0
    elif row[1] >= batch.seq:
        return None
    else:
        worker = int(row[0])
        connection.execute("UPDATE worker SET seq = ?, seen_s = ? WHERE id = ?", (batch.seq, now_s, worker))
    added.workers[batch.worker] = worker
    return worker


def _append_rollups(
    connection: sqlite3.Connection,
    rollups: Rollups,
    author: tuple[int, int],
    reaches: dict[str, Reach],
    ids: list[int],
) -> None:
    worker, seq = author
    finest, second = ROLLUP_TIERS[0], ROLLUP_TIERS[1]
    columns = (rollups.count, rollups.sum_ns, rollups.min_ns, rollups.max_ns, rollups.nbytes, rollups.hist)
    places = list(zip(rollups.ts, ids, strict=True))
    oldest = min(rollups.ts)
    if oldest >= max(reaches[second.name].mark_s, reaches[finest.name].floor_s) and len(set(places)) == len(places):
        rows = [(*place, worker, seq, *value) for place, value in zip(places, zip(*columns, strict=True), strict=True)]
        connection.executemany(INSERT_ROLLUP.format(name=finest.name), rows)
        count_rows(connection, finest.name, len(rows))
        return
    values = list(zip(*columns, strict=True))
    kinds = {series: one.kind for series, one in zip(ids, rollups.series, strict=True)}
    for tier in ROLLUP_TIERS:
        _, floor_s, mark_s = reaches[tier.name]
        if oldest >= mark_s:
            break
        chosen = [pair for pair in zip(places, values, strict=True) if floor_s <= pair[0][0] < mark_s]
        groups: Groups = {}
        for (ts, series), value in chosen:
            groups.setdefault(ts // tier.step_s * tier.step_s, {}).setdefault(series, []).append(value)
        if tier.packed:
            _insert_late(connection, tier, pack_rows(groups, kinds, author))
        else:
            rows = [(ts, series, *author, *merged(groups[ts][series])) for ts in groups for series in groups[ts]]
            connection.executemany(INSERT_ROLLUP.format(name=tier.name), sorted(rows))
            count_rows(connection, tier.name, len(rows))
        if tier.step_s >= HOUR_S:
            # folding raises seen_s hour by hour; these rows will not be folded into hours
            newest: dict[int, int] = {}
            for (ts, series), _value in chosen:
                newest[series] = max(newest.get(series, 0), ts)
            raised = "UPDATE series SET seen_s = ? WHERE id = ? AND seen_s < ?"
            connection.executemany(raised, [(ts, series, ts) for series, ts in newest.items()])


def _insert_late(connection: sqlite3.Connection, tier: Tier, packs: list[PackRow]) -> None:
    """Rows that folding has passed, and a note of how many an interval got: housekeeping merges many."""
    connection.executemany(INSERT_PACK.format(name=tier.name), packs)
    count_rows(connection, tier.name, rows_in(packs))
    note = "INSERT INTO late (tier, ts, packs) VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET packs = packs + 1"
    connection.executemany(note, [(tier.name, pack[0]) for pack in packs])


def _append_samples(
    connection: sqlite3.Connection, samples: Samples, reaches: dict[str, Reach], ids: Iterable[int]
) -> None:
    rows = list(zip(samples.ts, ids, samples.value, strict=True))
    for place, tier in enumerate(SAMPLE_TIERS):
        _, floor_s, mark_s = reaches[tier.name]
        unit = tier.step_s
        chosen = [(ts // unit * unit, gauge, value) for ts, gauge, value in rows if floor_s <= ts < mark_s]
        if not chosen:
            break
        # the last value of a second counts; a late one never replaces what was folded
        verb = "IGNORE" if place else "REPLACE"
        before = connection.total_changes
        connection.executemany(f"INSERT OR {verb} INTO {tier.name} (ts, gauge, value) VALUES (?, ?, ?)", chosen)  # noqa: S608
        count_rows(connection, tier.name, connection.total_changes - before)


def _append_events(connection: sqlite3.Connection, events: Events, worker: int, seq: int) -> None:
    rows = [
        (ts, worker, seq, n, service, kind, text)
        for n, (ts, service, kind, text) in enumerate(
            zip(events.ts, events.service, events.kind, events.text, strict=True)
        )
    ]
    insert = "INSERT INTO event (ts, worker, seq, n, service, kind, text) VALUES (?, ?, ?, ?, ?, ?, ?)"
    connection.executemany(insert, rows)
    count_rows(connection, "event", len(rows))
