"""Databases behind SQLAlchemy (≥ 2.0): sane engines, plans that explain themselves, indexes, views, upkeep.

from pitstop.tune.database import create_engine, explain
engine = create_engine("postgresql+psycopg://shop@db/shop")
print(render(explain(engine, "SELECT * FROM orders WHERE id = :id", {"id": 5})))
"""

try:
    import sqlalchemy as _sqlalchemy  # noqa: F401  asked for by name, so that the message says what to do
except ImportError as error:
    raise ImportError("pitstop.tune.database needs SQLAlchemy: pip install 'sqlalchemy>=2.0'") from error

from pitstop.tune.database.engine import create_async_engine, create_engine
from pitstop.tune.database.explain import aanalyze, aexplain, analyze, explain
from pitstop.tune.database.pool import pool_report
from pitstop.tune.database.timeouts import statement_timeout

__all__ = [
    "aanalyze",
    "aexplain",
    "analyze",
    "create_async_engine",
    "create_engine",
    "explain",
    "pool_report",
    "statement_timeout",
]
