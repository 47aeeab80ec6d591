"""A kept request with everything below it, and how its spans are written down.

Spans of one trace share a clock: `start_ns` of a span is monotonic, never twice the same within a process at one time,
and hence its id, too. Where an id leaves the process it is written as 16 hex digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pitstop.model.errors import StoreCorruptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SLOW = "slow"
FAILED = "failed"
REPEATED = "n+1"
SLOW_QUERY = "slow query"
SAMPLE = "sample"
INGESTED = "ingested"
REASONS = (FAILED, SLOW, REPEATED, SLOW_QUERY, SAMPLE, INGESTED)
"""Why a trace was kept, the most telling first."""

LINE = "line"
"""The attribute of a span that names the code line that caused it."""

_VERSION = 1
_FIELDS = 9
_LEVEL = 6  # of zlib: 1.9 times smaller than level 1 on 50 spans for 40 µs more, once a trace, off the host's path


class Span(NamedTuple):
    """One timed thing of a trace.

    `span_id` and `parent_id` are unique within the trace, `parent_id` 0 for what is directly below the trace's root
    (the root itself is the trace's row, not a span). `start_ns` counts from the root's start. `nbytes` is rows for
    kind ``db``. `attrs` may have ``line``, the code line that caused it: ``shop/orders.py:120 in list_orders``.
    """

    span_id: int
    parent_id: int
    kind: str
    name: str
    outcome: str
    start_ns: int
    duration_ns: int
    nbytes: int
    attrs: Mapping[str, object] | None


def encode_spans(spans: Sequence[Span]) -> bytes:
    """`spans` as bytes: a version byte and deflated JSON. Attributes that JSON does not know are written as text."""
    import json  # noqa: PLC0415  a host that keeps no trace should not pay for it
    import zlib  # noqa: PLC0415

    text = json.dumps(spans, separators=(",", ":"), default=str, ensure_ascii=False)
    return bytes([_VERSION]) + zlib.compress(text.encode("utf-8", "replace"), _LEVEL)


def decode_spans(data: bytes) -> list[Span]:
    """The spans in `data`. Raises StoreCorruptError when it is of another version or damaged."""
    import json  # noqa: PLC0415
    import zlib  # noqa: PLC0415

    if not data or data[0] != _VERSION:
        raise StoreCorruptError(f"spans of version {data[:1]!r} are unknown, this Pitstop knows {_VERSION}")
    try:
        rows = json.loads(zlib.decompress(data[1:]))
    except (ValueError, zlib.error) as error:
        raise StoreCorruptError(f"the spans of a trace are damaged: {error}") from error
    if not all(isinstance(row, list) and len(row) == _FIELDS for row in rows):
        raise StoreCorruptError("the spans of a trace have a wrong shape")
    return [Span(*row) for row in rows]


class TraceMatch(NamedTuple):
    """Which traces a question is about: None matches any value. Durations are ns, `min_ns` included, `max_ns` not."""

    service: str | None = None
    name: str | None = None
    reason: str | None = None
    outcome: str | None = None
    min_ns: int | None = None
    max_ns: int | None = None


class Failure(NamedTuple):
    """An exception that a request did not survive, without values.

    `fingerprint` groups failures of one cause: 16 hex digits of type and stack. `message` has only what the code itself
    spells out, with ``…`` where it filled something in. `line` is the innermost one outside libraries;
    `stack` has a line a frame, outermost first, each as ``file:line in function``.
    """

    fingerprint: str
    type: str
    message: str
    line: str
    stack: str
