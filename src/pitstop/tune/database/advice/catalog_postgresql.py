"""Tables, indexes and foreign keys of a PostgreSQL database, with what its statistics say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pitstop.tune.database.advice.hypothetical import run
from pitstop.tune.database.advice.shape import Catalog, Column, Existing, ForeignKey, Index, Key, Table

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

STALE_RATIO = 0.2  # of rows changed since ANALYZE: twice autovacuum_analyze_scale_factor, so autovacuum is behind
_LITTLE = 1000  # rows below which statistics do not matter

_TABLES = """
SELECT c.oid, CASE WHEN pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END,
       c.oid::regclass::text, c.relkind, c.reltuples, pg_table_size(c.oid),
       coalesce(s.n_live_tup, 0), coalesce(s.n_dead_tup, 0), coalesce(s.n_mod_since_analyze, 0),
       coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0), coalesce(s.n_tup_upd, 0), coalesce(s.n_tup_del, 0),
       s.last_analyze IS NULL AND s.last_autoanalyze IS NULL, n.nspname
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
"""

_COLUMNS = """
SELECT a.attrelid, a.attname, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), coalesce(s.avg_width, 8),
       coalesce(s.n_distinct, 0),
       CASE WHEN l.collname = 'default' THEN (SELECT datcollate FROM pg_database WHERE datname = current_database())
            ELSE coalesce(l.collname, '') END
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
  AND NOT s.inherited
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'm')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY a.attrelid, a.attnum
"""

_INDEXES = """
SELECT i.indrelid, quote_ident(x.relname), i.indisunique, i.indisvalid, m.amname, pg_relation_size(i.indexrelid),
       coalesce(s.idx_scan, 0), pg_get_indexdef(i.indexrelid), coalesce(pg_get_expr(i.indpred, i.indrelid), ''),
       i.indnkeyatts,
       ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, true) FROM generate_series(1, i.indnatts) k ORDER BY k),
       ARRAY(SELECT coalesce(a.attname, '') FROM unnest(i.indkey::int[]) WITH ORDINALITY u(attnum, place)
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
             ORDER BY place),
       ARRAY(SELECT CASE WHEN o.opcdefault THEN '' ELSE o.opcname END FROM unnest(i.indclass::oid[]) WITH ORDINALITY
             u(opc, place) JOIN pg_opclass o ON o.oid = u.opc ORDER BY place),
       i.indoption::int[],
       i.indisprimary OR i.indisexclusion OR i.indisreplident OR i.indisclustered
         OR EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
         OR EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid),
       ARRAY(SELECT CASE WHEN l.oid IS NULL OR l.oid = a.attcollation THEN '' ELSE 'COLLATE '
               || CASE WHEN pg_collation_is_visible(l.oid) THEN '' ELSE quote_ident(o.nspname) || '.' END
               || quote_ident(l.collname) END
             FROM unnest(i.indcollation::oid[], i.indkey::int[]) WITH ORDINALITY u(coll, attnum, place)
             LEFT JOIN pg_collation l ON l.oid = u.coll LEFT JOIN pg_namespace o ON o.oid = l.collnamespace
             LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum AND u.attnum > 0
             ORDER BY place),
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database()
               AND coalesce(p.relid, i.indrelid) = i.indrelid)
FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
JOIN pg_namespace n ON n.oid = x.relnamespace LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' ORDER BY x.relname
"""

_FOREIGN = """
SELECT k.conname, k.conrelid, k.confrelid,
       ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY u(attnum, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum ORDER BY place)
FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.conname
"""


def read_catalog(connection: Connection) -> Catalog:
    """Of all schemas but the server's own. Four questions to the system's tables; none to the host's."""
    catalog = Catalog()
    names: dict[int, str] = {}
    for row in run(connection, _TABLES):
        table = _table(row)
        names[row[0]] = table.name
        catalog.tables[table.name] = table
    for oid, name, quoted, kind, width, distinct, collation in run(connection, _COLUMNS):
        if oid in names:
            table = catalog.tables[names[oid]]
            several = float(distinct) if distinct >= 0 else -float(distinct) * table.rows  # a ratio where negative
            collated = "C" if collation in {"C", "POSIX", "ucs_basic"} else str(collation)
            table.columns[name] = Column(name, kind, int(width), several, collated, sql=quoted)
    for row in run(connection, _INDEXES):
        if row[0] in names:
            catalog.indexes.append(_index(row, names[row[0]], catalog))
    for name, child, parent, columns in run(connection, _FOREIGN):
        if child in names and parent in names:
            catalog.foreign_keys.append(ForeignKey(name, names[child], tuple(columns), names[parent]))
    return catalog


def _table(row: Any) -> Table:
    _, name, sql, kind, tuples, size, live, dead, changed, scans, updated, deleted, never, schema = row
    rows = float(tuples) if tuples >= 0 else float(live)
    stale = ""
    if max(rows, live) >= _LITTLE and kind == "r":
        if never and tuples < 0:
            stale = f"it has about {live:,} rows and was never analyzed"
        elif changed > STALE_RATIO * max(rows, live):
            stale = f"{changed:,} of its {int(max(rows, live)):,} rows have changed since it was analyzed"
    return Table(
        name,
        rows=rows,
        nbytes=int(size),
        columns={},
        sql=sql,
        schema=schema,
        stale=stale,
        dead=float(dead),
        scans=int(scans),
        partitioned=kind == "p",
        deleted=int(deleted),
        updated=int(updated),
    )


def _index(row: Any, table: str, catalog: Catalog) -> Existing:
    (
        _,
        name,
        unique,
        valid,
        method,
        size,
        scans,
        definition,
        where,
        number,
        *keyed,
        bound,
        collations,
        nulls,
        building,
    ) = row
    texts, columns, classes, options = keyed
    known = catalog.tables[table].columns
    keys = []
    for text, column, collation, opclass, option in zip(
        texts[:number], columns, collations, classes, options, strict=False
    ):
        collated = collation if column or collation in definition else ""  # an expression's own collation is not said
        suffix = " ".join(word for word in (collated, opclass, "DESC" if option & 1 else "") if word)
        if bool(option & 2) != bool(option & 1):
            suffix += " NULLS FIRST" if option & 2 else " NULLS LAST"
        keys.append(Key(known[column].sql if column else text, column, suffix.strip()))
    index = Index(table, tuple(keys), tuple(known[name].sql for name in columns[number:]), where)
    return Existing(name, index, unique, bound, int(size), int(scans), definition, method, valid, nulls, building)
