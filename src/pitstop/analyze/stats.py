"""The figures that stand for one set of requests: a route, a status, a minute, a service.

None means "no data", never zero. A request with status 500 or above is an error; 499 (the client left) is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pitstop.analyze.columns import merged_by_group, quantiles_ns, ranks, values_of_rank_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.analyze.columns import Floats, GroupCounts, Ints
    from pitstop.model import Rollups, Series

FIRST_ERROR_STATUS = 500  # RFC 9110, 15.6: the server failed; 4xx is the client's doing
ERROR_OUTCOME = "error"  # of a span, statement, cache read or call: record/leaf.py
CLIENT_LEFT_STATUS = 499  # nginx's: the client closed the connection before the answer
QUANTILES = (0.50, 0.90, 0.95, 0.99)
NOISE_Z = 2.576  # two-sided 99 % of the normal distribution
_RANGED = (0.50, 0.95, 0.99)

Distinct = tuple[list["Series"], "Ints"]
Range = tuple[float, float]
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Stats:
    """One set of requests; durations in seconds, percentiles within 1.1 % of the exact value of their rank.

    The ranges are 99 % confidence intervals of what lies behind the measured value (order statistics, see
    docs/analysis.md); `mean_error_s` is the standard error of the mean. `compare` needs them.
    """

    requests: int = 0
    errors: int = 0
    error_ratio: float | None = None
    rate_per_s: float | None = None
    mean_s: float | None = None
    min_s: float | None = None
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    max_s: float | None = None
    bytes: int | None = None
    total_s: float | None = None
    mean_error_s: float | None = None
    p50_range_s: Range | None = None
    p95_range_s: Range | None = None
    p99_range_s: Range | None = None


NO_DATA = Stats()


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums and extremes of each group, one array position a group; `min_ns` and `max_ns` mean nothing at 0."""

    count: Ints
    errors: Ints
    sum_ns: Ints
    min_ns: Ints
    max_ns: Ints
    nbytes: Ints


def is_error(outcome: str) -> bool:
    """Whether `outcome` is a failure of the server: a status of 500 or above, or what anything else calls an error."""
    return outcome == ERROR_OUTCOME or (outcome.isdecimal() and int(outcome) >= FIRST_ERROR_STATUS)


