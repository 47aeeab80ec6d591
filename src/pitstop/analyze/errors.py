"""What goes wrong, how often and where? One row a cause and route.

Counts come from series and are exact; message, line and stack from the newest occurrence that was kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.stats import numbered_by, sums
from pitstop.model import OTHER, Match
from pitstop.model.series import ERROR
from pitstop.model.window import Window

if TYPE_CHECKING:
    from pitstop.model import Store


@dataclass(frozen=True, slots=True)
class ErrorRow:
    """One cause (`fingerprint`) in one route. `count` is exact, over the window.

    `first_s` is when it was first seen of all that is kept, as exact as the store's steps are by now; `last_s` the
    last time in the window; both Unix seconds. `is_new` says that it was never seen before the window. `message`,
    `line` and `stack` are ``""`` where no occurrence was kept; `trace_id` is the newest one's.
    """

    fingerprint: str
    service: str
    route: str
    type: str
    message: str
    line: str
    stack: str
    count: int
    first_s: int
    last_s: int
    is_new: bool
    trace_id: str


def errors(store: Store, window: Window, service: str | None = None, route: str | None = None) -> list[ErrorRow]:
    """Every cause and route seen in `window`, the most frequent first."""
    seen = store.rollups(window, Match(service=service, kind=ERROR, parent=route), hist=False)
    kept = store.errors(window, service=service, route=route)
    keys, groups = numbered_by(seen.series, lambda one: (one.service, one.parent, one.name, one.outcome))
    counts = sums(seen, groups, len(keys), failed=False).count.tolist()
    last = _extremes(seen.ts, groups, len(keys), first=False)
    ever = store.rollups(Window(0, window.end_s), Match(service=service, kind=ERROR, parent=route), hist=False)
    ever_keys, ever_groups = numbered_by(ever.series, lambda one: (one.service, one.parent, one.name, one.outcome))
    firsts = dict(zip(ever_keys, _extremes(ever.ts, ever_groups, len(ever_keys), first=True), strict=True))
    newest = {(kept.service[i], kept.route[i], kept.fingerprint[i]): i for i in reversed(range(len(kept)))}
    rows = []
    for (of, name, fingerprint, kind), count, last_s in zip(keys, counts, last, strict=True):
        i = newest.get((of, name, fingerprint))
        first_s = firsts.get((of, name, fingerprint, kind), last_s)
        rows.append(
            ErrorRow(
                fingerprint=fingerprint,
                service=of,
                route=name,
                type=(kind or OTHER) if i is None else kept.type[i],
                message="" if i is None else kept.message[i],
                line="" if i is None else kept.line[i],
                stack="" if i is None else kept.stack[i],
                count=count,
                first_s=first_s,
                last_s=last_s if i is None else max(last_s, kept.ts[i]),
                is_new=first_s >= window.start_s,
                trace_id="" if i is None else kept.trace_id[i],
            )
        )
    return sorted(rows, key=lambda row: (-row.count, -row.last_s, row.route, row.type))


def _extremes(ts: object, groups: np.ndarray, number: int, *, first: bool) -> list[int]:
    times = np.array(ts, dtype=np.int64)
    out = np.full(number, np.iinfo(np.int64).max if first else 0)
    (np.minimum if first else np.maximum).at(out, groups, times)
    found: list[int] = out.tolist()
    return found
