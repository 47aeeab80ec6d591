"""The garbage collector fitted to the service: ``tune_gc()`` when it has started.

What lives since the start is frozen, so that full collections pass it by; the young generation is made as large as the
measured rate of allocation asks for, within bounds, so that it is collected some twenty times a second and not some
thousand times. Both are taken back where pauses grow: the collector is never off.

What differs between versions of CPython: since 3.12 a collection runs at the next safe point of the bytecode and no
more within an allocation, which changes nothing here. 3.14.0 to 3.14.4 collect the old generation in increments (two
generations; the third threshold is ignored); 3.14.5 and 3.15 went back to three, after reports of memory growth
(gh-148726). Free-threaded builds have one generation, and stop all threads for it.
"""

from __future__ import annotations

import gc
import sys
import time
from typing import TYPE_CHECKING, Final

from pitstop.model.errors import SettingError
from pitstop.model.tuned import GC_REPORT, GcBody
from pitstop.record.reports import Report, add_reporter, remove_reporter
from pitstop.tune.memory.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

EVERY_S: Final = 10.0
YOUNG_PER_S: Final = 20.0  # young collections wanted: at 100 µs each they take 0.2 % of a core
LEAST_YOUNG: Final = 700  # CPython's default up to 3.11; 2,000 since
MOST_YOUNG: Final = 50_000  # containers: of 500 B each 25 MB of garbage in cycles at most, before it is collected
PAUSE_S: Final = 0.010  # R43
YOUNG_PAUSE_S: Final = 0.002  # young collections that take longer on average have too many survivors
THAW_S: Final = 3600.0  # frozen objects that became garbage are collected at least this often
INCREMENTAL: Final = (3, 14, 0) <= sys.version_info[:3] <= (3, 14, 4)


class GcTuning:
    """The tuning of this process; one at a time. `start` begins it, `stop` puts everything back.

    `now_s` never steps. `step` may be called by a test instead of waiting for the thread.
    """

    def __init__(
        self,
        *,
        pause_s: float = PAUSE_S,
        most_young: int = MOST_YOUNG,
        freeze: bool = True,
        now_s: Callable[[], float] = time.monotonic,
        every_s: float = EVERY_S,
    ) -> None:
        if pause_s <= 0 or most_young < LEAST_YOUNG:
            raise SettingError(
                f"pause_s = {pause_s} has to be above 0, most_young = {most_young} at least {LEAST_YOUNG}: "
                "a collector that is never to run is not tuned but off"
            )
        self.pause_s, self.most_young, self.freeze = pause_s, most_young, freeze
        self.collections = [0, 0, 0]
        self.total_s = self.longest_s = 0.0
        self.allocations_per_s = 0.0
        self.why = "as it was found: nothing asks for more"
        self._now_s = now_s
        self._before = gc.get_threshold()
        self._was_on = gc.isenabled()
        self._began_s = 0.0
        self._round_longest_s = self._round_young_s = 0.0
        self._young_most = most_young
        self._last_s = self._thawed_s = now_s()
        self._last_young = 0
        self._rounds = Rounds(every_s, self.step)

    def start(self) -> GcTuning:
        """Collect, freeze what lives, and measure from now on. Takes one full collection."""
        gc.enable()
        gc.collect()
        if self.freeze:
            gc.freeze()
        self._last_s = self._thawed_s = self._now_s()
        gc.callbacks.append(self._collected)
        add_reporter(self.reports)
        self._rounds.start()
        return self

    def stop(self) -> None:
        """Everything as it was found."""
        self._rounds.stop()
        remove_reporter(self.reports)
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)
        if self.freeze:
            gc.unfreeze()
        gc.set_threshold(*self._before)
        if not self._was_on:
            gc.disable()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        now_s = time.perf_counter()
        if phase == "start":
            self._began_s = now_s
            return
        generation, pause_s = info["generation"], now_s - self._began_s
        self.collections[generation] += 1
        self.total_s += pause_s
        self._round_longest_s = max(self._round_longest_s, pause_s)
        if generation < 2:  # noqa: PLR2004
            self._round_young_s += pause_s
        if generation == 2 and pause_s > self.pause_s and self.freeze:  # noqa: PLR2004
            # what survives a full collection is in use, or was until now: the next one need not look at it
            gc.freeze()

    def step(self) -> None:
        """Look at the time since the last step, and change what it asks for."""
        now_s = self._now_s()
        elapsed_s = now_s - self._last_s
        young = self.collections[0] + self.collections[1] + self.collections[2]
        threshold = gc.get_threshold()[0]
        if elapsed_s <= 0 or not threshold:
            return
        count = young - self._last_young
        per_s = count / elapsed_s
        self.allocations_per_s = per_s * threshold
        self._last_s, self._last_young = now_s, young
        self.longest_s = max(self.longest_s, self._round_longest_s)
        self._fit(threshold, per_s, self._round_young_s / count if count else 0.0)
        self._round_longest_s = self._round_young_s = 0.0
        if self.freeze and now_s - self._thawed_s >= THAW_S:
            self.thaw()

    def thaw(self) -> None:
        """Collect among what is frozen, too, and freeze what is left: one full pause, once an hour at most."""
        self._thawed_s = self._now_s()
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _fit(self, threshold: int, per_s: float, young_pause_s: float) -> None:
        """Larger while there are too many, twice as large at most in a round; smaller when they take too long.

        When there are fewer it stays: what a request makes and drops again counts only while it lives, so a service
        that has 1,000 collections a second at 700 may have none at 1,400.
        """
        least = max(LEAST_YOUNG, self._before[0])
        if young_pause_s > YOUNG_PAUSE_S:
            chosen = self._young_most = max(least, threshold // 2)
            why = f"young collections took {young_pause_s * 1e3:.1f} ms: smaller ones"
        else:
            self._young_most = min(self.most_young, self._young_most * 2)
            wanted = min(self.allocations_per_s / YOUNG_PER_S, 2.0 * threshold, self._young_most)
            chosen = max(least, int(wanted)) if per_s > YOUNG_PER_S else threshold
            why = f"{per_s:.0f} young collections a second at {threshold}, {YOUNG_PER_S:.0f} are enough"
        if abs(chosen - threshold) > threshold // 10:
            gc.set_threshold(chosen, *self._before[1:])
            self.why = why

    def reports(self) -> Iterable[Report]:
        """How it stands."""
        body = GcBody(
            thresholds=list(gc.get_threshold()), why=self.why, frozen=gc.get_freeze_count(),
            collections=list(self.collections), pause_s=self.total_s,
            longest_s=max(self.longest_s, self._round_longest_s), allocations_per_s=self.allocations_per_s,
        )  # fmt: skip
        return [Report(GC_REPORT, "", body)]


_tuning: list[GcTuning] = []


def tune_gc(*, pause_s: float = PAUSE_S, most_young: int = MOST_YOUNG, freeze: bool = True) -> GcTuning:
    """Fit the collector to this service, from now on; call it when the service has started, once in a process.

    With a server that forks (gunicorn ``--preload``) call it before: frozen pages stay shared. `pause_s` is what a
    full collection may take before what has survived it is frozen, too; `most_young` bounds how many containers may be
    made between young collections. Raises SettingError. A second call ends the first tuning.
    """
    tuning = GcTuning(pause_s=pause_s, most_young=most_young, freeze=freeze)
    while _tuning:
        _tuning.pop().stop()
    _tuning.append(tuning)
    return tuning.start()
