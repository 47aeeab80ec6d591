"""Cache-Control and its kin, read so that doubt never makes anything live longer (RFC 9111, 4.2.1 and 5.2)."""

from __future__ import annotations

import re
from typing import Final

MOST_S: Final = 2**31  # RFC 9111, 1.2.2
_DIRECTIVE = re.compile(rb'[ \t,]*([!#$%&\'*+\-.^_`|~0-9A-Za-z]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^,;"]*)))?[ \t]*(,|$)')
LONGEST: Final = 8192  # bytes of a header that are read


def parse(header: bytes | None) -> dict[bytes, bytes | None]:
    """Directives in lower case with their arguments. Of two of one name the shorter time counts.

    What cannot be read makes the whole be ``no-store``: it may have been just that.
    """
    out: dict[bytes, bytes | None] = {}
    if not header:
        return out
    if len(header) > LONGEST:
        return {b"no-store": None}
    at = 0
    stripped = header.rstrip(b" \t,")
    while at < len(stripped):
        found = _DIRECTIVE.match(stripped, at)
        if found is None:
            return {b"no-store": None}
        name = found[1].lower()
        quoted, token = found[2], found[3]
        value = quoted if quoted is not None else token.strip() if token is not None else None
        if name in out:
            value = b"%d" % min(seconds(out[name]), seconds(value))
        out[name] = value
        at = found.end()
    return out


def seconds(value: bytes | None) -> int:
    """An argument as seconds; 0 for what is none: the answer is stale, then."""
    if value is None or not value.isdigit():
        return 0
    return min(MOST_S, int(value[:12]))


def names(header: bytes | None) -> tuple[bytes, ...]:
    """The field names of a list such as Vary's or Connection's, in lower case, sorted, each once."""
    if not header:
        return ()
    return tuple(sorted({name for part in header.split(b",") if (name := part.strip().lower())}))
