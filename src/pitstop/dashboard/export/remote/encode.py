"""Points as the bodies of remote-write requests, before compression.

1.0: https://prometheus.io/docs/specs/prw/remote_write_spec/ (``prometheus.WriteRequest``).
2.0: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ (``io.prometheus.write.v2.Request``).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from pitstop.rollup.otlp.wire import message, number, packed, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pitstop.dashboard.export.remote.points import Labels, Point

    Ended = tuple[Labels, bool]  # whether it was a native histogram

CONTENT_TYPES = {1: "application/x-protobuf", 2: "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
VERSIONS = {1: "0.1.0", 2: "2.0.0"}
_TYPES = {"counter": 1, "gauge": 2, "histogram": 3}  # of prompb's and of io.prometheus.write.v2's MetricType alike
_VALUE = b"\x09"  # field 1, a double
_STALE_NAN = struct.pack("<Q", 0x7FF0_0000_0000_0002)  # the one NaN that says that a series ended
_STALE = _VALUE + _STALE_NAN
_STALE_NATIVE = b"\x19" + _STALE_NAN  # field 3, the sum
_pack = struct.Struct("<d").pack


def write_request(points: Sequence[Point], ended: Sequence[Ended], at_ms: int) -> bytes:
    """Version 1.0. `ended` are series that are no more."""
    stamp = number(2, at_ms)
    pairs: dict[tuple[str, str], bytes] = {}
    out = []
    for point in points:
        labels = _labels(point.labels, pairs)
        if point.native:
            out.append(message(1, labels + message(4, point.native + number(15, at_ms))))
        else:
            out.append(message(1, labels + message(2, _VALUE + _pack(point.value) + stamp)))
    for gone, native in ended:
        stale = message(4, _STALE_NATIVE + number(15, at_ms)) if native else message(2, _STALE + stamp)
        out.append(message(1, _labels(gone, pairs) + stale))
    return b"".join(out)


def request_2(points: Sequence[Point], ended: Sequence[Ended], at_ms: int) -> bytes:
    """Version 2.0: every text once."""
    stamp = number(2, at_ms)
    symbols: dict[str, int] = {"": 0}
    out = []
    for point in points:
        family = point.family
        metadata = number(1, _TYPES[family.kind]) + number(3, _symbol(family.help, symbols))
        metadata += number(4, _symbol(family.unit, symbols))
        value = (
            message(3, point.native + number(15, at_ms))
            if point.native
            else message(2, _VALUE + _pack(point.value) + stamp)
        )
        out.append(message(5, _references(point.labels, symbols) + value + message(5, metadata)))
    for labels, native in ended:
        stale = message(3, _STALE_NATIVE + number(15, at_ms)) if native else message(2, _STALE + stamp)
        out.append(message(5, _references(labels, symbols) + stale))
    return b"".join(text(4, symbol) for symbol in symbols) + b"".join(out)


def _labels(labels: Labels, pairs: dict[tuple[str, str], bytes]) -> bytes:
    out = b""
    for pair in labels:
        known = pairs.get(pair)
        if known is None:
            pairs[pair] = known = message(1, text(1, pair[0]) + text(2, pair[1]))
        out += known
    return out


def _references(labels: Labels, symbols: dict[str, int]) -> bytes:
    return packed(1, (_symbol(word, symbols) for pair in labels for word in pair))


def _symbol(word: str, symbols: dict[str, int]) -> int:
    return symbols.setdefault(word, len(symbols))
