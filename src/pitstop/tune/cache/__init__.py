"""Values kept close: in memory, in Redis, in a file; see `docs/cache.md`."""

from pitstop.tune.cache.cache import Cache
from pitstop.tune.cache.region import Region
from pitstop.tune.cache.rules import Adaptive, Rules

__all__ = ["Adaptive", "Cache", "Region", "Rules"]
