"""What ran inside requests, by name: statements, cache regions, hosts, templates. One row a name, with who ran it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.analyze.columns import merged_by_group, quantiles_ns
from pitstop.analyze.stats import distinct, numbered, sums
from pitstop.model import Match

if TYPE_CHECKING:
    from pitstop.analyze.columns import Ints
    from pitstop.analyze.stats import Sums
    from pitstop.model import Rollups, Store, Window

_QUANTILES = (0.50, 0.95, 0.99)


class RouteCalls(NamedTuple):
    """How often `route` (or task) ran something, and how long that took in all, seconds. ``""``: outside of any."""

    route: str
    calls: int
    total_s: float


class LeafRow(NamedTuple):
    """One name over one window. Durations in seconds, percentiles within 1.1 % of the exact value of their rank.

    `time_ratio` is its share of the time of all names of its kind; `amount` the rows or bytes of all calls;
    `routes` who ran it, the one that spent most time first.
    """

    name: str
    calls: int
    errors: int
    rate_per_s: float | None
    total_s: float
    mean_s: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    max_s: float
    amount: int
    time_ratio: float
    routes: tuple[RouteCalls, ...]


def leaves(
    store: Store,
    window: Window,
    kind: str,
    service: str | None = None,
    *,
    route: str | None = None,
    name: str | None = None,
    top: int | None = None,
) -> list[LeafRow]:
    """Every name of `kind` in `window` (below `route`), or the `top` ones, the one that took most time first."""
    found = store.rollups(window, Match(service=service, kind=kind, name=name, parent=route))
    return leaves_of(found, window.duration_s, top)


def leaves_of(rollups: Rollups, duration_s: float, top: int | None = None) -> list[LeafRow]:
    """Rows of one kind, by name; the `top` ones by time, or all."""
    if not len(rollups):
        return []
    # by series first and names then: there are far fewer series than rows
    series, at = distinct(rollups.series)
    by_series = sums(rollups, at, len(series), known=(series, at))
    names, name_of = numbered([one.name for one in series])
    total_ns = _added(by_series.sum_ns, name_of, len(names))
    whole_ns = int(total_ns.sum())
    chosen = np.argsort(-total_ns, kind="stable")[:top]
    quantiles_s = _quantiles_s(rollups, by_series, name_of, at, chosen)
    routes: dict[int, dict[str, tuple[int, int]]] = {i: {} for i in chosen.tolist()}
    ran = zip(series, name_of.tolist(), by_series.count.tolist(), by_series.sum_ns.tolist(), strict=True)
    for one, i, count, sum_ns in ran:
        if i in routes:
            calls, before_ns = routes[i].get(one.parent, (0, 0))
            routes[i][one.parent] = (calls + count, before_ns + sum_ns)
    columns = (by_series.count, by_series.errors, by_series.sum_ns, by_series.nbytes)
    added = [_added(column, name_of, len(names))[chosen].tolist() for column in columns]
    highest = np.zeros(len(names), dtype=np.int64)
    np.maximum.at(highest, name_of, by_series.max_ns)
    rows = [
        LeafRow(
            name=names[i],
            calls=count,
            errors=errors,
            rate_per_s=count / duration_s if duration_s else None,
            total_s=sum_ns / 1e9,
            mean_s=sum_ns / count / 1e9,
            p50_s=_known(found[0]),
            p95_s=_known(found[1]),
            p99_s=_known(found[2]),
            max_s=max_ns / 1e9,
            amount=nbytes,
            time_ratio=sum_ns / whole_ns if whole_ns else 0.0,
            routes=tuple(
                RouteCalls(route, calls, route_ns / 1e9)
                for route, (calls, route_ns) in sorted(routes[i].items(), key=lambda item: (-item[1][1], item[0]))
            ),
        )
        for i, found, max_ns, count, errors, sum_ns, nbytes in zip(
            chosen.tolist(), quantiles_s, highest[chosen].tolist(), *added, strict=True
        )
        if count
    ]
    return sorted(rows, key=lambda row: (-row.total_s, row.name))


def _added(column: Ints, name_of: Ints, number: int) -> Ints:
    out = np.zeros(number, dtype=np.int64)
    np.add.at(out, name_of, column)
    return out


def _quantiles_s(rollups: Rollups, by_series: Sums, name_of: Ints, at: Ints, chosen: Ints) -> list[list[float]]:
    """Percentiles of the `chosen` names, in seconds; only their histograms are decoded."""
    place = np.full(int(name_of.max()) + 1, -1)
    place[chosen] = np.arange(len(chosen))
    place_of = place[name_of]
    groups = place_of[at]
    hists = rollups.hist
    if len(chosen) < len(place):
        wanted = np.flatnonzero(groups >= 0)
        groups, hists = groups[wanted], [hists[i] for i in wanted.tolist()]
    low, high = np.full(len(chosen), np.iinfo(np.int64).max), np.zeros(len(chosen), dtype=np.int64)
    inside = place_of >= 0
    np.minimum.at(low, place_of[inside], by_series.min_ns[inside])
    np.maximum.at(high, place_of[inside], by_series.max_ns[inside])
    merged = merged_by_group(hists, groups, len(chosen))
    found: list[list[float]] = (quantiles_ns(merged, _QUANTILES, low, high) / 1e9).tolist()
    return found


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124  NaN
