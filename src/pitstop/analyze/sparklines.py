"""How did every route move, in a line of a word's size? All of them from one read."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.columns import merged_by_group, quantiles_ns
from pitstop.analyze.stats import numbered_by, sums
from pitstop.analyze.trend import STEPS_S
from pitstop.model import Match
from pitstop.model.series import HTTP

if TYPE_CHECKING:
    from pitstop.model import Store, Window

_P95 = 0.95


@dataclass(frozen=True, slots=True)
class Sparkline:
    """A route's requests and P95 (s) at equal steps; None where it was not asked for."""

    step_s: int
    ts: tuple[int, ...]
    requests: tuple[int | None, ...]
    p95_s: tuple[float | None, ...]


def sparklines(store: Store, window: Window, service: str | None = None, points: int = 24) -> dict[str, Sparkline]:
    """A line of about `points` points for each route that was asked for in `window`."""
    step_s = min(STEPS_S, key=lambda step: abs(window.duration_s / step - points))
    rollups = store.rollups(window, Match(service=service, kind=HTTP), step_s=step_s)
    covered = window.aligned(step_s)
    ts = tuple(range(covered.start_s, covered.end_s, step_s))
    if not len(rollups) or not ts:
        return {}
    names, route = numbered_by(rollups.series, attrgetter("name"))
    at = np.clip((np.array(rollups.ts, dtype=np.int64) - covered.start_s) // step_s, 0, len(ts) - 1)
    cell = route * len(ts) + at
    number = len(names) * len(ts)
    added = sums(rollups, cell, number)
    p95 = quantiles_ns(merged_by_group(rollups.hist, cell, number), (_P95,), added.min_ns, added.max_ns)[:, 0] / 1e9
    counts = added.count.reshape(len(names), -1).tolist()
    p95s = p95.reshape(len(names), -1).tolist()
    return {
        name: Sparkline(
            step_s=step_s,
            ts=ts,
            requests=tuple(n or None for n in counts[i]),
            p95_s=tuple(None if value != value else value for value in p95s[i]),  # noqa: PLR0124  NaN
        )
        for i, name in enumerate(names)
    }
