"""Events that void what caches keep: in process, by Redis, by PostgreSQL, from SQLAlchemy's commits; `docs/events.md`.

Carriers are imported from their modules, as they need what not everybody has: `redis` hiredis, `postgres` psycopg.
"""

from pitstop.tune.cache.events.bus import Bus
from pitstop.tune.cache.events.commits import publish_commits
from pitstop.tune.cache.events.event import Event
from pitstop.tune.cache.events.invalidating import invalidate_on

__all__ = ["Bus", "Event", "invalidate_on", "publish_commits"]
