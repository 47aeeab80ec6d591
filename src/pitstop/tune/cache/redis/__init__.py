"""The level of a cache that all workers share, in Redis."""

from pitstop.tune.cache.redis.level import RedisLevel

__all__ = ["RedisLevel"]
