"""Families as points: one value of one series each, with sorted labels, as remote write has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.dashboard.export.family import COUNTER, HISTOGRAM
from pitstop.dashboard.export.protobuf import ZERO_S, natives, zigzag
from pitstop.dashboard.export.text import classic
from pitstop.rollup.histogram import SCALE
from pitstop.rollup.otlp.wire import double, message, number, signed, varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pitstop.dashboard.export.family import Family, LabelSet
    from pitstop.dashboard.export.protobuf import Native

    Labels = tuple[tuple[str, str], ...]

NAME = "__name__"


class Point(NamedTuple):
    """One series now: a `value`, or a native histogram as the body of its message without its time."""

    labels: Labels
    value: float
    native: bytes
    family: Family


def points(families: Iterable[Family], given: Sequence[tuple[str, str]], *, with_native: bool) -> Iterator[Point]:
    """Every series; `given` labels are added to each."""
    for family in families:
        if family.kind == HISTOGRAM:
            yield from _histograms(family, given, with_native=with_native)
        elif family.values:
            name = f"{family.name}_total" if family.kind == COUNTER else family.name
            join = _Joining(family.labels, ((NAME, name), *given))
            for labels, value in family.values:
                yield Point(join(labels), value, b"", family)


def _histograms(family: Family, given: Sequence[tuple[str, str]], *, with_native: bool) -> Iterator[Point]:
    assert family.blocks is not None
    borders = (*(repr(2.0**bound) for bound in family.bounds), "+Inf")
    buckets = [_Joining(family.labels, ((NAME, f"{family.name}_bucket"), ("le", le), *given)) for le in borders]
    of_sum = _Joining(family.labels, ((NAME, f"{family.name}_sum"), *given))
    of_count = _Joining(family.labels, ((NAME, f"{family.name}_count"), *given))
    of_native = _Joining(family.labels, ((NAME, family.name), *given))
    for block in family.blocks():
        rows = zip(
            block.labels, block.events.tolist(), block.sum.tolist(), classic(block.merged, family.bounds),
            natives(block.merged), strict=True,
        )  # fmt: skip
        for labels, count, total, below, native in rows:
            for join, value in zip(buckets, (*below, count), strict=True):
                yield Point(join(labels), value, b"", family)
            yield Point(of_sum(labels), total, b"", family)
            yield Point(of_count(labels), count, b"", family)
            if with_native:
                yield Point(of_native(labels), 0.0, _native(native, count, total), family)


def _native(native: Native, count: int, total: float) -> bytes:
    """prompb.Histogram, the same in both versions."""
    body = number(1, count) + double(3, total) + signed(4, SCALE) + double(5, ZERO_S) + number(6, native.zero)
    for gap, length in native.spans:
        if length:
            body += message(11, signed(1, gap) + number(2, length))
    return body + message(12, b"".join([varint(zigzag(delta)) for delta in native.deltas]))


class _Joining:
    """A family's label values with what is given to all of them, sorted by name; empty values are left out."""

    def __init__(self, names: Sequence[str], given: Sequence[tuple[str, str]]) -> None:
        known = dict(given)
        own = [name for name in names if name not in known]
        self._order = sorted([*known, *own])
        self._at = [names.index(name) if name in own else None for name in self._order]
        self._given = known

    def __call__(self, labels: LabelSet) -> Labels:
        pairs = zip(self._order, self._at, strict=True)
        found = ((name, self._given[name] if at is None else labels[at]) for name, at in pairs)
        return tuple(pair for pair in found if pair[1])
