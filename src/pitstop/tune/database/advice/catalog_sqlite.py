"""Tables, indexes and foreign keys of a SQLite database, and a copy of its schema without a row."""

from __future__ import annotations

import re
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pitstop.tune.database.advice.sample import SAMPLE_ROWS, Sample
from pitstop.tune.database.advice.shape import Catalog, Column, Existing, ForeignKey, Index, Key, Table

if TYPE_CHECKING:
    from random import Random

    from pitstop.tune.database.advice.sample import Handler

STALE_TIMES = 2.0  # more or fewer rows than ANALYZE saw: SQLite's own PRAGMA optimize waits for a factor of 10
LITTLE_ROWS = 1000  # rows below which statistics do not matter
_ROW_BYTES = 8  # of a row's head
_AFTER_KEYS = re.compile(r"(?is)\s*where\b(.*)")
_ON = re.compile(r"""(?is)\bindex\b.*?\bon\s+(?:"(?:[^"]|"")+"|\[[^\]]+\]|`[^`]+`|[\w$]+)\s*\(""")


def quoted(name: str) -> str:
    """`name` as it may stand in a statement; words that could be SQLite's are quoted."""
    if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def read_catalog(
    raw: sqlite3.Connection, random: Random, timeout_s: float, back: Handler | None = None
) -> tuple[Catalog, dict[str, Sample]]:
    """Everything in `main`, and a sample of each table that is not small. `back`: the host's progress handler."""
    catalog, samples = Catalog(), {}
    seen = _statistics(raw)
    schema = {row[1]: row[2] for row in raw.execute("SELECT type, name, sql FROM sqlite_schema") if row[2]}
    tables = [
        row[0]
        for row in raw.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        if not row[0].startswith("sqlite_") and not (row[1] or "").upper().startswith("CREATE VIRTUAL")
    ]
    for name in tables:
        sample = samples[name] = Sample(raw, quoted(name), random, timeout_s, back)
        table = catalog.tables[name] = Table(name, sample.rows, 0, {}, sql=quoted(name), schema="main")
        _columns(raw, table, sample, catalog)
        for row in raw.execute(f"PRAGMA index_list({quoted(name)})").fetchall():
            catalog.indexes.append(_index(raw, name, row, schema))
        catalog.foreign_keys += _foreign(raw, name, tables)
        table.stale = _stale(table, seen, catalog)
    return catalog, samples


def _columns(raw: sqlite3.Connection, table: Table, sample: Sample, catalog: Catalog) -> None:
    primary = []
    for _, name, kind, _, _, place, hidden in raw.execute(f"PRAGMA table_xinfo({table.sql})").fetchall():
        if hidden == 1:
            continue
        table.columns[name] = Column(name, kind.upper(), sql=quoted(name))
        if place:
            primary.append((name, kind.upper()))
    if sample.rows >= LITTLE_ROWS:
        widths = ", ".join(f"avg(length({column.sql}))" for column in table.columns.values())
        found = raw.execute(f"SELECT {widths} FROM (SELECT * FROM {table.sql} LIMIT {SAMPLE_ROWS // 10})").fetchone()
        for column, width in zip(list(table.columns.values()), found, strict=True):
            table.columns[column.name] = column._replace(width=round(width or 1))
    table.nbytes = int(sample.rows * (_ROW_BYTES + sum(column.width for column in table.columns.values())))
    if len(primary) == 1 and primary[0][1] == "INTEGER":
        name = primary[0][0]
        table.held = frozenset({name})
        index = Index(table.name, (Key(quoted(name), name),))
        catalog.indexes.append(Existing("INTEGER PRIMARY KEY", index, unique=True, bound=True, nbytes=0, scans=None,
                                        definition=""))  # fmt: skip


def _index(raw: sqlite3.Connection, table: str, row: Any, schema: dict[str, str]) -> Existing:
    _, name, unique, origin, _ = row
    text = schema.get(name, "")
    texts, where = _parts(text)
    keys = []
    for place, _, column, descends, collation, is_key in raw.execute(f"PRAGMA index_xinfo({quoted(name)})"):
        if is_key:
            words = ["" if collation in {"BINARY", None} else f"COLLATE {collation}", "DESC" if descends else ""]
            written = texts[place] if place < len(texts) else ""
            keys.append(Key(quoted(column) if column else written, column or "", " ".join(filter(None, words))))
    return Existing(quoted(name), Index(table, tuple(keys), where=where), bool(unique), origin != "c", 0, None, text)


