"""Many series of one interval as one row: their numbers as packed columns, their histograms joined.

Making Python objects of 8 fields costs 1.1 µs a row; a column of 100 numbers is one copy. A pack's numbers are seven
bytes (what each number of a column takes) and then the columns: series ids, lengths of the histograms, count, sum_ns,
min_ns, max_ns, nbytes; little-endian. Small packs use the fewest bytes that hold their numbers, so that a quiet
service's file stays small; larger ones eight for the last five columns, which are read without a look at the numbers.
"""

from __future__ import annotations

import sys
from array import array
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from pitstop.model.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

SERIES = 64  # in one pack: a question for one series reads past the others
WIDE_FROM = 24  # series; below, a pack is a small service's, and bytes count for more than the time to widen them

Values = tuple[int, int, int, int, int, bytes]  # count, sum_ns, min_ns, max_ns, nbytes, hist
Pack = tuple[int, int, int, bytes, bytes]  # first and last series, number of series, numbers, hists

_COLUMNS = 7
_CODES = {1: "B", 2: "H", 4: "I", 8: "q"}
_WIDE = bytes([8] * 5)
_SWAPPED = sys.byteorder == "big"


def packed(rows: Sequence[tuple[int, Values]]) -> Iterator[Pack]:
    """Packs of one interval's `rows`, which are in the order of their series; each series once."""
    for at in range(0, len(rows), SERIES):
        chunk = rows[at : at + SERIES]
        ids = [series for series, _ in chunk]
        *values, hists = zip(*(row for _, row in chunk), strict=True)
        narrow = len(chunk) < WIDE_FROM
        columns = [fitting(ids), fitting(list(map(len, hists)))]
        columns += [fitting(column) if narrow else array("q", column) for column in values]
        widths = bytes(column.itemsize for column in columns)
        yield ids[0], ids[-1], len(ids), widths + b"".join(map(column_of, columns)), b"".join(hists)


def fitting(values: Sequence[int]) -> array[int]:
    """The narrowest array that holds `values`."""
    most = max(values)
    if min(values) < 0 or most >> 32:
        return array("q", values)
    return array("B" if most < 1 << 8 else "H" if most < 1 << 16 else "I", values)


def column_of(column: array[int]) -> bytes:
    """Its numbers, little-endian."""
    if _SWAPPED:
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


class Unpacked:
    """Rows of packs and plain ones as columns, of the `wanted` series (None: all); `series` are ids."""

    __slots__ = ("_chosen", "_wanted", "count", "hist", "max_ns", "min_ns", "nbytes", "series", "sum_ns", "ts")

    def __init__(self, wanted: Collection[int] | None = None) -> None:
        self.ts = array("q")
        self.series: list[int] = []
        self.count, self.sum_ns, self.min_ns, self.max_ns, self.nbytes = (array("q") for _ in range(5))
        self.hist: list[bytes] = []
        self._wanted = None if wanted is None else frozenset(wanted)
        self._chosen: dict[tuple[int, bytes], tuple[list[int], list[int] | None]] = {}

    def rows(self) -> Iterator[tuple[int, int, Values]]:
        """ts, series and values of each row."""
        columns = (self.count, self.sum_ns, self.min_ns, self.max_ns, self.nbytes, self.hist)
        return zip(self.ts, self.series, zip(*columns, strict=True), strict=True)

    def add_rows(self, rows: Sequence[tuple[int, int, int, int, int, int, int, bytes]]) -> None:
        """Rows as a table of seconds has them, all of them wanted."""
        if not rows:
            return
        ts, series, *numbers, hists = zip(*rows, strict=True)
        self.ts.extend(ts)
        self.series.extend(series)
        for column, more in zip(self._numbers(), numbers, strict=True):
            column.extend(more)
        self.hist.extend(hists)

    def add_packs(self, packs: Iterable[tuple[int, int, bytes, bytes | None]]) -> None:
        """Packs of ts, number of series, numbers and histograms (None: not asked for).

        Raises StoreCorruptError when lengths do not fit.
        """
        for ts, n, numbers, hists in packs:
            widths = numbers[:_COLUMNS]
            if len(numbers) != _COLUMNS + n * sum(widths) or not set(widths) <= _CODES.keys():
                raise _corrupt(ts)
            lengths_at = _COLUMNS + n * widths[0]
            ids, places = self._choose(n, numbers[_COLUMNS:lengths_at])
            if not ids:
                continue
            self.ts.extend(array("q", (ts,)) * len(ids))
            self.series += ids
            values_at = lengths_at + n * widths[1]
            self._add_numbers(n, numbers[values_at:], widths[2:], places)
            if hists is None:
                self.hist += [b""] * len(ids)
                continue
            ends = list(accumulate(array_of(widths[1], numbers[lengths_at:values_at]), initial=0))
            if ends[-1] != len(hists):
                raise _corrupt(ts)
            if places is None:
                self.hist += [hists[start:end] for start, end in pairwise(ends)]
            else:
                self.hist += [hists[ends[i] : ends[i + 1]] for i in places]

    def _choose(self, n: int, data: bytes) -> tuple[list[int], list[int] | None]:
        """The wanted ids of a pack, and their places in it (None: all). Intervals mostly have the same series."""
        known = self._chosen.get((n, data))
        if known is None:
            ids = array_of(len(data) // n, data).tolist()
            places = None
            if self._wanted is not None and not self._wanted.issuperset(ids):
                places = [i for i, series in enumerate(ids) if series in self._wanted]
                ids = [ids[i] for i in places]
            known = self._chosen[n, data] = (ids, places)
        return known

    def _numbers(self) -> tuple[array[int], ...]:
        return self.count, self.sum_ns, self.min_ns, self.max_ns, self.nbytes

    def _add_numbers(self, n: int, data: bytes, widths: bytes, places: list[int] | None) -> None:
        if widths == _WIDE:
            block = array_of(8, data)
            for i, column in enumerate(self._numbers()):
                part = block[i * n : i * n + n]
                column.extend(part if places is None else [part[p] for p in places])
            return
        at = 0
        for column, width in zip(self._numbers(), widths, strict=True):
            part = array_of(width, data[at : at + n * width])
            column.extend(part.tolist() if places is None else [part[p] for p in places])
            at += n * width


def array_of(width: int, data: bytes) -> array[int]:
    """The numbers that `column_of` wrote, `width` bytes each."""
    out = array(_CODES[width])
    out.frombytes(data)
    if _SWAPPED:
        out.byteswap()
    return out


def _corrupt(ts: int) -> StoreCorruptError:
    return StoreCorruptError(f"the rollups of the interval at {ts} have a wrong length; run 'pitstop doctor'")
