"""The concurrency limit that a service bears, from how its latency changes: Gradient2.

After Netflix' concurrency-limits (Apache 2.0), `Gradient2Limit`, `ExpAvgMeasurement` and `WindowedLimit`, formula by
formula: each window of at least a second with at least ten samples gives one mean latency, the short one; the long one
is its exponential average over 600 windows. While the short one stays within `tolerance` of the long one the limit
grows by the square root of itself (times `smoothing`), and when it does not it shrinks by their ratio, by half at most.
The queue is √limit (their `SquareRootFunction`) and not their
default of a constant 4, which lets a limit of 100 grow no faster than one of 10.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

from pitstop.model.errors import SettingError

WINDOW_NS: Final = 1_000_000_000  # WindowedLimit: min and max window time
LEAST_SAMPLES: Final = 10  # WindowedLimit: window size
LEAST_NS: Final = 100_000  # WindowedLimit: what is quicker was not served, but answered at the door
LONG_WINDOW: Final = 600  # Gradient2Limit: long window
WARM_UP: Final = 10  # ExpAvgMeasurement: the first so many are averaged plainly
TOLERANCE: Final = 1.5  # Gradient2Limit: rttTolerance
SMOOTHING: Final = 0.2  # Gradient2Limit
DRIFT: Final = 0.95  # of the long latency, where it is more than twice the short one
INITIAL: Final = 20
LEAST: Final = 4  # theirs is 20, of a JVM with its threads; below this a Python worker cannot wait for anything
MOST: Final = 200
_HALF: Final = 0.5  # the gradient's floor


class Gradient2:
    """The limit. Not for several threads at once; `update` takes one window, about 1 µs."""

    def __init__(
        self,
        *,
        initial: float = INITIAL,
        least: float = LEAST,
        most: float = MOST,
        tolerance: float = TOLERANCE,
        smoothing: float = SMOOTHING,
        long_window: int = LONG_WINDOW,
    ) -> None:
        if not 1 <= least <= initial <= most:
            raise SettingError(f"limits have to be 1 <= least <= initial <= most, and are {least}, {initial}, {most}")
        if tolerance < 1 or not 0 < smoothing <= 1:
            raise SettingError(f"tolerance = {tolerance} has to be 1 or more, smoothing = {smoothing} in (0, 1]")
        self.limit = float(initial)
        self.least, self.most = float(least), float(most)
        self.tolerance, self.smoothing = tolerance, smoothing
        self.long_s = 0.0  # the latency to go by
        self.short_s = 0.0  # that of the last window
        self.why = "no window is over yet"
        self._factor = 2.0 / (long_window + 1)
        self._sum_s = 0.0
        self._count = 0

    def update(self, short_s: float, most_in_flight: int) -> float:
        """Take the mean latency of a window, s, and the most that ran at once; the limit from now on."""
        long_s = self._long(short_s)
        self.short_s = short_s
        if long_s > 2 * short_s:  # back to normal after a long overload: the average would take too long
            self.long_s *= DRIFT
        limit = self.limit
        if most_in_flight < limit / 2:
            self.why = "fewer requests than half of it: nothing to learn"
            return limit
        gradient = max(_HALF, min(1.0, self.tolerance * long_s / short_s)) if short_s > 0 else 1.0
        target = limit * gradient + max(1, int(sqrt(int(limit))))
        limit = limit * (1 - self.smoothing) + target * self.smoothing
        self.limit = max(self.least, min(self.most, limit))
        ratio = short_s / long_s if long_s > 0 else 1.0
        self.why = f"latency is {ratio:.2f} times the usual, {self.tolerance:g} are borne"
        return self.limit

    def _long(self, short_s: float) -> float:
        if self._count < WARM_UP:
            self._count += 1
            self._sum_s += short_s
            self.long_s = self._sum_s / self._count
        else:
            self.long_s = self.long_s * (1 - self._factor) + short_s * self._factor
        return self.long_s