def _parts(text: str) -> tuple[list[str], str]:
    """The keys of CREATE INDEX as they are written, and its condition."""
    begin = _ON.match(text[text.lower().find("index"):]) if text else None  # fmt: skip
    if begin is None:
        return [], ""
    rest = text[text.lower().find("index") + begin.end() :]
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(rest):
        depth += (sign == "(") - (sign == ")")
        if depth < 0 or (sign == "," and not depth):
            parts.append(rest[start:place].strip())
            start = place + 1
        if depth < 0:
            where = _AFTER_KEYS.match(rest[place + 1 :])
            return parts, where[1].strip() if where else ""
    return parts, ""


def _foreign(raw: sqlite3.Connection, table: str, tables: list[str]) -> list[ForeignKey]:
    columns: dict[int, list[tuple[int, str]]] = {}
    parents: dict[int, str] = {}
    for number, place, parent, column, *_ in raw.execute(f"PRAGMA foreign_key_list({quoted(table)})"):
        columns.setdefault(number, []).append((place, column))
        parents[number] = parent
    return [
        ForeignKey(f"{table}_{number}", table, tuple(name for _, name in sorted(columns[number])), parent)
        for number, written in sorted(parents.items())
        if (parent := next((name for name in tables if name.lower() == written.lower()), ""))
    ]


def _statistics(raw: sqlite3.Connection) -> dict[str, float] | None:
    """Rows of each table as ANALYZE saw them; None where it never ran."""
    if not raw.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat1'").fetchone():
        return None
    seen: dict[str, float] = {}
    for table, stat in raw.execute("SELECT tbl, stat FROM sqlite_stat1"):
        first = str(stat).split(" ")[0]
        if first.isdigit():
            seen[table] = max(seen.get(table, 0.0), float(first))
    return seen


def _stale(table: Table, seen: dict[str, float] | None, catalog: Catalog) -> str:
    choices = sum(not each.unique for each in catalog.of(table.name))
    if table.rows < LITTLE_ROWS or not choices:
        return ""  # nothing to choose from
    before = (seen or {}).get(table.name)
    if before is None:
        return f"it has {table.rows:,.0f} rows and was never analyzed" if choices > 1 else ""
    if table.rows / STALE_TIMES < before < table.rows * STALE_TIMES:
        return ""
    return f"it had {before:,.0f} rows when it was analyzed, and has {table.rows:,.0f} now"


def copy_schema(raw: sqlite3.Connection) -> sqlite3.Connection:
    """A database in memory with the tables, views and indexes of `raw` and no row."""
    copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    order = "CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 ELSE 2 END, rowid"
    found = raw.execute(f"SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND type <> 'trigger' ORDER BY {order}")
    for (text,) in found:
        with suppress(sqlite3.Error):  # a module, function or collation that is not here: planned without
            copy.execute(text)
    copy.execute("ANALYZE")  # makes the tables for statistics
    return copy


_KEYWORDS = frozenset(
    re.findall(
        r"\w+",
        """
    abort action add after all alter always analyze and as asc attach autoincrement before begin between by cascade
    case cast check collate column commit conflict constraint create cross current current_date current_time
    current_timestamp database default deferrable deferred delete desc detach distinct do drop each else end escape
    except exclude exclusive exists explain fail filter first following for foreign from full generated glob group
    groups having if ignore immediate in index indexed initially inner insert instead intersect into is isnull join key
    last left like limit match materialized natural no not nothing notnull null nulls of offset on or order others outer
    over partition plan pragma preceding primary query raise range recursive references regexp reindex release rename
    replace restrict returning right rollback row rows savepoint select set table temp temporary then ties to
    transaction trigger unbounded union unique update using vacuum values view virtual when where window with
    without""",
    )
)  # https://sqlite.org/lang_keywords.html
