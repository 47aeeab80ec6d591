"""What goes to levels below memory beside a value: when it was made, for how long, at what cost, under which tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pitstop.tune.cache.trend import Trend


class Envelope(NamedTuple):
    """A value with its history. `made_s` is Unix time; `versions` are the tags' at that level then."""

    value: Any
    made_s: float
    fresh_s: float
    stale_s: float
    cost_s: float = 0.0
    negative: bool = False
    tags: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    trend: Trend | None = None
