"""Metrics as they came: what was added since the last time, whatever buckets and temporality the sender has."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from pitstop.dashboard.ingest.incoming import AHEAD_NS, OLDEST_NS, clean, looked_at, scalar, source_of
from pitstop.instrument.otel.naming import KEPT, Names
from pitstop.rollup.histogram import BUCKETS_PER_OCTAVE, OTEL_OFFSET, POSITIONS, SCALE, position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

    from pitstop.dashboard.ingest.incoming import Refused, Source

MOST_POINTS = 20_000  # of one request
MOST_BUCKETS = 2000  # of one histogram; SDKs have 160
MOST_REMEMBERED = 20_000  # cumulative series; of the one not heard of for longest the next point counts as the first
_LARGEST = 1 << 53  # a count beyond is none

GAUGE, COUNT, HISTOGRAM = range(3)
_CUMULATIVE = 2  # AggregationTemporality
_TO_NS = {"s": 1e9, "ms": 1e6, "us": 1e3, "µs": 1e3, "ns": 1.0}


class Point(NamedTuple):
    """One figure: `value` of a gauge or what was added to a counter; of a histogram `positions` hold the counts."""

    kind: int
    name: str
    ts: int
    value: float
    positions: Mapping[int, int]
    min_ns: int
    max_ns: int
    attributes: Mapping[str, object]


class _Before(NamedTuple):
    start_ns: int
    total: float
    positions: Mapping[int, int]


class Points:
    """Reads requests, and remembers what cumulative ones said last. For one thread at a time."""

    def __init__(self) -> None:
        self._names: OrderedDict[tuple[str, str], Names] = OrderedDict()
        self._before: OrderedDict[tuple[object, ...], _Before] = OrderedDict()

    def of(self, request: ExportMetricsServiceRequest, now_ns: int, refused: Refused) -> Iterator[tuple[Source, Point]]:
        """The points of a request with their service."""
        taken = 0
        for group in request.resource_metrics:
            source = source_of(group.resource)
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    data: Any = getattr(metric, metric.WhichOneof("data") or "", None)
                    for point in getattr(data, "data_points", ()):
                        taken += 1
                        if taken > MOST_POINTS:
                            refused.add(f"a request may have {MOST_POINTS} points")
                        elif not now_ns - OLDEST_NS < point.time_unix_nano < now_ns + AHEAD_NS:
                            refused.add("a point older than 7 days, or more than 10 minutes ahead")
                        else:
                            found = self._point(source, metric, data, point)
                            if found is None:
                                refused.add("a point without a figure that can be kept")
                            elif found.value or found.kind == GAUGE:
                                yield source, found

    def _point(  # noqa: PLR0911  a kind of metric each
        self, source: Source, metric: Any, data: Any, point: Any
    ) -> Point | None:
        kind = metric.WhichOneof("data")
        attributes = looked_at(point.attributes)
        attributes.update({p.key: clean(scalar(p.value)) for p in point.attributes if p.key in KEPT})
        name = self._name(source.service, clean(metric.name), attributes)
        ts = point.time_unix_nano // 1_000_000_000
        key = (source, name, tuple(sorted((p.key[:200], str(scalar(p.value))[:200]) for p in point.attributes)))
        if kind in {"gauge", "sum"}:
            value = getattr(point, point.WhichOneof("value") or "", None)
            if value is None or not math.isfinite(value) or abs(value) >= _LARGEST:
                return None
            if kind == "gauge" or not data.is_monotonic:
                return Point(GAUGE, name, ts, float(value), {}, 0, 0, attributes)
            if data.aggregation_temporality == _CUMULATIVE:
                value, _ = self._added(key, _Before(point.start_time_unix_nano, value, {}))
            return Point(COUNT, name, ts, float(value), {}, 0, 0, attributes) if value >= 0 else None
        if kind == "summary" or not math.isfinite(point.sum) or point.count >= _LARGEST:
            return None
        to_ns = _TO_NS.get(metric.unit, 1e9)
        positions: Mapping[int, int] | None
        positions = _explicit(point, to_ns) if kind == "histogram" else _exponential(point, to_ns)
        if positions is None:
            return None
        total = point.sum * to_ns
        delta = data.aggregation_temporality != _CUMULATIVE
        least, most = (point.min * to_ns, point.max * to_ns) if delta and point.HasField("max") else (-1.0, -1.0)
        if not delta:
            total, positions = self._added(key, _Before(point.start_time_unix_nano, total, positions))
        if not 0 <= total < _LARGEST * 1e9 or not math.isfinite(least + most):
            return None
        return Point(HISTOGRAM, name, ts, total, positions, round(least), round(most), attributes)

    def _name(self, service: str, instrument: str, attributes: Mapping[str, object]) -> str:
        names = self._names.get((service, instrument))
        if names is None:
            self._names[service, instrument] = names = Names(instrument)
            if len(self._names) > MOST_REMEMBERED:
                self._names.popitem(last=False)
        return names.of(attributes)

    def _added(self, key: tuple[object, ...], now: _Before) -> tuple[float, Mapping[int, int]]:
        """What came since the last point of this series; all of it where it began anew."""
        before = self._before.pop(key, None)
        self._before[key] = now
        if len(self._before) > MOST_REMEMBERED:
            self._before.popitem(last=False)
        if before is None or before.start_ns != now.start_ns or now.total < before.total:
            return now.total, now.positions
        added = {at: n - before.positions.get(at, 0) for at, n in now.positions.items()}
        if any(n < 0 for n in added.values()):
            return now.total, now.positions
        return now.total - before.total, {at: n for at, n in added.items() if n}


def _explicit(point: Any, to_ns: float) -> dict[int, int] | None:
    """Counts by our positions: a bucket's in its middle, those beyond the last border at the maximum."""
    bounds, counts = point.explicit_bounds, point.bucket_counts
    if not counts or len(counts) > MOST_BUCKETS or len(counts) != len(bounds) + 1 or sum(counts) != point.count:
        return None
    if not all(map(math.isfinite, bounds)):
        return None
    positions: dict[int, int] = {}
    for i, n in enumerate(counts):
        if n:
            low = bounds[i - 1] if i else 0.0
            beyond = max(point.max, low) if point.HasField("max") and math.isfinite(point.max) else low
            value = (low + bounds[i]) / 2 if i < len(bounds) else beyond
            at = position_of(round(min(max(value * to_ns, 0.0), 1e15)))
            positions[at] = positions.get(at, 0) + n
    return positions


def _exponential(point: Any, to_ns: float) -> dict[int, int] | None:
    """Counts by our positions: exact from scale 5 upwards and in seconds, else within a bucket of theirs."""
    counts = point.positive.bucket_counts
    fits = len(counts) <= MOST_BUCKETS and -20 <= point.scale <= 20 and not any(point.negative.bucket_counts)  # noqa: PLR2004  the scales OpenTelemetry has
    if not fits or sum(counts) + point.zero_count != point.count:
        return None
    shift = round(math.log2(to_ns / 1e9) * BUCKETS_PER_OCTAVE) + OTEL_OFFSET
    positions = {0: point.zero_count} if point.zero_count else {}
    finer = point.scale - SCALE
    for i, n in enumerate(counts, point.positive.offset):
        if n:
            index = i >> finer if finer >= 0 else (i << -finer) + (1 << (-finer - 1))
            at = min(max(index + shift, 0), POSITIONS - 1)
            positions[at] = positions.get(at, 0) + n
    return positions
