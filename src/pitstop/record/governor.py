"""What recording costs on this machine, and shedding when that is more than it may.

Cost = the flusher's own CPU + operations × the cost of one, over the time that passed: a share of one core. The cost
of one operation is measured by `probe`, which drives the real recording path aside from any request, so that the
requests themselves carry no extra clock reading.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pitstop.record.recorder import Recorder

SAMPLE_ABOVE = 3.0  # of the budget: exact counts are worth more than spans, so requests are sampled last
LOWEST_RATE = 0.01
SHORTEST_S = 1.0  # a shorter time says nothing about a share of a core
RECOVER_BELOW = 0.5  # of the budget; between this and the budget nothing changes, so that it does not flap
ASSUMED_COST_S = 5e-6  # of a request, until a probe has measured it


class Governor:
    """Holds the measured cost against `budget`, a share of one core.

    Above it what is below a root is shed; above three times as much, roots are sampled as well, with weights.
    """

    def __init__(
        self, recorder: Recorder, budget: float, *, full_rate: float = 1.0, probe: Callable[[], float] | None = None
    ) -> None:
        self.recorder = recorder
        self.budget = budget
        self.cost_s = ASSUMED_COST_S
        self._last_ratio = 0.0
        self._probe = probe
        self._full_rate = full_rate

    def account(self, roots: int, cpu_s: float, elapsed_s: float) -> dict[str, float]:
        """Take note of `roots` operations and `cpu_s` of flushing in `elapsed_s`; gauges that say what came of it."""
        if self._probe is not None:
            self.cost_s = self._probe()
        ratio = (cpu_s + roots * self.cost_s) / elapsed_s if elapsed_s > 0 else 0.0
        if elapsed_s >= SHORTEST_S:
            # twice in a row, because the first flush opens the store and one burst is no trend
            self._adjust(min(ratio, self._last_ratio))
            self._last_ratio = ratio
        return {
            "pitstop.request_cost_s": self.cost_s,
            "pitstop.overhead_ratio": ratio,
            "pitstop.sample_rate": self.recorder.sample_rate,
            "pitstop.spans_on": float(self.recorder.spans_on),
        }

    def _adjust(self, ratio: float) -> None:
        recorder = self.recorder
        spans_on, rate = recorder.spans_on, recorder.sample_rate
        most = SAMPLE_ABOVE * self.budget
        if ratio > self.budget and spans_on:
            spans_on = False
        elif ratio > most:
            rate = max(LOWEST_RATE, rate * most / ratio)
        elif ratio < RECOVER_BELOW * self.budget:
            if rate < self._full_rate:
                rate = min(self._full_rate, rate * 2)
            else:
                spans_on = True
        if (spans_on, rate) == (recorder.spans_on, recorder.sample_rate):
            return
        recorder.shed(spans_on=spans_on, sample_rate=rate)
        import logging  # noqa: PLC0415  a host without logging should not pay for it

        logging.getLogger("pitstop").info(
            "pitstop: recording takes %.2f %% of a core, %.2f %% are allowed; spans %s, %.0f %% of requests",
            100 * ratio, 100 * self.budget, "on" if spans_on else "shed", 100 * rate,
        )  # fmt: skip
