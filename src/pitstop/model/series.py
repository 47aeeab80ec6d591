"""What a measurement belongs to, and which of them a question is about."""

from __future__ import annotations

from typing import NamedTuple

OTHER = "__other__"  # the name that what exceeds a cardinality cap is folded into
UNMATCHED = "(unmatched)"  # the route of every request that no route of the application answers

HTTP = "http"
WEBSOCKET = "websocket"
DB = "db"
CACHE = "cache"
REGION = "region"  # lookups in a cache of `pitstop.tune`; what they cost over a wire is of kind `cache`
HTTP_CLIENT = "http_client"
TASK = "task"
STAGE = "stage"
FUNCTION = "function"
QUEUE = "queue"
COUNTER = "counter"
TEMPLATE = "template"  # rendering of a page
GC = "gc"  # a collection that ran within an operation
POOL_WAIT = "pool_wait"  # for a connection of a pool, or a thread of an executor
LOOP_WAIT = "loop_wait"  # runnable, while something else held the event loop
TRANSACTION = "transaction"  # from its begin to its end, around the statements
PART = "part"  # exclusive time of one of PARTS within a request
REPEATED = "n_plus_one"
ERROR = "error"
PROBE = "probe"  # one of our own looks at whether something answers
METRIC = "metric"  # a histogram that the host keeps by itself

PARTS = (GC, DB, CACHE, HTTP_CLIENT, QUEUE, POOL_WAIT, LOOP_WAIT, TEMPLATE)
"""Kinds that a request's time is divided into, in order of precedence where they overlap; the rest is its own code."""


class Series(NamedTuple):
    """The identity of one histogram over time.

    `http`: name ``GET /items/{item_id}`` (method and full route template), outcome the status code.
    `db`: name the normalized statement, parent the route that ran it. `cache`: name the command, outcome hit or miss.
    `region`: name the cache's region, parent the route where it is known, outcome ``hit``, ``stale``, ``miss`` or
    ``error``; time is the lookup's, for a miss that of making the value anew, too.
    `stage`: name ``first byte`` under its route for streamed bodies, or a stage the host named.
    `counter`: name the host's; `count` is calls and `sum_ns` is 10⁹ × the amount.
    `part`: name one of PARTS, parent the route; a row's `count` is requests that spent time there, its time is theirs
    there, overlaps counted once. What a route's requests took and no part has is its own code.
    `n_plus_one`: name the repeated statement, parent the route, outcome the code line; `count` is requests in which it
    was repeated, time what the repetitions took in each, `nbytes` their number.
    `error`: name the failure's fingerprint, parent the route, outcome its type; `count` is exact.
    `metric`: name the host's; values that are no time are kept as if they were seconds.
    `probe`: name the probe's, outcome ok or error.
    For `db`, `nbytes` is rows: returned by the driver, or touched by a statement that returns none.
    """

    service: str
    tenant: str
    kind: str
    name: str
    parent: str
    outcome: str


class Match(NamedTuple):
    """Which series a question is about: None matches any value, a string exactly that one."""

    service: str | None = None
    tenant: str | None = None
    kind: str | None = None
    name: str | None = None
    parent: str | None = None
    outcome: str | None = None

    def accepts(self, series: Series) -> bool:
        """Whether `series` is meant."""
        return all(want is None or want == have for want, have in zip(self, series, strict=True))
