"""Results of queries, kept until a table they read changes.

queries = QueryCache(cache, engine, Base.metadata, tenant=current_tenant)

session.scalars(cached(select(Item).where(Item.shop_id == 7), ttl_s=60)).all()
"""

from pitstop.tune.cache.sqlalchemy.queries import QueryCache, cached
from pitstop.tune.cache.sqlalchemy.statements import Statement, understand

__all__ = ["QueryCache", "Statement", "cached", "understand"]
