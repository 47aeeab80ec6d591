"""How many messages a body has, before it is decoded: two bytes as sent may be a hundred as an object."""

from __future__ import annotations

MOST_MESSAGES = 200_000  # spans with their attributes, or points, and what is around them
MOST_JSON = 300_000  # objects and lists

_PATH = (
    frozenset({1}),  # ResourceSpans, ResourceMetrics
    frozenset({2}),  # ScopeSpans, ScopeMetrics
    frozenset({2}),  # Span, Metric
    frozenset({5, 7, 9, 10, 11}),  # Gauge … Summary; of a Span its attributes, events
    frozenset({1}),  # points
)
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types


def json_is_too_much(body: bytes) -> bool:
    """Whether `body` has more objects and lists than a request may have."""
    return body.count(b"{") + body.count(b"[") > MOST_JSON


def protobuf_is_too_much(body: bytes) -> bool:
    """Whether `body` has more messages than a request may have. What is no protobuf is left to the decoder."""
    left = MOST_MESSAGES
    todo = [(0, len(body), 0)]
    while todo:
        at, end, depth = todo.pop()
        wanted = _PATH[depth]
        while at < end:
            tag, at = _varint(body, at, end)
            kind = tag & 7
            if kind == _LENGTH:
                length, at = _varint(body, at, end)
                if tag >> 3 in wanted:
                    left -= 1
                    if left < 0:
                        return True
                    if depth + 1 < len(_PATH):
                        todo.append((at, min(at + length, end), depth + 1))
                at += length
            elif kind == _VARINT:
                _, at = _varint(body, at, end)
            elif kind in {_FIXED64, _FIXED32}:
                at += 8 if kind == _FIXED64 else 4
            else:
                break
    return False


def _varint(body: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < 70:  # noqa: PLR2004  ten bytes at most
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004  the last
            break
        shift += 7
    return value, at
