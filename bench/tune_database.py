"""What an engine of `create_engine` costs beside SQLAlchemy's own, and what its pool saves.

    python bench/tune_database.py [postgresql+psycopg://user@host/database]

Blocks of both engines alternate; the smallest mean of each counts. SQLite in a file without a URL.
"""

from __future__ import annotations

import sys
import tempfile
from time import perf_counter

import sqlalchemy as sa

from pitstop.tune.database import create_engine

BLOCKS, CALLS = 30, 300


def statements(engine: sa.Engine) -> float:
    """Seconds of one within a transaction."""
    with engine.connect() as connection:
        start_s = perf_counter()
        for number in range(CALLS):
            connection.exec_driver_sql(f"SELECT {number % 5}").scalar()
        return (perf_counter() - start_s) / CALLS


def transactions(engine: sa.Engine) -> float:
    """Seconds of one of a single statement, with taking and giving back its connection."""
    start_s = perf_counter()
    for _ in range(CALLS):
        with engine.begin() as connection:
            connection.exec_driver_sql("SELECT 1").scalar()
    return (perf_counter() - start_s) / CALLS


def main() -> None:
    """Print what was measured."""
    url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{tempfile.mkdtemp()}/bench.db"
    ours, plain = create_engine(url), sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
    unpooled = sa.create_engine(url, poolclass=sa.pool.NullPool)
    for name, work in (("a statement", statements), ("a transaction", transactions)):
        best = {engine: min(work(engine) for _ in range(3)) for engine in (ours, plain)}
        for _ in range(BLOCKS):
            for engine, least in best.items():
                best[engine] = min(least, work(engine))
        us = {engine: seconds * 1e6 for engine, seconds in best.items()}
        print(
            f"{name}: {us[ours]:.1f} µs, SQLAlchemy's {us[plain]:.1f} µs: "
            f"{us[ours] - us[plain]:+.1f} µs, × {us[ours] / us[plain]:.2f}"
        )
    pooled, fresh = transactions(ours), transactions(unpooled)
    print(f"pooled {pooled * 1e3:.2f} ms, with a new connection {fresh * 1e3:.2f} ms: {fresh / pooled:.1f} ×")


if __name__ == "__main__":
    main()
