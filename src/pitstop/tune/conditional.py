"""Conditional and range requests by RFC 9110, sections 13 and 14, over headers as bytes; no I/O.

What servers of files and caches of answers have in common: whether the client's copy is good, and which part it wants.
"""

from __future__ import annotations

import re
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    Headers = Mapping[bytes, bytes]  # names in lower case; repeated fields joined by ", "

OK: Final = 200
PARTIAL: Final = 206
NOT_MODIFIED: Final = 304
PRECONDITION_FAILED: Final = 412
NOT_SATISFIABLE: Final = 416

_ETAG = re.compile(rb'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # 8.8.3
_RANGE = re.compile(rb"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


def fields(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Header fields by name in lower case; repeated ones joined as RFC 9110, 5.3 has it."""
    out: dict[bytes, bytes] = {}
    for name, value in pairs:
        lower = name.lower()
        out[lower] = out[lower] + b", " + value if lower in out else value
    return out


def http_date(at_s: float) -> bytes:
    """As ``Sat, 21 Nov 2026 20:00:00 GMT``."""
    return formatdate(at_s, usegmt=True).encode()


def parse_date_s(value: bytes) -> float | None:
    """Unix time of an HTTP date, None when it is none."""
    try:
        return parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def lists_etag(listed: bytes, etag: bytes, *, strongly: bool = False) -> bool:
    """Whether `etag` is one of `listed`, or that is ``*``; by strong or weak comparison (8.8.3.2)."""
    if listed.strip() == b"*":
        return True
    if strongly:
        return not etag.startswith(b"W/") and etag in _ETAG.findall(listed)
    opaque = etag.removeprefix(b"W/")
    return any(tag.removeprefix(b"W/") == opaque for tag in _ETAG.findall(listed))


def evaluate(headers: Headers, etag: bytes | None, modified_s: float | None) -> int:
    """What becomes of a GET or HEAD whose answer would be 200: 200, 304 or 412 (13.2.2, in its order)."""
    asked = headers.get(b"if-match")
    if asked is not None:
        if etag is None or not lists_etag(asked, etag, strongly=True):
            return PRECONDITION_FAILED
    elif b"if-unmodified-since" in headers and modified_s is not None:
        since_s = parse_date_s(headers[b"if-unmodified-since"])
        if since_s is not None and int(modified_s) > since_s:
            return PRECONDITION_FAILED
    asked = headers.get(b"if-none-match")
    if asked is not None:
        return NOT_MODIFIED if etag is not None and lists_etag(asked, etag) else OK
    if b"if-modified-since" in headers and modified_s is not None:
        since_s = parse_date_s(headers[b"if-modified-since"])
        if since_s is not None and int(modified_s) <= since_s:
            return NOT_MODIFIED
    return OK


def wanted_part(headers: Headers, length: int, etag: bytes | None, modified_s: float | None) -> tuple[int, int] | None:
    """Start and end (exclusive) of the one range that is asked for, (-1, -1) when it cannot be satisfied, None for all.

    Several ranges get the whole, which RFC 9110, 14.2 allows: nobody can ask for more bytes than there are.
    """
    asked = _RANGE.fullmatch(headers.get(b"range", b""))
    if asked is None or not _still_same(headers.get(b"if-range"), etag, modified_s):
        return None
    first, last = asked.groups()
    if not first:
        if not last:
            return None
        return (max(0, length - int(last)), length) if int(last) and length else (-1, -1)
    start = int(first)
    end = int(last) + 1 if last else length
    if end <= start and last:
        return None  # 14.1.1: invalid, so it is as if it were not there
    return (start, min(end, length)) if start < length else (-1, -1)


def _still_same(if_range: bytes | None, etag: bytes | None, modified_s: float | None) -> bool:
    """13.1.5: by strong comparison, dates exactly."""
    if if_range is None:
        return True
    if if_range.startswith((b'"', b"W/")):
        return etag is not None and if_range.strip() == etag and not etag.startswith(b"W/")
    return modified_s is not None and parse_date_s(if_range) == int(modified_s)


def accepted_encodings(header: bytes | None) -> dict[bytes, float]:
    """Codings and their weights (12.5.3); those that are not acceptable have 0."""
    out: dict[bytes, float] = {}
    for part in (header or b"").split(b",", 32)[:32]:
        name, _, parameter = part.strip().lower().partition(b";")
        weight = 1.0
        key, _, value = parameter.partition(b"=")
        if key.strip() == b"q":
            try:
                weight = min(1.0, max(0.0, float(value)))
            except ValueError:
                weight = 0.0
        if name:
            out[name.strip()] = weight
    return out
