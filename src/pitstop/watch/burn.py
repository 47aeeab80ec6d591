"""How fast an error budget is being spent, and when that is worth waking somebody.

A burn rate is the share of events that were bad over the share that may be: at 1 the budget lasts exactly its window.
Four pairs of windows are looked at, and one fires when both of its windows burn faster than its factor: the long one
shows that enough was spent, the short one that it goes on. Source: "The Site Reliability Workbook" (Google, 2018),
chapter 5, table 5-8. Pure arithmetic: it is fed with what was good in a window, by a store, a replay or a simulation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from pitstop.model.watching import PAGE, TICKET, Burn
from pitstop.model.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

HEALTHY_SHARE = 0.5  # of the budget: a service that spends as much is healthy, and its bad luck is no alert
CHANCE = 1e-8  # how likely such luck may be: an hour in ten thousand years
MOST_BAD = 0.9  # where a target is so low that a total failure cannot burn by a factor, as much failing fires
LATE_S = 5  # a second is written by its workers 1 … 2 s after its end; a slow transaction may take as long
STEP_S = 10  # looks end on these, so that a replay from folded rows sees what was seen live
_GRAINS = ((3600, STEP_S), (48 * 3600, 60))  # windows shorter than the first begin on multiples of the second
_COARSE_S = 3600  # and longer ones on whole hours: what every store still keeps at that age


class Outcomes(NamedTuple):
    """How many of `total` events were `good`."""

    good: int
    total: int


class BurnPair(NamedTuple):
    """Fires when both windows, seconds, burn at `factor` or faster."""

    severity: str
    factor: float
    long_s: int
    short_s: int


PAIRS = (
    BurnPair(PAGE, 14.4, 3600, 300),
    BurnPair(PAGE, 6, 6 * 3600, 1800),
    BurnPair(TICKET, 3, 86_400, 2 * 3600),
    BurnPair(TICKET, 1, 3 * 86_400, 6 * 3600),
)
"""For a budget of 30 days the long windows stand for 2 %, 5 %, 10 % and 10 % of it (the workbook's table 5-8)."""

LONGEST_S = max(pair.long_s for pair in PAIRS)


class Budget(Protocol):
    """What of an objective decides about burning: the share that has to be good, and the fewest events to judge by."""

    @property
    def target(self) -> float: ...  # noqa: D102

    @property
    def least_events(self) -> int: ...  # noqa: D102


class Judged(NamedTuple):
    """Arrays of one shape, whose last axis is PAIRS. A rate is NaN where nothing happened."""

    long_rate: NDArray[np.float64]
    short_rate: NDArray[np.float64]
    firing: NDArray[np.bool_]


def settled_s(now_s: float) -> int:
    """The newest moment up to which all is written, on a whole STEP_S: where looks end."""
    return int(now_s - LATE_S) // STEP_S * STEP_S


def window_to(end_s: int, length_s: int) -> Window:
    """The window of `length_s` that ends at `end_s`, its start moved back to where the store has a border.

    At most 1.7 % longer than asked for.
    """
    grain_s = next((grain for shorter, grain in _GRAINS if length_s < shorter), _COARSE_S)
    return Window((end_s - length_s) // grain_s * grain_s, end_s)


def burns(read: Callable[[Window], Outcomes], budget: Budget, end_s: int) -> list[Burn]:
    """Every pair of windows that ends at `end_s` (see `settled_s`), in the order of PAIRS.

    `read` says what happened in a window made by `window_to`.
    """
    long = np.array([read(window_to(end_s, pair.long_s)) for pair in PAIRS], dtype=np.int64)
    short = np.array([read(window_to(end_s, pair.short_s)) for pair in PAIRS], dtype=np.int64)
    found = judged(long[:, 0], long[:, 1], short[:, 0], short[:, 1], budget)
    rows = zip(
        PAIRS, factors(budget), found.long_rate.tolist(), found.short_rate.tolist(), found.firing.tolist(), strict=True
    )
    return [
        Burn(pair.severity, factor, pair.long_s, pair.short_s, _known(long_rate), _known(short_rate), fires)
        for pair, factor, long_rate, short_rate, fires in rows
    ]


def judged(
    long_good: ArrayLike, long_total: ArrayLike, short_good: ArrayLike, short_total: ArrayLike, budget: Budget
) -> Judged:
    """Rates and verdicts for arrays of looks at once; the last axis of each is PAIRS.

    A pair fires when both rates reach its factor, the long window has the budget's least number of events, and so many
    bad ones are no chance: fewer than CHANCE of the windows of a service that spends HEALTHY_SHARE of its budget have
    as many (Chernoff's bound for Poisson's distribution: Mitzenmacher & Upfal, "Probability and Computing", theorem
    5.4). So one error among few requests tells nobody; from about 8, 12, 20 and 100 bad events on it decides nothing.
    """
    total = np.asarray(long_total, dtype=np.float64)
    bad = total - np.asarray(long_good, dtype=np.float64)
    long_rate = burn_rate(long_good, long_total, budget.target)
    short_rate = burn_rate(short_good, short_total, budget.target)
    factor = np.array(factors(budget))
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = total * (1 - budget.target) * HEALTHY_SHARE
        sure = bad * np.log(bad / expected) - (bad - expected) >= -math.log(CHANCE)
        firing = (long_rate >= factor) & (short_rate >= factor) & (total >= budget.least_events) & sure
    return Judged(long_rate, short_rate, firing)


def burn_rate(good: ArrayLike, total: ArrayLike, target: float) -> NDArray[np.float64]:
    """Share of bad events over the share that may be; NaN where there are none."""
    of = np.asarray(total, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rate: NDArray[np.float64] = (of - np.asarray(good, dtype=np.float64)) / of / (1 - target)
    return rate


def factors(budget: Budget) -> list[float]:
    """The factor of each pair for this target: as in PAIRS, and never more than MOST_BAD of all events failing."""
    return [min(float(pair.factor), MOST_BAD / (1 - budget.target)) for pair in PAIRS]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
