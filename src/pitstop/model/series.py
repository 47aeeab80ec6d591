"""What a measurement belongs to, and which of them a question is about."""

from __future__ import annotations

from typing import NamedTuple

OTHER = "__other__"  # the name that what exceeds a cardinality cap is folded into
UNMATCHED = "(unmatched)"  # the route of every request that no route of the application answers

HTTP = "http"
WEBSOCKET = "websocket"
DB = "db"
CACHE = "cache"
HTTP_CLIENT = "http_client"
TASK = "task"
STAGE = "stage"
FUNCTION = "function"
QUEUE = "queue"
COUNTER = "counter"


class Series(NamedTuple):
    """The identity of one histogram over time.

    `http`: name ``GET /items/{item_id}`` (method and full route template), outcome the status code.
    `db`: name the normalized statement, parent the route that ran it. `cache`: name the region, outcome hit or miss.
    `stage`: name ``first byte`` under its route for streamed bodies, or a stage the host named.
    `counter`: name the host's; `count` is calls and `sum_ns` is 10⁹ × the amount.
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
