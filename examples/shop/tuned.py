"""What makes the shop faster than it would be: values that are kept, tasks side by side, room for only so many."""

from __future__ import annotations

from pitstop.tune.cache import Cache
from pitstop.tune.limit import Limiter, Priority
from pitstop.tune.waves import Waves

cache = Cache(max_entries=5000)
limiter = Limiter()
together = Waves(max_parallel=4, name="front page")

PRIORITIES = {"/export": Priority.LOW, "/customers": Priority.HIGH}
"""Who waits first when there is not room for all: reports before shoppers, shoppers before those who pay."""