def sums(rollups: Rollups, groups: Ints, number: int, *, known: Distinct | None = None, failed: bool = True) -> Sums:
    """Rows of each group added up; `groups[i]`, 0 … number − 1, is the group of row i.

    `known` is what `distinct` says of the rows' series, for whoever has asked it; `failed=False` counts no errors,
    for kinds that have none, and is quicker.
    """
    different, at = (known or distinct(rollups.series)) if failed else ([], np.zeros(0, dtype=np.int64))
    error = np.array([is_error(series.outcome) for series in different], dtype=bool)[at]
    out = Sums(
        count=np.zeros(number, dtype=np.int64),
        errors=np.zeros(number, dtype=np.int64),
        sum_ns=np.zeros(number, dtype=np.int64),
        min_ns=np.full(number, np.iinfo(np.int64).max),
        max_ns=np.zeros(number, dtype=np.int64),
        nbytes=np.zeros(number, dtype=np.int64),
    )
    if not len(groups):
        return out
    # sorted by group once, each column is one pass; ufunc.at takes six times as long
    few = number <= np.iinfo(np.uint16).max  # sorted by radix, ten times as fast
    order = np.argsort(groups.astype(np.uint16) if few else groups, kind="stable")
    ordered = groups[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    here = ordered[starts]
    count = np.array(rollups.count, dtype=np.int64)[order]
    out.count[here] = np.add.reduceat(count, starts)
    if failed:
        out.errors[here] = np.add.reduceat(np.where(error[order], count, 0), starts)
    out.sum_ns[here] = np.add.reduceat(np.array(rollups.sum_ns, dtype=np.int64)[order], starts)
    out.min_ns[here] = np.minimum.reduceat(np.array(rollups.min_ns, dtype=np.int64)[order], starts)
    out.max_ns[here] = np.maximum.reduceat(np.array(rollups.max_ns, dtype=np.int64)[order], starts)
    out.nbytes[here] = np.add.reduceat(np.array(rollups.nbytes, dtype=np.int64)[order], starts)
    return out


def distinct(keys: Sequence[K]) -> tuple[list[K], Ints]:
    """The different objects among `keys`, and the number of each row's among them.

    By identity, which is much faster to tell than equality: stores hand out one object a series. Equal ones that are
    two objects come twice.
    """
    identities = list(map(id, keys))
    objects = dict(zip(identities, keys, strict=True))
    numbers = {identity: number for number, identity in enumerate(objects)}
    rows = np.fromiter(map(numbers.__getitem__, identities), dtype=np.int64, count=len(keys))
    return list(objects.values()), rows


def numbered(keys: Sequence[K]) -> tuple[list[K], Ints]:
    """The different `keys` in order of appearance, and the number of each row's key among them."""
    numbers: dict[K, int] = {}
    rows = np.fromiter((numbers.setdefault(key, len(numbers)) for key in keys), dtype=np.int64, count=len(keys))
    return list(numbers), rows


def numbered_by(series: Sequence[Series], key: Callable[[Series], K]) -> tuple[list[K], Ints]:
    """The different values of `key` in order of appearance, and the number of each row's value among them."""
    different, at = distinct(series)
    values, number_of = numbered([key(one) for one in different])
    return values, number_of[at]


def stats_by_group(rollups: Rollups, groups: Ints, number: int, seconds: float | Sequence[float]) -> list[Stats]:
    """Stats of every group; `seconds` is the time the rates are taken over, one for all or one a group."""
    added = sums(rollups, groups, number)
    merged = merged_by_group(rollups.hist, groups, number)
    return stats_of(added, merged, seconds)


def stats_of(added: Sums, merged: GroupCounts, seconds: float | Sequence[float]) -> list[Stats]:
    """Stats of every group from its sums and its counts."""
    number = len(added.count)
    over_s = [seconds] * number if isinstance(seconds, (int, float)) else list(seconds)
    quantiles = quantiles_ns(merged, QUANTILES, added.min_ns, added.max_ns) / 1e9
    low, high = _ranges_s(merged, added)
    # plain numbers: reading them out of arrays one by one takes several times as long
    rows = zip(
        over_s,
        *(column.tolist() for column in (added.count, added.errors, added.sum_ns, added.min_ns, added.max_ns)),
        added.nbytes.tolist(),
        quantiles.tolist(),
        low.tolist(),
        high.tolist(),
        _mean_error_s(merged).tolist(),
        strict=True,
    )
    out: list[Stats] = []
    for over, requests, errors, sum_ns, min_ns, max_ns, nbytes, found, lows, highs, error_s in rows:
        if not requests:
            out.append(NO_DATA)
            continue
        p50, p90, p95, p99 = map(_known, found)
        ranges = [None if math.isnan(a) else (a, b) for a, b in zip(lows, highs, strict=True)]
        out.append(
            Stats(
                requests=requests,
                errors=errors,
                error_ratio=errors / requests,
                rate_per_s=requests / over if over else None,
                mean_s=sum_ns / requests / 1e9,
                min_s=min_ns / 1e9,
                p50_s=p50,
                p90_s=p90,
                p95_s=p95,
                p99_s=p99,
                max_s=max_ns / 1e9,
                bytes=nbytes,
                total_s=sum_ns / 1e9,
                mean_error_s=_known(error_s),
                p50_range_s=ranges[0],
                p95_range_s=ranges[1],
                p99_range_s=ranges[2],
            )
        )
    return out


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _ranges_s(merged: GroupCounts, added: Sums) -> tuple[Floats, Floats]:
    """The 99 % interval of each ranged quantile: ranks q·n ∓ z·√(n·q·(1−q)).

    Source: David & Nagaraja, "Order Statistics", 3rd edition, section 7.1.
    """
    totals = merged.totals()
    middle = np.stack([ranks(totals, q) for q in _RANGED], axis=1)
    spread = np.stack([np.ceil(NOISE_Z * np.sqrt(totals * q * (1 - q))) for q in _RANGED], axis=1).astype(np.int64)
    limits = added.min_ns[:, None], added.max_ns[:, None]
    low = np.clip(values_of_rank_ns(merged, middle - spread), *limits) / 1e9
    high = np.clip(values_of_rank_ns(merged, middle + spread), *limits) / 1e9
    return low, high


def _mean_error_s(merged: GroupCounts) -> Floats:
    """Standard error of the mean from the bucket values; NaN below two durations."""
    totals = merged.totals()
    n = np.where(totals > 1, totals, np.nan)
    values_s = merged.values_ns / 1e9
    mean = merged.counts @ values_s / n
    variance = np.maximum(merged.counts @ values_s**2 / n - mean**2, 0.0)
    error: Floats = np.sqrt(variance / (n - 1))
    return error
