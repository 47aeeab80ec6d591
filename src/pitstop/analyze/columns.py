"""A whole column of encoded histograms added up by group at once, and every group's percentiles.

`pitstop.rollup.codec` writes one version byte and then LEB128 pairs (step to the next used position, count). Joined
together, a column is one long run of varints: the version byte is a varint of one byte, so the place of each
histogram is known without a loop. Exactly what decoding and merging one by one gives, about fifty times faster.

Memory: 8 bytes × groups × positions between the lowest and the highest used one (1,066 at most).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pitstop.model import StoreCorruptError
from pitstop.rollup.codec import VERSION
from pitstop.rollup.histogram import POSITIONS, value_ns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Ints = NDArray[np.int64]
    Floats = NDArray[np.float64]

_CONTINUES = 0x80
_SEVEN_BITS = 0x7F
_LONGEST_VARINT = 9  # bytes: 63 bits
_BLOCK_BYTES = 1 << 18  # at once: what is made of it stays in the processor's cache

VALUES_NS: Floats = np.array([value_ns(position) for position in range(POSITIONS)])
"""What a duration in each position is taken to be, ns."""


@dataclass(frozen=True, slots=True)
class GroupCounts:
    """Counts by group and position. Column 0 of `counts` is position `first`; positions outside hold nothing."""

    first: int
    counts: Ints

    @property
    def values_ns(self) -> Floats:
        """The duration each column stands for, ns."""
        return VALUES_NS[self.first : self.first + self.counts.shape[1]]

    def totals(self) -> Ints:
        """Durations in each group."""
        total: Ints = self.counts.sum(axis=1)
        return total

    def group(self, number: int) -> dict[int, int]:
        """Counts by position of one group, as `pitstop.rollup.histogram` has them."""
        row = self.counts[number]
        return {int(i) + self.first: int(row[i]) for i in np.flatnonzero(row)}


def merged_by_group(hists: Sequence[bytes], groups: Ints, number: int) -> GroupCounts:
    """Counts of all histograms of each group added up; `groups[i]`, 0 … number − 1, is the group of `hists[i]`.

    Empty ones (``b""``) count nothing. Raises StoreCorruptError for bytes that the codec cannot have written.
    """
    return merged_by_groups(hists, [(groups, number)])[0]


def merged_by_groups(hists: Sequence[bytes], ways: Sequence[tuple[Ints, int]]) -> list[GroupCounts]:
    """`merged_by_group` for each of `ways`, groups and their number, with the histograms decoded only once."""
    groups = [one for one, _ in ways]
    lengths = np.fromiter(map(len, hists), dtype=np.int64, count=len(hists))
    used = lengths > 1
    if not used.all():
        if any(hist[0] != VERSION for hist in hists if len(hist) == 1):
            raise _unknown_version()
        hists, lengths = [hist for hist in hists if len(hist) > 1], lengths[used]
        groups = [one[used] for one in groups]
    totals = [np.zeros(number * POSITIONS) for _, number in ways]  # float64 adds whole numbers exactly up to 2^53
    most_pairs = min(max(_BLOCK_BYTES, int(lengths.max(initial=0))), int(lengths.sum())) // 2
    steps, counts = np.empty(most_pairs, dtype=np.int64), np.empty(most_pairs)
    ends = np.cumsum(lengths)
    first = 0
    while first < len(hists):
        begin = int(ends[first] - lengths[first])
        last = max(first + 1, int(np.searchsorted(ends, begin + _BLOCK_BYTES, side="right")))
        data = np.frombuffer(b"".join(hists[first:last]), dtype=np.uint8)
        _add_block(totals, data, lengths[first:last], [one[first:last] for one in groups], steps, counts)
        first = last
    return [_trimmed(total.reshape(number, POSITIONS)) for total, (_, number) in zip(totals, ways, strict=True)]


def _add_block(
    totals: Sequence[Floats],
    data: NDArray[np.uint8],
    lengths: Ints,
    groups: Sequence[Ints],
    steps: Ints,
    counts: Floats,
) -> None:
    """Add what `data` counts to each of `totals`, by its `groups`.

    `steps` and `counts` are room to work in, because fresh memory is dear.
    """
    ends = np.cumsum(lengths)
    starts = ends - lengths
    if (data[starts] != VERSION).any():
        raise _unknown_version()
    if (data[ends - 1] >= _CONTINUES).any():
        raise StoreCorruptError("a histogram ends in the middle of a number; run 'pitstop doctor'")
    # Most varints are one byte: what continues is taken out and put right afterwards.
    last_byte = data < _CONTINUES
    last_byte[starts] = False  # the version
    values = data[last_byte]
    continued = np.flatnonzero(data >= _CONTINUES)
    numbers = lengths - 1 - np.diff(np.searchsorted(continued, ends), prepend=0)
    if (numbers % 2).any():
        raise StoreCorruptError("a histogram ends in the middle of a pair; run 'pitstop doctor'")
    steps, counts = steps[: len(values) // 2], counts[: len(values) // 2]
    steps[:], counts[:] = values[0::2], values[1::2]
    if len(continued):
        _put_long_ones(data, continued, starts, steps, counts)
    # One running sum over the steps of all histograms gives the cell (group, position) of every pair.
    pairs_before = (np.cumsum(numbers) - numbers) // 2
    highest = np.add.reduceat(steps, pairs_before)
    if int(highest.max()) >= POSITIONS or int(steps.min()) < 0:
        raise StoreCorruptError(f"a histogram uses a position above {POSITIONS - 1}; upgrade Pitstop")
    base = groups[0] * POSITIONS
    steps[pairs_before] += base
    steps[pairs_before[1:]] -= base[:-1] + highest[:-1]
    cells = np.cumsum(steps, out=steps)
    np.add.at(totals[0], cells, counts)
    for total, others in zip(totals[1:], groups[1:], strict=True):
        np.add.at(total, cells + np.repeat((others - groups[0]) * POSITIONS, numbers // 2), counts)


def _trimmed(total: Floats) -> GroupCounts:
    """Without the columns below and above what is used."""
    columns = np.flatnonzero(total.any(axis=0))
    if not len(columns):
        return GroupCounts(0, np.zeros((len(total), 1), dtype=np.int64))
    first, last = int(columns[0]), int(columns[-1])
    return GroupCounts(first, total[:, first : last + 1].astype(np.int64))


def _put_long_ones(data: NDArray[np.uint8], continued: Ints, starts: Ints, steps: Ints, counts: Floats) -> None:
    """Write every varint of more than one byte where only the bits of its last byte stand yet."""
    last_of_run = np.flatnonzero(np.diff(continued, append=-1) != 1)
    run_lengths = np.diff(last_of_run, prepend=-1)
    if run_lengths.max() >= _LONGEST_VARINT:
        raise StoreCorruptError("a histogram holds a number of more than 63 bits; run 'pitstop doctor'")
    first_of_run = last_of_run + 1 - run_lengths
    place_in_run = np.arange(len(continued)) - np.repeat(first_of_run, run_lengths)
    low_bits = (data[continued] & _SEVEN_BITS).astype(np.int64) << (7 * place_in_run)
    final = continued[last_of_run] + 1
    long = np.add.reduceat(low_bits, first_of_run) + (data[final].astype(np.int64) << (7 * run_lengths))
    place = final - (last_of_run + 1) - np.searchsorted(starts, final, side="right")
    step = place % 2 == 0
    steps[place[step] // 2] = long[step]
    counts[place[~step] // 2] = long[~step]


def _unknown_version() -> StoreCorruptError:
    return StoreCorruptError(
        f"a histogram of unknown format, this version reads {VERSION:02x}; upgrade Pitstop or run 'pitstop doctor'"
    )


def ranks(totals: Ints, q: float) -> Ints:
    """Rank ceil(q·n), at least 1, of quantile `q` in groups of `totals` durations (numpy's ``inverted_cdf``)."""
    rank: Ints = np.maximum(1, np.ceil(q * totals - 1e-9)).astype(np.int64)
    return rank


def values_of_rank_ns(merged: GroupCounts, wanted: Ints) -> Floats:
    """The duration of rank `wanted[group, k]`, ns, of shape (groups, k); NaN where a group is empty."""
    totals = merged.totals()
    running = np.cumsum(merged.counts.ravel())
    below = np.cumsum(totals) - totals
    limited = np.clip(wanted, 1, np.maximum(totals, 1)[:, None])
    at = np.searchsorted(running, below[:, None] + limited)
    column = at % merged.counts.shape[1]
    return np.where(totals[:, None] > 0, merged.values_ns[column], np.nan)


def quantiles_ns(merged: GroupCounts, qs: Sequence[float], min_ns: Ints, max_ns: Ints) -> Floats:
    """Quantile `qs[k]` of every group, ns, of shape (groups, k); NaN where a group is empty.

    Within 1.083 % of the exact value of that rank, and never outside the exact `min_ns` … `max_ns` of the group.
    """
    totals = merged.totals()
    wanted = np.stack([ranks(totals, q) for q in qs], axis=1)
    found = values_of_rank_ns(merged, wanted)
    return np.clip(found, min_ns[:, None], max_ns[:, None])
