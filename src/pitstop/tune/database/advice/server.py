"""What a PostgreSQL server says of tables and indexes without any statement: unused, bloated, left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pitstop.tune.database.advice.answer import DROP, REINDEX, VACUUM, Suggestion, size_text
from pitstop.tune.database.advice.health import superfluous, unused
from pitstop.tune.database.advice.hypothetical import qualified, run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sqlalchemy.engine import Connection

    from pitstop.tune.database.advice.advisor import Advisor
    from pitstop.tune.database.advice.shape import Catalog, Existing

DEAD_RATIO = 0.2  # of rows: autovacuum_vacuum_scale_factor, at which autovacuum should have come
DEAD_ROWS = 10_000
BLOAT_TIMES = 3.0  # beside what its entries need: fresh pages are 90 % full, and 67 % after random inserts
BLOAT_BYTES = 1_000_000
_ENTRY_BYTES = 12  # a line pointer and the head of an entry: storage-page-layout in PostgreSQL's manual
_FILLED = 0.9

_COUNTING = """
SELECT extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time()))
FROM pg_stat_database WHERE datname = current_database()
"""


def look_after(advisor: Advisor, connection: Connection, used: Collection[str], unused_after_s: float) -> None:
    """Adds what is found to the advisor's suggestions; `used` are indexes that recorded statements are planned with."""
    planner = advisor.planner
    counted_s = float(run(connection, _COUNTING).scalar() or 0.0)
    found = list(superfluous(planner))
    gone = {each.name for each in found}
    found += [each for each in unused(planner, used, counted_s, unused_after_s) if each.name not in gone]
    found += _left_behind(advisor)
    found += _bloated_indexes(planner.catalog, {each.name for each in found})
    found += _dead_rows(planner.catalog)
    advisor.suggestions += found


def _left_behind(advisor: Advisor) -> Iterator[Suggestion]:
    """Indexes that CREATE INDEX CONCURRENTLY could not finish: written, never read."""
    for each in advisor.planner.catalog.indexes:
        if not each.valid and not each.bound and not each.building:
            yield Suggestion(
                kind=DROP,
                table=each.index.table,
                reason="it is invalid: creating it failed halfway, so it is written but never read",
                gain=f"{size_text(each.nbytes)} less, and each write keeps one index less",
                cost="none",
                sql=advisor.planner.drop_sql(each.name, each.index.table),
                undo=each.definition,
                index=each.index,
                name=each.name,
            )


def needed_bytes(catalog: Catalog, each: Existing) -> float:
    """What a fresh index of the same rows would take, by the average width of its columns."""
    table = catalog.tables[each.index.table]
    width = sum(table.columns[key.column].width if key.column in table.columns else 16 for key in each.index.keys)
    return table.rows * (-(-width // 8) * 8 + _ENTRY_BYTES) / _FILLED


def _bloated_indexes(catalog: Catalog, gone: set[str]) -> Iterator[Suggestion]:
    for each in catalog.indexes:
        if each.method != "btree" or each.index.where or each.name in gone or catalog.tables[each.index.table].stale:
            continue
        needed = needed_bytes(catalog, each)
        if each.nbytes > max(BLOAT_TIMES * needed, needed + BLOAT_BYTES):
            yield Suggestion(
                kind=REINDEX,
                table=each.index.table,
                reason=f"{each.name} takes {size_text(each.nbytes)}, its entries need {size_text(needed)}",
                gain=f"about {size_text(each.nbytes - needed)} less to keep in memory",
                cost="the table is read twice; nobody waits",
                sql=f"REINDEX INDEX CONCURRENTLY {qualified(catalog.tables[each.index.table], each.name)}",
                undo="",
                index=each.index,
                name=each.name,
            )


def _dead_rows(catalog: Catalog) -> Iterator[Suggestion]:
    for table in catalog.tables.values():
        if table.dead >= DEAD_ROWS and table.dead > DEAD_RATIO * max(table.rows, 1.0):
            yield Suggestion(
                kind=VACUUM,
                table=table.name,
                reason=f"{table.dead:,.0f} dead rows beside {table.rows:,.0f}: autovacuum has not come",
                gain="scans read fewer pages, and freed room is used again",
                cost="the table is read once; nobody waits",
                sql=f"VACUUM (ANALYZE) {table.sql}",
                undo="",
            )
