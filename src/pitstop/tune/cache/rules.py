"""How long a region's values live and what happens at the end of their lives."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from pitstop.model.errors import SettingError

if TYPE_CHECKING:
    from collections.abc import Callable

TTL_S: Final = 300.0
LEAST_ADAPTIVE_S: Final = 30.0
MOST_ADAPTIVE_S: Final = 3600.0
NEGATIVE_S: Final = 30.0  # that nothing is there is likelier to change than what is there
WAIT_S: Final = 30.0  # for another's recomputation; whoever waited that long makes the value for itself
EARLY: Final = 1.0  # β of XFetch, the value its authors recommend
LONGEST_S: Final = 366 * 86_400.0


@dataclass(frozen=True, slots=True)
class Adaptive:
    """A TTL chosen for each key from how often its value changes, what it costs and how often it is asked for.

    `staleness_cost` is how many seconds of recomputation one outdated answer is worth; see `pitstop.tune.cache.trend`.
    """

    least_s: float = LEAST_ADAPTIVE_S
    most_s: float = MOST_ADAPTIVE_S
    staleness_cost: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.least_s <= self.most_s <= LONGEST_S:
            raise SettingError(
                f"Adaptive(least_s={self.least_s}, most_s={self.most_s}): 0 < least_s ≤ most_s ≤ {LONGEST_S:.0f} needed"
            )
        if not 0 < self.staleness_cost < math.inf:
            raise SettingError(f"Adaptive(staleness_cost={self.staleness_cost}): a number of seconds above 0 is needed")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one region; seconds.

    `stale_s` after its end a value is still served while it is made anew in the background (RFC 5861
    stale-while-revalidate), `stale_if_error_s` where that fails. None, as a function's result, lives for
    `negative_ttl_s`, and so do exceptions of `negative_errors`, in memory only. `early` is β of XFetch; 0: no early
    refresh. `tenant` says whose call it is; with it a call of no tenant is refused.
    """

    ttl_s: float | Adaptive = TTL_S
    stale_s: float = 0.0
    stale_if_error_s: float = 0.0
    negative_ttl_s: float = NEGATIVE_S
    negative_errors: tuple[type[Exception], ...] = ()
    early: float = EARLY
    wait_s: float = WAIT_S
    tenant: Callable[[], str | None] | None = field(default=None)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not isinstance(value, (int, float)) or isinstance(value, bool):
                continue
            least = 0.0 if each.name in {"ttl_s", "wait_s"} else -1e-9
            if not least < value <= LONGEST_S:
                raise SettingError(
                    f"{each.name}={value}: seconds above {max(least, 0):.0f} up to {LONGEST_S:.0f} are needed"
                )
        if not isinstance(self.ttl_s, (int, float, Adaptive)):
            raise SettingError(f'ttl_s={self.ttl_s!r}: seconds, Adaptive(…) or "adaptive" are needed')
