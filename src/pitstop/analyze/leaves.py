"""What ran inside requests, by name: statements, cache regions, hosts, templates. One row a name, with who ran it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.analyze.columns import merged_by_group, quantiles_ns
from pitstop.analyze.stats import distinct, numbered, sums
from pitstop.model import Match

if TYPE_CHECKING:
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
) -> list[LeafRow]:
    """Every name of `kind` in `window` (below `route`), the one that took most time first."""
    found = store.rollups(window, Match(service=service, kind=kind, name=name, parent=route))
    return leaves_of(found, window.duration_s)


def leaves_of(rollups: Rollups, duration_s: float) -> list[LeafRow]:
    """Rows of one kind, by name."""
    if not len(rollups):
        return []
    # by series first, then names: there are far fewer series than rows
    series, at = distinct(rollups.series)
    by_series = sums(rollups, at, len(series))
    names, name_of = numbered([one.name for one in series])
    groups = name_of[at]
    number = len(names)
    added = sums(rollups, groups, number)
    merged = merged_by_group(rollups.hist, groups, number)
    quantiles_s = (quantiles_ns(merged, _QUANTILES, added.min_ns, added.max_ns) / 1e9).tolist()
    routes: list[dict[str, tuple[int, int]]] = [{} for _ in names]
    ran = zip(series, name_of.tolist(), by_series.count.tolist(), by_series.sum_ns.tolist(), strict=True)
    for one, i, count, sum_ns in ran:
        calls, before_ns = routes[i].get(one.parent, (0, 0))
        routes[i][one.parent] = (calls + count, before_ns + sum_ns)
    whole_ns = int(added.sum_ns.sum())
    columns = (added.count, added.errors, added.sum_ns, added.max_ns, added.nbytes)
    rows = [
        LeafRow(
            name=name,
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
                for route, (calls, route_ns) in sorted(ran_by.items(), key=lambda item: (-item[1][1], item[0]))
            ),
        )
        for name, ran_by, found, count, errors, sum_ns, max_ns, nbytes in zip(
            names, routes, quantiles_s, *(column.tolist() for column in columns), strict=True
        )
        if count
    ]
    return sorted(rows, key=lambda row: (-row.total_s, row.name))


def _known(value: float) -> float | None:
    return None if value != value else value  # noqa: PLR0124  NaN
