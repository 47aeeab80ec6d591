"""Which statements do requests repeat where one would do? With the code line, and what would mend it.

Found while recording, by Sentry's definition: more than 5 sequential, similar statements below one parent that take
more than 50 ms together or more than 20 % of the request (docs/analysis.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from pitstop.analyze.loading import hint
from pitstop.analyze.stats import numbered_by, sums
from pitstop.model import Match
from pitstop.model.series import HTTP, REPEATED

if TYPE_CHECKING:
    from pitstop.model import Store, Window

__all__ = ["NPlusOneRow", "hint", "n_plus_one"]


@dataclass(frozen=True, slots=True)
class NPlusOneRow:
    """A statement that requests of `route` repeat.

    `count` is how often in the mean request that repeats it, `requests` how many did and `requests_ratio` their share
    of the route's (None: not known), `total_s` what the repetitions took in all, seconds. `line` is the code line that
    runs it, or ``""``; `hint` what would load it at once.
    """

    route: str
    statement: str
    count: int
    requests: int
    requests_ratio: float | None
    repetitions: int
    total_s: float
    per_request_s: float
    line: str
    hint: str


def n_plus_one(store: Store, window: Window, service: str | None = None, route: str | None = None) -> list[NPlusOneRow]:
    """Every repeated statement seen in `window`, the one that took most time first."""
    found = store.rollups(window, Match(service=service, kind=REPEATED, parent=route), hist=False)
    if not len(found):
        return []
    keys, groups = numbered_by(found.series, attrgetter("parent", "name", "outcome"))
    added = sums(found, groups, len(keys), failed=False)
    asked = _requests(store, window, service, route)
    rows = [
        NPlusOneRow(
            route=name,
            statement=statement,
            count=round(repetitions / requests),
            requests=requests,
            requests_ratio=min(1.0, requests / asked[name]) if asked.get(name) else None,
            repetitions=repetitions,
            total_s=sum_ns / 1e9,
            per_request_s=sum_ns / 1e9 / requests,
            line=line,
            hint=hint(statement),
        )
        for (name, statement, line), requests, sum_ns, repetitions in zip(
            keys, added.count.tolist(), added.sum_ns.tolist(), added.nbytes.tolist(), strict=True
        )
        if requests
    ]
    return sorted(rows, key=lambda row: (-row.total_s, row.route, row.statement))


def _requests(store: Store, window: Window, service: str | None, route: str | None) -> dict[str, int]:
    requests = store.rollups(window, Match(service=service, kind=HTTP, name=route), hist=False)
    names, groups = numbered_by(requests.series, attrgetter("name"))
    counts = sums(requests, groups, len(names), failed=False).count.tolist()
    return dict(zip(names, counts, strict=True))
