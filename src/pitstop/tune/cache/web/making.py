"""What becomes of the answer that an application gives: passed on, held back a moment, kept, or replaced by a kept one.

Decisions without I/O, for ASGI and WSGI alike. An answer that may not be kept goes out as it came, byte for byte.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from pitstop.tune.cache.web.responses import etag_of
from pitstop.tune.cache.web.rules import serves_errors, terms
from pitstop.tune.conditional import NOT_MODIFIED, OK, evaluate, fields, parse_date_s

if TYPE_CHECKING:
    from pitstop.tune.cache.steps import Steps
    from pitstop.tune.cache.web.exchange import Asked, Headers, Pair, Stored
    from pitstop.tune.cache.web.marking import Marker
    from pitstop.tune.cache.web.responses import Look, ResponseCache
    from pitstop.tune.cache.web.rules import Terms

# Of a 304 (RFC 9110, 15.4.5); the rest describes a body that is not there.
_KEPT_BY_304: Final = frozenset({b"cache-control", b"content-location", b"date", b"etag", b"expires", b"vary", b"age"})
_CONDITIONS: Final = frozenset({b"if-none-match", b"if-modified-since"})
FAILED: Final = frozenset({500, 502, 503, 504})  # RFC 5861, 4

Answer = tuple[int, "list[Pair]", bytes]


class Mode(Enum):
    """What to do with what the application sends."""

    PASS = "pass"  # noqa: S105  no password
    HOLD = "hold"  # until the body is whole: then it gets a validator, and may become a 304
    COPY = "copy"  # pass on, and keep a copy
    STAND_IN = "stand in"  # a kept answer goes out instead


class Making:
    """One answer on its way from the application."""

    def __init__(self, cache: ResponseCache, look: Look, marker: Marker) -> None:
        self.cache = cache
        self.look = look
        self.marker = marker
        self.mode = Mode.PASS
        self.started = False
        self.status = 0
        self.headers: list[Pair] = []
        self._terms: Terms | None = None
        self.length: int | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._whole = False
        self._renewed = False

    def forwarded(self, headers: list[Pair]) -> list[Pair]:
        """The request's headers for the application: its own validator where it is to say whether that still holds.

        The client's conditions are left out where the answer is likely to be kept, so that there is one.
        """
        stored = self.look.stored
        if stored is None and self.look.flight is None:
            return headers
        headers = [pair for pair in headers if pair[0].lower() not in _CONDITIONS]
        if stored is not None and stored.own_etag and stored.status == OK:
            headers.append((b"if-none-match", dict(stored.pairs())[b"etag"]))
        return headers

    def start(self, status: int, headers: list[Pair]) -> Mode:
        """Take status and headers; what to do with them and with the body."""
        self.started = True
        self.status, self.headers = status, headers
        by_name = fields(headers)
        look = self.look
        stored = look.stored
        if stored is not None:
            if status == NOT_MODIFIED and stored.own_etag:
                self._renew(stored, headers)
                self.mode = Mode.STAND_IN
                return self.mode
            if status in FAILED and self.may_stand_in():
                self.mode = Mode.STAND_IN
                return self.mode
        if self.marker.ttl_s is not None and b"cache-control" not in by_name and status == OK:
            self.headers = [*headers, (b"cache-control", self.marker.control())]
            by_name[b"cache-control"] = b""  # it is ours: the marker's own terms count
        self._terms = terms(look.asked, status, by_name, self.marker)
        length = by_name.get(b"content-length", b"")
        self.length = int(length) if length.isdigit() else None
        endless = by_name.get(b"content-type", b"").startswith(b"text/event-stream")
        if self._terms is None or endless or (self.length or 0) > self.cache.max_bytes:
            self._terms = None
            self.cache.forget_known(look)
        else:
            self.mode = Mode.COPY if self.length is None else Mode.HOLD
        return self.mode

    def may_stand_in(self) -> bool:
        """Whether a kept answer may go out instead of a failure."""
        stored = self.look.stored
        return (
            stored is not None
            and b"no-cache" not in self.look.asked.directives
            and serves_errors(stored, self.cache.core.now_s())
        )

    def give_up(self) -> None:
        """The answer is of a sort that cannot be kept after all."""
        if self.mode in {Mode.HOLD, Mode.COPY}:
            self.mode = Mode.PASS
        self._terms, self._pieces = None, []
        self.cache.land(self.look)

    def piece(self, body: bytes, *, last: bool) -> None:
        """Take a piece of the body."""
        if self._terms is None:
            return
        self._size += len(body)
        if self._size > self.cache.max_bytes:
            self._terms, self._pieces = None, []
            self.cache.forget_known(self.look)
            return
        self._pieces.append(body)
        self._whole = last

    def whole(self) -> Answer:
        """The answer that was held back, with a validator; a 304 where the client has it."""
        body = b"".join(self._pieces)
        if not any(name.lower() == b"etag" for name, _ in self.headers):
            self.headers = [*self.headers, (b"etag", etag_of(body))]
        asked = self.look.asked
        if self.status == OK and evaluate(asked.headers, *validators(fields(self.headers))) == NOT_MODIFIED:
            return NOT_MODIFIED, [pair for pair in self.headers if pair[0].lower() in _KEPT_BY_304], b""
        return self.status, self.sent_headers, body

    @property
    def sent_headers(self) -> list[Pair]:
        """The answer's headers to send: a list of their own, because middleware further out changes it in place."""
        return list(self.headers)

    def finish(self) -> Steps[None]:
        """The application is done: keep what is complete."""
        how = self._terms
        if how is None or not (self._whole or self._renewed):
            return
        body = b"".join(self._pieces)
        if not self._renewed and self.length is not None and self.length != len(body):
            return  # RFC 9111, 3.3: incomplete
        stored = self.look.stored
        if self._renewed and stored is not None:
            own_etag, status, body = True, stored.status, stored.body
        else:
            own_etag, status = self._own_etag(body), self.status
        headers = self.headers
        if not any(name.lower() == b"etag" for name, _ in headers):
            headers = [*headers, (b"etag", etag_of(body))]
        yield from self.cache.keep(self.look, status, headers, body, how, own_etag=own_etag, tags=self.marker.tags)

    def _own_etag(self, body: bytes) -> bool:
        return any(name.lower() == b"etag" and value != etag_of(body) for name, value in self.headers)

    def _renew(self, stored: Stored, headers: list[Pair]) -> None:
        """The application says that what is kept still holds: its headers count from now on (RFC 9111, 4.3.4)."""
        new = [(name.lower(), value) for name, value in headers]
        replaced = {name for name, _ in new if not name.startswith(b"content-") and name != b"set-cookie"}
        merged = [pair for pair in stored.pairs() if pair[0] not in replaced]
        merged += [pair for pair in new if pair[0] in replaced]
        self._terms = terms(self.look.asked, stored.status, {**fields(merged), **_cookie(new)}, self.marker)
        self._renewed = True
        self.headers = merged
        now_s = self.cache.core.now_s()
        self.look.stored = stored._replace(
            headers=[part for pair in merged for part in pair], at_s=now_s, age_s=0.0, body=stored.body
        )


