"""What an index costs a write beside what reading a row costs: the figures that advice weighs writes with.

    python bench/advice.py [postgresql://user@host/database]

SQLite in a file; PostgreSQL where a database is given, in a table that is dropped at the end. Prints ratios of one run.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pitstop.tune.database.advice import Workload, advise
from pitstop.tune.database.advice.copied import Copied
from pitstop.tune.database.advice.hypothetical import Hypothetical

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 100_000
WRITTEN = 5_000
ROUNDS = 5


def median_s(act: Callable[[], object], undo: Callable[[], object] = lambda: None) -> float:
    """Of a few rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        act()
        taken.append(time.perf_counter() - began)
        undo()
    return statistics.median(taken)


def sqlite(folder: Path) -> None:
    """Inserts with and without an index on a column in no order, and a scan."""
    raw = sqlite3.connect(folder / "bench.db", isolation_level=None)
    raw.execute("PRAGMA journal_mode = WAL")
    raw.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT NOT NULL, note TEXT NOT NULL)")
    rows = [((i * 7919) % 1_000_003, "x" * 40) for i in range(ROWS + WRITTEN)]
    raw.execute("BEGIN")
    raw.executemany("INSERT INTO t (a, note) VALUES (?, ?)", rows[:ROWS])
    raw.execute("COMMIT")

    def insert() -> None:
        raw.execute("BEGIN")
        raw.executemany("INSERT INTO t (a, note) VALUES (?, ?)", rows[ROWS:])
        raw.execute("COMMIT")

    def take_back() -> None:
        raw.execute("DELETE FROM t WHERE id > ?", (ROWS,))

    scan_ns = median_s(lambda: raw.execute("SELECT count(*) FROM t WHERE a + 0 = 5").fetchone()) / ROWS * 1e9
    plain_s = median_s(insert, take_back)
    from sqlalchemy import create_engine  # noqa: PLC0415

    engine = create_engine(f"sqlite:///{folder}/bench.db")
    advice_s = median_s(lambda: advise(engine, [Workload("SELECT * FROM t WHERE a = ? AND note > ?")]))
    raw.execute("CREATE INDEX t_a ON t (a)")
    kept_ns = (median_s(insert, take_back) - plain_s) / WRITTEN * 1e9
    print(f"SQLite: {scan_ns:.0f} ns to read a row in order, {kept_ns:.0f} ns to keep an index for one written: "
          f"{kept_ns / scan_ns:.0f} rows; reckoned with {Copied.write_cost:.0f}")  # fmt: skip
    print(f"SQLite: advice for one statement on {ROWS:,} rows in {advice_s * 1e3:.0f} ms")


def postgresql(url: str) -> None:
    """The same, in units of cost: a scan of known cost says how long a unit takes."""
    from sqlalchemy import create_engine  # noqa: PLC0415

    engine = create_engine(url, isolation_level="AUTOCOMMIT", execution_options={"no_parameters": True})
    with engine.connect() as connection:

        def run(text: str) -> Any:
            return connection.exec_driver_sql(text)

        run("DROP TABLE IF EXISTS pitstop_bench")
        run("CREATE TABLE pitstop_bench (id serial PRIMARY KEY, a int NOT NULL, note text NOT NULL)")
        fill = "INSERT INTO pitstop_bench (a, note) SELECT (i::bigint * 7919) % 1000003, repeat('x', 40) FROM "
        try:
            run(f"{fill} generate_series(1, {ROWS}) i")
            run("VACUUM ANALYZE pitstop_bench")
            scan = "SELECT * FROM pitstop_bench WHERE a = 5 AND note = 'y'"
            cost = float(run(f"EXPLAIN (FORMAT JSON) {scan}").scalar()[0]["Plan"]["Total Cost"])
            unit_us = median_s(lambda: run(scan)) / cost * 1e6

            def insert() -> None:
                run(f"{fill} generate_series({ROWS + 1}, {ROWS + WRITTEN}) i")

            def take_back() -> None:
                run(f"DELETE FROM pitstop_bench WHERE id > {ROWS}")
                run("VACUUM pitstop_bench")

            plain_s = median_s(insert, take_back)
            advice_s = median_s(
                lambda: advise(engine, [Workload("SELECT * FROM pitstop_bench WHERE a = ? AND note > ?")])
            )
            run("CREATE INDEX pitstop_bench_a ON pitstop_bench (a)")
            kept_us = (median_s(insert, take_back) - plain_s) / WRITTEN * 1e6
        finally:
            run("DROP TABLE pitstop_bench")
    print(f"PostgreSQL: {unit_us:.1f} µs a unit of cost, {kept_us:.1f} µs to keep an index for a row written: "
          f"{kept_us / unit_us:.1f} units; reckoned with {Hypothetical.write_cost:.0f}")  # fmt: skip
    print(f"PostgreSQL: advice for one statement in {advice_s * 1e3:.0f} ms")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        sqlite(Path(made))
    if len(sys.argv) > 1:
        postgresql(sys.argv[1])
