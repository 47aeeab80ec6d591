"""What a region counts of itself: exact with any number of threads, and without a lock."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TENANTS: Final = 1000  # counted by name; those beyond share one
OTHERS: Final = "__other__"


class Tally:
    """A number that only rises; ``next(tally.up)`` adds one, in 20 ns and atomically."""

    __slots__ = ("up",)

    def __init__(self) -> None:
        self.up = count()

    @property
    def total(self) -> int:
        """How often it was raised."""
        return int(repr(self.up)[6:-1])  # "count(12)": reading it in any other way would raise it


class Mean:
    """Mean of times; an update may be lost where two threads measure at the very same moment."""

    __slots__ = ("_times",)

    def __init__(self) -> None:
        self._times = (0, 0.0)  # one object, so that number and sum always belong together

    def add(self, seconds: float) -> None:
        """Take one into account."""
        number, total = self._times
        self._times = (number + 1, total + seconds)

    @property
    def mean_s(self) -> float:
        """The mean, 0 where nothing was measured."""
        number, total = self._times
        return total / number if number else 0.0

    @property
    def total_s(self) -> float:
        """Their sum."""
        return self._times[1]


class Stats:
    """One region's totals since the process began."""

    def __init__(self, levels: Iterable[str]) -> None:
        self.hits = {name: Tally() for name in ("memory", *levels)}
        self.misses = Tally()
        self.stale = Tally()
        self.negative = Tally()
        self.errors = Tally()
        self.sets = Tally()
        self.evictions = Tally()
        self.refreshes = Tally()
        self.waits = Tally()
        self.invalidations = {how: Tally() for how in ("key", "tag", "tenant", "event", "everything")}
        self.lookup = Mean()
        self.recompute = Mean()
        self.saved_s = 0.0  # by entries that have left
        self.tenants: dict[str, tuple[Tally, Tally]] = {}
        self.last_error = ""

    def of_tenant(self, tenant: str) -> tuple[Tally, Tally]:
        """Hits and misses of `tenant`."""
        known = self.tenants.get(tenant)
        if known is None:
            name = tenant if len(self.tenants) < MOST_TENANTS else OTHERS
            known = self.tenants.setdefault(name, (Tally(), Tally()))
        return known
