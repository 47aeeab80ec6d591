"""W3C Trace Context, level 1: the header by which a request says which trace it belongs to. Strict: else it is none."""

from __future__ import annotations

from typing import NamedTuple

_LENGTHS = [2, 32, 16, 2]  # version, trace id, parent id, flags, in hex
_MOST_BYTES = 512  # a longer one is not looked at
_HEX = b"0123456789abcdef"


class Remote(NamedTuple):
    """The caller's trace (32 hex digits) and the span of it that called (16)."""

    trace_id: str
    span_id: str


def parse(header: bytes | None) -> Remote | None:
    """What `header` says, or None when it is not well formed."""
    if header is None or len(header) > _MOST_BYTES:
        return None
    parts = header.split(b"-")
    known, version = parts[: len(_LENGTHS)], parts[0]
    if [len(part) for part in known] != _LENGTHS or any(part.strip(_HEX) for part in known):
        return None
    if version == b"ff" or (version == b"00" and len(parts) > len(known)):
        return None
    trace_id, span_id = parts[1:3]
    return Remote(trace_id.decode(), span_id.decode()) if trace_id.strip(b"0") and span_id.strip(b"0") else None