def _cookie(pairs: list[Pair]) -> Headers:
    return {name: value for name, value in pairs if name == b"set-cookie"}


def validators(headers: Headers) -> tuple[bytes | None, float | None]:
    """ETag and Last-Modified of an answer."""
    modified = headers.get(b"last-modified")
    return headers.get(b"etag"), None if modified is None else parse_date_s(modified)


def answer(stored: Stored, asked: Asked, now_s: float, why: bytes) -> Answer:
    """A kept answer as it goes out: with its age, without a body for HEAD, 304 where the client has it."""
    pairs = stored.pairs()
    headers = fields(pairs)
    age_s = stored.age_at(now_s)
    more = [
        (b"age", b"%d" % age_s),  # RFC 9111, 5.1
        (b"cache-status", b"pitstop; %s; ttl=%d" % (why, stored.fresh_s - age_s)),  # RFC 9211
    ]
    if stored.status == OK and evaluate(asked.headers, *validators(headers)) == NOT_MODIFIED:
        return NOT_MODIFIED, [pair for pair in pairs if pair[0] in _KEPT_BY_304] + more, b""
    if b"content-length" not in headers and stored.status != 204:  # noqa: PLR2004  it has none (RFC 9110, 8.6)
        more.append((b"content-length", b"%d" % len(stored.body)))
    return stored.status, pairs + more, b"" if asked.method == "HEAD" else stored.body
