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
from pitstop.tune.database.indexes import Ensured, ensure_index
from pitstop.tune.database.pool import pool_report
from pitstop.tune.database.refresher import Refresher
from pitstop.tune.database.render import render
from pitstop.tune.database.timeouts import statement_timeout
from pitstop.tune.database.upkeep import maintain
from pitstop.tune.database.views import View, ensure_view, refresh_view, view_age_s

__all__ = [
    "Ensured",
    "Refresher",
    "View",
    "aanalyze",
    "aexplain",
    "analyze",
    "create_async_engine",
    "create_engine",
    "ensure_index",
    "ensure_view",
    "explain",
    "maintain",
    "pool_report",
    "refresh_view",
    "render",
    "statement_timeout",
    "view_age_s",
]
