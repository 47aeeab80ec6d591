"""Whether an answer may be kept and for how long, and whether a kept one answers a request: RFC 9111 and RFC 5861.

Where the RFC leaves a choice, the one is taken that cannot give one user another's answer: Set-Cookie is never kept,
and what was asked for with credentials (Cookie counts as one) is kept, or served to who shows some, only if the answer
says ``public`` or ``s-maxage``. Nothing is kept that does not say for how long: no heuristics (4.2.2).
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from pitstop.tune.cache.web.directives import names, parse, seconds
from pitstop.tune.cache.web.exchange import varied
from pitstop.tune.conditional import parse_date_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pitstop.tune.cache.web.exchange import Asked, Stored
    from pitstop.tune.cache.web.marking import Marker

# Final status codes that the rules understand: those that caches may keep (RFC 9110, 15.1), and 302 and 307.
STATUSES: Final = frozenset({200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 451, 501})
MOST_VARY: Final = 8  # names in a Vary; more make every answer one of its own
# Of one connection (RFC 9110, 7.6.1), or of one exchange (Set-Cookie; Age and Cache-Status are written anew).
NOT_KEPT: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authentication-info proxy-authorization te "
    b"trailer transfer-encoding upgrade set-cookie set-cookie2 age cache-status date server-timing".split()
)


class Terms(NamedTuple):
    """How an answer may be kept; fields as in `Stored`."""

    fresh_s: float
    while_revalidate_s: float
    if_error_s: float
    shared: bool
    ask_always: bool
    never_stale: bool
    vary: tuple[bytes, ...]
    age_s: float


class Use(Enum):
    """What a kept answer is good for."""

    FRESH = "fresh"
    STALE = "stale"  # served, and made anew in the background
    ASK = "ask"  # only after its application was asked; or where that fails, within `if_error_s`
    NOT = "not"  # for somebody else


def terms(asked: Asked, status: int, headers: Mapping[bytes, bytes], marker: Marker | None) -> Terms | None:  # noqa: C901, PLR0911, PLR0912  the RFC's conditions
    """How the answer to `asked` may be kept, None when it may not (RFC 9111, 3)."""
    if asked.method != "GET" or status not in STATUSES or b"no-store" in asked.directives:
        return None
    if b"set-cookie" in headers or b"set-cookie2" in headers or b"content-range" in headers:
        return None
    control = parse(headers.get(b"cache-control"))
    if b"no-store" in control or b"private" in control:
        return None
    vary = names(headers.get(b"vary"))
    if b"*" in vary or len(vary) > MOST_VARY:
        return None
    marked = marker is not None and marker.ttl_s is not None
    shared = b"public" in control or b"s-maxage" in control or (marked and marker is not None and marker.public)
    if asked.who and not shared:  # 3.5, and for cookies likewise
        return None
    fresh_s: float
    if marked:
        assert marker is not None
        assert marker.ttl_s is not None
        fresh_s = marker.ttl_s
        vary = tuple(sorted({*vary, *marker.vary}))
    elif b"s-maxage" in control:
        fresh_s = seconds(control[b"s-maxage"])
    elif b"max-age" in control:
        fresh_s = seconds(control[b"max-age"])
    elif b"expires" in headers:
        until_s = parse_date_s(headers[b"expires"])
        from_s = parse_date_s(headers[b"date"]) if b"date" in headers else None
        if until_s is None or from_s is None:
            return None
        fresh_s = max(0.0, until_s - from_s)
    else:
        return None
    ask_always = b"no-cache" in control and not marked
    while_s, error_s = seconds(control.get(b"stale-while-revalidate")), seconds(control.get(b"stale-if-error"))
    never_stale = not {b"must-revalidate", b"proxy-revalidate"}.isdisjoint(control)
    if b"s-maxage" in control and not (while_s or error_s):  # it means proxy-revalidate, too (RFC 9111, 5.2.2.10)
        never_stale = True  # but who also names how long it may be served stale has said what is meant
    if marked and marker is not None:
        while_s, error_s = max(while_s, int(marker.stale_s)), max(error_s, int(marker.stale_if_error_s))
        never_stale = b"must-revalidate" in control
    age = headers.get(b"age")
    age_s = seconds(age.split(b",")[0].strip()) if age is not None else 0
    has_validator = b"etag" in headers or b"last-modified" in headers
    if (fresh_s <= age_s or ask_always) and not (has_validator or while_s or error_s):
        return None  # it would never be of use
    if never_stale or ask_always:
        while_s = error_s = 0
    return Terms(fresh_s, while_s, error_s, shared, ask_always, never_stale, vary, age_s)


def use(stored: Stored, asked: Asked, now_s: float) -> Use:  # noqa: PLR0911  the RFC's conditions, in its order
    """What `stored` is good for (RFC 9111, 4)."""
    if asked.who and not stored.shared:
        return Use.NOT
    if tuple(stored.varied) != varied(stored.varied[::2], asked.headers):  # its key says so, too
        return Use.NOT
    wishes = asked.directives
    if stored.ask_always or b"no-cache" in wishes:
        return Use.ASK
    age_s = stored.age_at(now_s)
    if b"max-age" in wishes and age_s > seconds(wishes[b"max-age"]):
        return Use.ASK
    left_s = stored.fresh_s - age_s
    if b"min-fresh" in wishes and left_s < seconds(wishes[b"min-fresh"]):
        return Use.ASK
    if left_s > 0:
        return Use.FRESH
    if stored.never_stale:
        return Use.ASK
    if b"max-stale" in wishes and (wishes[b"max-stale"] is None or -left_s <= seconds(wishes[b"max-stale"])):
        return Use.FRESH
    if -left_s < stored.while_revalidate_s and b"max-age" not in wishes:
        return Use.STALE
    return Use.ASK


def serves_errors(stored: Stored, now_s: float) -> bool:
    """Whether it may stand in for an application that fails (RFC 5861, 4)."""
    return not stored.never_stale and stored.age_at(now_s) < stored.fresh_s + stored.if_error_s


def kept_headers(headers: list[tuple[bytes, bytes]]) -> list[bytes]:
    """Names and values that go with a kept answer (RFC 9111, 3.1)."""
    dropped = NOT_KEPT.union(*(names(value) for name, value in headers if name.lower() == b"connection"))
    return [part for name, value in headers if name.lower() not in dropped for part in (name.lower(), value)]
