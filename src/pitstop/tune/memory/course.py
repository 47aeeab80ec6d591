"""The floor of memory over time, and whether it only rises.

Of each minute the lowest reading is kept: a saw-tooth shorter than that has no say. Teeth that are longer are known by
their falls: a rise counts only once it exceeds the largest fall so far, for memory that has been given back before may
be again. Growth that levels off, as that of a cache that fills or of modules that are still being imported, is none.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from pitstop.tune.memory.trend import Trend, largest_fall, trend

SLOT_S: Final = 60.0
SUSPECT_SLOTS: Final = 10  # a look at what grows is worth its cost from here on
SURE_SLOTS: Final = 60  # an hour: what the rule "memory leaks" of `watch` asks for
KEPT_SLOTS: Final = 1440  # a day: nightly batches are remembered
LIMIT_BYTES_PER_MIN: Final = 1e6  # R43
LEAST_TAU: Final = 0.6  # of ten pairs of minutes eight rise; as the rule of `watch`
LEAST_Z: Final = 3.09  # one-sided p < 0.001
LEVELS_OFF: Final = 0.5  # the last third grows less than this share of the whole: it is filling, not leaking


class Verdict(NamedTuple):
    """`grows`: worth a closer look. `sure`: it has grown throughout for long enough. `since_s`: how long, seconds."""

    grows: bool
    sure: bool
    bytes_per_min: float
    since_s: float
    why: str


class Course:
    """Readings in, verdict out. Keeps 24 h of floors, about 45 kB. For one thread."""

    def __init__(self, *, slot_s: float = SLOT_S, limit_bytes_per_min: float = LIMIT_BYTES_PER_MIN) -> None:
        self.slot_s = slot_s
        self.limit_bytes_per_min = limit_bytes_per_min
        self._floors: deque[float] = deque(maxlen=KEPT_SLOTS)
        self._slot: int | None = None
        self._lowest = float("inf")

    def add(self, now_s: float, nbytes: float) -> bool:
        """Take a reading; whether a slot has just ended, so that there is something new to judge.

        A gap of more than one slot (the process slept) is bridged by the slot before it.
        """
        slot = int(now_s // self.slot_s)
        if self._slot is None:
            self._slot = slot
        if slot == self._slot:
            self._lowest = min(self._lowest, nbytes)
            return False
        for _ in range(min(slot - self._slot, KEPT_SLOTS)):
            self._floors.append(self._lowest)
        self._slot, self._lowest = slot, nbytes
        return True

    def note(self, now_s: float, nbytes: float) -> None:
        """Take a reading only where the slot it falls in is not over: it cannot be judged from here."""
        if self._slot is None or int(now_s // self.slot_s) == self._slot:
            self.add(now_s, nbytes)

    @property
    def floors(self) -> list[float]:
        """The lowest reading of each slot that is over, oldest first, bytes."""
        return list(self._floors)

    def judge(self) -> Verdict:
        """What the floors say now."""
        floors = list(self._floors)
        recent = trend(floors[-SUSPECT_SLOTS:])
        rate = max(0.0, self._per_min(recent))
        if len(floors) < SUSPECT_SLOTS or rate < self.limit_bytes_per_min or recent.tau < LEAST_TAU:
            return Verdict(False, False, rate, 0.0, "memory does not grow")
        since_s = self._risen_slots(floors) * self.slot_s
        window = floors[-SURE_SLOTS:]
        whole = trend(window)
        doubt = self._doubt(floors, window, whole)
        if doubt:
            return Verdict(True, False, rate, since_s, doubt)
        return Verdict(True, True, self._per_min(whole), since_s, f"Mann-Kendall z {whole.z:.1f}, tau {whole.tau:.2f}")

    def _doubt(self, floors: list[float], window: list[float], whole: Trend) -> str:
        """Why growth may yet be none; "" where nothing speaks against it."""
        if len(window) < SURE_SLOTS:
            return "it grows, but not for long"
        third = SURE_SLOTS // 3
        thirds = [self._per_min(trend(window[at : at + third])) for at in range(0, SURE_SLOTS, third)]
        rate = self._per_min(whole)
        if whole.tau < LEAST_TAU or whole.z < LEAST_Z or min(thirds) <= 0 or rate < self.limit_bytes_per_min:
            return "it grows, but not throughout"
        if thirds[-1] < max(self.limit_bytes_per_min, LEVELS_OFF * rate):
            return "growth levels off"
        if window[-1] - min(window) <= largest_fall(floors):
            return "as much has been given back before"
        return ""

    def _per_min(self, found: Trend) -> float:
        return found.slope * 60.0 / self.slot_s

    def _risen_slots(self, floors: list[float]) -> int:
        """For how many slots the floor has been above where it was before."""
        lowest = float("inf")
        risen = 0
        for floor in reversed(floors):
            if floor > lowest + self.limit_bytes_per_min * self.slot_s / 60:
                break
            lowest = min(lowest, floor)
            risen += 1
        return risen
