"""How is the service doing? One figure for each thing that matters, over all its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pitstop.analyze.stats import CLIENT_LEFT_STATUS, NO_DATA, Stats, distinct, stats_by_group
from pitstop.model import OTHER, UNMATCHED, Match
from pitstop.model.series import CACHE, HTTP, REGION

if TYPE_CHECKING:
    from pitstop.model import Rollups, Store, Window

CACHE_HIT = "hit"
CACHE_STALE = "stale"  # an old value, which was good enough: a hit
CACHE_MISS = "miss"


@dataclass(frozen=True, slots=True)
class Overview:
    """A service, or all of them (`service` None), over one window.

    `routes` counts the route templates that were asked for. `cache_hit_ratio` is None when no cache was seen.
    `uptime_ratio` is availability by requests: the share that was answered without a server error (status below
    500), as in Google's SRE book, chapter 3; None without requests. `clients_left` had status 499.
    Lookups are those in cache regions; of a service that has none, those over a wire.
    """

    window: Window
    service: str | None
    routes: int
    stats: Stats
    clients_left: int
    cache_hit_ratio: float | None
    cache_lookups: int
    uptime_ratio: float | None


def is_route(name: str) -> bool:
    """Whether `name` is a route of the application, not where unmatched or surplus requests are collected."""
    return name != OTHER and not name.endswith(UNMATCHED)


def overview(store: Store, window: Window, service: str | None = None) -> Overview:
    """The service's figures over `window`, from one read of its requests and one of its cache lookups."""
    return overview_of(*requests_and_lookups(store, window, service), window, service)


def requests_and_lookups(store: Store, window: Window, service: str | None) -> tuple[Rollups, Rollups]:
    """What `overview_of` is made from: rows of kind `http`, and of cache lookups without histograms."""
    return store.rollups(window, Match(service=service, kind=HTTP)), lookups(store, window, service)


def lookups(store: Store, window: Window, service: str | None) -> Rollups:
    """Rows of kind `region`, and those of kind `cache` of services without regions.

    A region's lookup may go on over a wire: counted twice, a value found there would be a miss and a hit.
    """
    found = store.rollups(window, Match(service=service, kind=REGION), hist=False)
    commands = store.rollups(window, Match(service=service, kind=CACHE), hist=False)
    with_regions = {series.service for series in distinct(found.series)[0]}
    found.extend(commands.chosen(i for i, one in enumerate(commands.series) if one.service not in with_regions))
    return found


def overview_of(requests: Rollups, looked_up: Rollups, window: Window, service: str | None) -> Overview:
    """The figures from rows of kind `http` and rows of cache lookups."""
    stats = NO_DATA
    if len(requests):
        stats = stats_by_group(requests, np.zeros(len(requests), dtype=np.int64), 1, window.duration_s)[0]
    left = str(CLIENT_LEFT_STATUS)
    found = dict.fromkeys((CACHE_HIT, CACHE_STALE, CACHE_MISS), 0)  # writes and the like look nothing up
    for number, series in zip(looked_up.count, looked_up.series, strict=True):
        if series.outcome in found:
            found[series.outcome] += number
    hits, lookup_count = found[CACHE_HIT] + found[CACHE_STALE], sum(found.values())
    return Overview(
        window=window,
        service=service,
        routes=len({series.name for series in distinct(requests.series)[0] if is_route(series.name)}),
        stats=stats,
        clients_left=sum(n for n, s in zip(requests.count, requests.series, strict=True) if s.outcome == left),
        cache_hit_ratio=hits / lookup_count if lookup_count else None,
        cache_lookups=lookup_count,
        uptime_ratio=None if stats.error_ratio is None else 1 - stats.error_ratio,
    )
