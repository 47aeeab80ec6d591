"""Families as length-delimited protobuf messages, with native histograms beside the classic buckets.

``io.prometheus.client.MetricFamily`` (github.com/prometheus/client_model, metrics.proto). A native histogram of
schema 5 has the buckets that we keep, so nothing is lost on the way.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pitstop.dashboard.export.family import COUNTER, HISTOGRAM
from pitstop.dashboard.export.text import by_bucket, classic
from pitstop.rollup.histogram import BUCKETS_PER_OCTAVE, OTEL_OFFSET, SCALE
from pitstop.rollup.otlp.wire import double, message, number, signed, text, varint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pitstop.analyze.columns import GroupCounts, Ints
    from pitstop.dashboard.export.family import Exemplar, Family, LabelSet

PROTOBUF_TYPE = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
ZERO_S = 2.0 ** ((1 - OTEL_OFFSET) / BUCKETS_PER_OCTAVE)  # what is not longer is in the zero bucket
_FIRST_INDEX = OTEL_OFFSET - 1  # Prometheus numbers buckets by their upper border: position less this
_TYPES = {"counter": 0, "gauge": 1, "histogram": 4}
_SHORT_GAP = 3  # empty buckets that are cheaper to write than a new span


class Native(NamedTuple):
    """The buckets of one native histogram: spans of (buckets left out before it, length), and differences of counts."""

    zero: int
    spans: Sequence[tuple[int, int]]
    deltas: Sequence[int]


def write_protobuf(families: Iterable[Family]) -> Iterator[bytes]:
    """Pieces of the body: families, each after its length."""
    for family in families:
        metrics = b"".join(_histograms(family) if family.kind == HISTOGRAM else _values(family))
        if metrics:
            name = f"{family.name}_total" if family.kind == COUNTER else family.name
            body = text(1, name) + text(2, family.help) + number(3, _TYPES[family.kind]) + metrics
            yield varint(len(body)) + body


def _values(family: Family) -> Iterator[bytes]:
    field = 3 if family.kind == COUNTER else 2
    for labels, value in family.values:
        yield message(4, _labels(family.labels, labels) + message(field, double(1, value)))


def _histograms(family: Family) -> Iterator[bytes]:
    assert family.blocks is not None
    borders = [double(2, 2.0**bound) for bound in family.bounds]
    for block in family.blocks():
        rows = zip(
            block.labels,
            block.events.tolist(),
            block.sum.tolist(),
            classic(block.merged, family.bounds),
            natives(block.merged),
            strict=True,
        )
        for labels, count, total, buckets, native in rows:
            found = block.exemplars.get(labels)
            exemplars = by_bucket(family.bounds, found) if found else {}
            body = number(1, count) + double(2, total)
            for place, (border, below) in enumerate(zip(borders, buckets, strict=True)):
                body += message(3, number(1, below) + border + _exemplar(exemplars, place))
            if len(borders) in exemplars:
                body += message(3, number(1, count) + double(2, float("inf")) + _exemplar(exemplars, len(borders)))
            body += signed(5, SCALE) + double(6, ZERO_S) + number(7, native.zero)
            for gap, length in native.spans:
                body += message(12, signed(1, gap) + number(2, length))
            body += message(13, b"".join([varint(zigzag(delta)) for delta in native.deltas])) if native.deltas else b""
            yield message(4, _labels(family.labels, labels) + message(7, body))


def natives(merged: GroupCounts) -> Iterator[Native]:
    """The native histogram of each group."""
    groups, columns = np.nonzero(merged.counts)
    cuts = np.searchsorted(groups, np.arange(len(merged.counts) + 1)).tolist()
    for group, (start, end) in enumerate(pairwise(cuts)):
        row, used = merged.counts[group], columns[start:end]
        zero = int(row[0]) if merged.first == 0 else 0
        if zero:
            used = used[1:]
        yield _native(zero, row, used, merged.first)


def _native(zero: int, row: Ints, used: Ints, first: int) -> Native:
    if not len(used):
        # a histogram without spans would be taken for a classic one: client_model says to write an empty span
        return Native(zero, [(0, 0)], [])
    breaks = np.flatnonzero(np.diff(used) > _SHORT_GAP + 1) + 1
    starts, ends = np.append(0, breaks), np.append(breaks, len(used)) - 1
    spans, counts, after = [], [], 0
    for low, high in zip(used[starts].tolist(), used[ends].tolist(), strict=True):
        index = low + first - _FIRST_INDEX
        spans.append((index - after, high - low + 1))
        after = index + high - low + 1
        counts.append(row[low : high + 1])
    return Native(zero, spans, np.diff(np.concatenate(counts), prepend=0).tolist())


def zigzag(value: int) -> int:
    """A signed number as protobuf's sint has it."""
    return value << 1 if value >= 0 else (-value << 1) - 1


def _exemplar(exemplars: Mapping[int, Exemplar], place: int) -> bytes:
    exemplar = exemplars.get(place)
    if exemplar is None:
        return b""
    seconds = int(exemplar.ts_s)
    stamp = number(1, seconds) + number(2, int((exemplar.ts_s - seconds) * 1e9))
    pair = message(1, text(1, "trace_id") + text(2, exemplar.trace_id))
    return message(3, pair + double(2, exemplar.value_s) + message(3, stamp))


def _labels(names: Sequence[str], values: LabelSet) -> bytes:
    pairs = zip(names, values, strict=True)
    return b"".join([message(1, text(1, name) + text(2, value)) for name, value in pairs if value])
