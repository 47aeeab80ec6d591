"""What was counted in the pieces of time between borders, and windows as sums of them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from pitstop.watch.burn import Outcomes

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from pitstop.analyze.columns import Ints
    from pitstop.model import Window
    from pitstop.watch.scopes import Scope

T = TypeVar("T")
MOST_KEPT = 16  # kinds of series times windows of points that are asked about at once


class Course(NamedTuple):
    """What happened to one scope. `read` takes windows whose ends are borders of pieces or bins."""

    scope: Scope
    read: Callable[[Window], Outcomes]


class Bins:
    """Good and total of each bin of each scope, as they are read."""

    def __init__(self) -> None:
        self.edges: list[int] = []
        self._good: list[Ints] = []
        self._total: list[Ints] = []

    def copy(self) -> Bins:
        """One that has the same and grows apart."""
        other = Bins()
        other.edges, other._good, other._total = list(self.edges), list(self._good), list(self._total)
        return other

    def add(self, begins: Iterable[int], good: Ints, total: Ints) -> None:
        """Bins in order of time, with arrays of shape (bins, scopes)."""
        self.edges += begins
        self._good.append(good)
        self._total.append(total)

    def courses(self, scopes: Sequence[Scope], end_s: int) -> list[Course]:
        """A reader for each scope; scopes that came up late have nothing in earlier bins."""
        number = len(scopes)
        good, total = (_running(parts, number) for parts in (self._good, self._total))
        edges = [*self.edges, end_s]
        return [Course(scope, _reader(edges, good[:, i], total[:, i])) for i, scope in enumerate(scopes)]


class Kept:
    """What was read of the time that is over, for whoever asks again soon: it changes at the next hour. Any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Hashable, object] = OrderedDict()

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` answers, asked once; not to be changed. The oldest of more than MOST_KEPT goes."""
        with self._lock:
            if key in self._found:
                return self._found[key]  # type: ignore[return-value]  # of this key
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > MOST_KEPT:
                self._found.popitem(last=False)
        return made


def _running(parts: Sequence[Ints], scopes: int) -> Ints:
    """Sums of all bins before each border, of shape (borders, scopes)."""
    widened = [np.pad(part, ((0, 0), (0, scopes - part.shape[1]))) for part in parts]
    everything = np.concatenate([np.zeros((1, scopes), dtype=np.int64), *widened])
    sums: Ints = np.cumsum(everything, axis=0)
    return sums


def _reader(edges: Sequence[int], good: Ints, total: Ints) -> Callable[[Window], Outcomes]:
    good_before, total_before = good.tolist(), total.tolist()

    def read(window: Window) -> Outcomes:
        first, last = bisect_left(edges, window.start_s), bisect_left(edges, window.end_s)
        last = min(last, len(edges) - 1)
        first = min(first, last)
        return Outcomes(good_before[last] - good_before[first], total_before[last] - total_before[first])

    return read
