"""How often a value changes, and the TTL that follows.

Each recomputation tells whether the value had changed since the last one. The rate is Cho and Garcia-Molina's estimator
for changes seen only at visits (Estimating frequency of change, ACM TOIT 2003, eq. 12): −ln((n − x + ½)/(n + ½)) per
mean interval, of n visits that found x changes; older visits fade.

A TTL T costs c/T seconds of recomputation a second, and λT/2 of r answers a second are outdated. With an outdated
answer worth p seconds, c/T + p·r·λ·T/2 is least at T = √(2c / (p·r·λ)); never above 1/λ: most would be outdated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pitstop.tune.cache.rules import Adaptive

FADE: Final = 0.75  # what a visit still counts for at the next one: about the last 4 matter
FIRST_SHARE: Final = (
    0.3  # of the span between least and most that a value gets of which nothing is known, geometrically
)


class Trend(NamedTuple):
    """Faded sums over visits: their number, how many found a change, seconds between them, hits in between."""

    visits: float = 0.0
    changes: float = 0.0
    span_s: float = 0.0
    hits: float = 0.0

    def visited(self, *, changed: bool, after_s: float, hits: int) -> Trend:
        """With one more recomputation, `after_s` seconds after the one before."""
        return Trend(
            self.visits * FADE + 1.0,
            self.changes * FADE + (1.0 if changed else 0.0),
            self.span_s * FADE + max(after_s, 1e-3),
            self.hits * FADE + hits + 1,
        )

    @property
    def rate_per_s(self) -> float:
        """Changes a second."""
        if not self.visits:
            return 0.0
        unchanged = (self.visits - self.changes + 0.5) / (self.visits + 0.5)
        return -math.log(unchanged) / (self.span_s / self.visits)

    @property
    def asked_per_s(self) -> float:
        """Lookups a second."""
        return self.hits / self.span_s if self.span_s else 0.0


def choose_ttl_s(trend: Trend, cost_s: float, rules: Adaptive) -> tuple[float, str]:
    """The TTL for a value with this trend that takes `cost_s` to make, and why."""
    if not trend.visits:
        first_s = rules.least_s * (rules.most_s / rules.least_s) ** FIRST_SHARE
        return first_s, "nothing is known of its changes yet"
    if not trend.changes:  # silence proves only that much: twice as long as it has been watched
        ttl_s = min(rules.most_s, max(rules.least_s, 2.0 * trend.span_s))
        return ttl_s, f"no change seen in {trend.span_s:.0f} s"
    rate, asked = trend.rate_per_s, trend.asked_per_s
    best_s = math.sqrt(2.0 * max(cost_s, 1e-6) / (rules.staleness_cost * max(asked, 1e-6) * rate))
    best_s = min(best_s, 1 / rate)
    ttl_s = min(rules.most_s, max(rules.least_s, best_s))
    why = f"changes every {1 / rate:.0f} s, is made in {cost_s * 1e3:.1f} ms, asked for {asked:.3g} times a second"
    if ttl_s != best_s:
        why += f"; {best_s:.0f} s would be best, {ttl_s:.0f} s is the limit"
    return ttl_s, why
