"""What is answered to a request for a file: status, headers, and which bytes; no I/O."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

from pitstop.record import count
from pitstop.record.reports import add_reporter
from pitstop.tune.conditional import (
    NOT_MODIFIED,
    NOT_SATISFIABLE,
    OK,
    PARTIAL,
    accepted_encodings,
    evaluate,
    wanted_part,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pitstop.record.reports import Report
    from pitstop.tune.conditional import Headers
    from pitstop.tune.static.index import Entry, Pairs, Variant

NOT_ALLOWED = 405
_KEPT_BY_304 = frozenset({b"etag", b"cache-control", b"vary", b"last-modified"})  # RFC 9110, 15.4.5


class Answer(NamedTuple):
    """`variant`'s bytes from `start` to `end`, or none where it is None."""

    status: int
    headers: Pairs
    variant: Variant | None
    start: int = 0
    end: int = 0


def answer(method: str, entry: Entry, headers: Headers) -> Answer:
    """What to answer to `method` with these headers (names in lower case)."""
    if method not in {"GET", "HEAD"}:
        return Answer(NOT_ALLOWED, ((b"allow", b"GET, HEAD"), (b"content-length", b"0")), None)
    variant = entry.plain if b"range" in headers else _chosen(entry, headers.get(b"accept-encoding"))
    status = evaluate(headers, variant.etag, variant.modified_s)
    if status == NOT_MODIFIED:
        return Answer(status, tuple(pair for pair in variant.headers if pair[0] in _KEPT_BY_304), None)
    if status != OK:
        return Answer(status, ((b"content-length", b"0"),), None)
    length = variant.length
    part = wanted_part(headers, length, variant.etag, variant.modified_s) if method == "GET" else None
    if part is None:
        sized = (*variant.headers, (b"content-length", b"%d" % length))
        return Answer(OK, sized, variant if method == "GET" else None, 0, length)
    start, end = part
    if start < 0:
        return Answer(NOT_SATISFIABLE, ((b"content-range", b"bytes */%d" % length), (b"content-length", b"0")), None)
    more = (b"content-range", b"bytes %d-%d/%d" % (start, end - 1, length)), (b"content-length", b"%d" % (end - start))
    return Answer(PARTIAL, (*variant.headers, *more), variant, start, end)


def _chosen(entry: Entry, accept: bytes | None) -> Variant:
    """The smallest encoding that the client takes."""
    if accept and entry.encoded:
        accepted = accepted_encodings(accept)
        for encoding, variant in entry.encoded:
            if accepted.get(encoding, accepted.get(b"*", 0.0)) > 0:
                return variant
    return entry.plain


class Served:
    """How many files were answered for, without a lock; the recorder is told what was added every some seconds."""

    def __init__(self) -> None:
        self._files = itertools.count()
        self._reads = self._told = 0
        add_reporter(self._report)

    def add(self) -> None:
        """Count one."""
        next(self._files)

    def total(self) -> int:
        """How many so far."""
        self._reads += 1
        return next(self._files) - self._reads + 1

    def _report(self) -> Iterator[Report]:
        total = self.total()
        if total > self._told:
            count("static files", total - self._told)
            self._told = total
        return iter(())
