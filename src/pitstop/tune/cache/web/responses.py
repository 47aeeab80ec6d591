"""The cache of answers: looks them up, keeps them, voids them. Steps, so that ASGI and WSGI share every line.

Under the key of a URI lies its answer, or, where answers vary, the names of the headers they vary by; each variant has
a key of its own then. A new generation, begun when a path is voided, makes old variants unreachable.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache.flights import Wait
from pitstop.tune.cache.keys import LONGEST
from pitstop.tune.cache.obtain import HIT, STALE
from pitstop.tune.cache.slots import Slot
from pitstop.tune.cache.web.exchange import CREDENTIALS, Asked, Stored, asked, restore, variant_key, varied
from pitstop.tune.cache.web.rules import Terms, Use, kept_headers, use

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.flights import Flight
    from pitstop.tune.cache.steps import Steps
    from pitstop.tune.cache.web.exchange import Headers, Pair

REGION: Final = "http"
MOST_BYTES: Final = 1 << 20  # of an answer; a larger one is passed on as it comes
WAIT_S: Final = 5.0  # for another request's answer to the same URI
GRACE_S: Final = 60.0  # that a stale answer with a validator is kept, to be asked after
MOST_VARIES: Final = 4  # ways in which answers of one URI may vary
MOST_KNOWN: Final = 10_000  # URIs that are known to have answers that can be kept
_VARIES: Final = "varies"

_log = logging.getLogger("pitstop.cache")


class Look:
    """A request under way: what was found, and where its answer is to be kept."""

    __slots__ = ("asked", "begun_ns", "flight", "slot", "stored", "use", "variant", "varies")

    def __init__(self, asked: Asked, slot: Slot) -> None:
        self.asked = asked
        self.slot = slot  # of the URI
        self.variant: Slot | None = None
        self.varies: tuple[str, list[list[bytes]]] | None = None
        self.stored: Stored | None = None
        self.use = Use.NOT
        self.flight: Flight | None = None
        self.begun_ns = 0

    @property
    def only_if_cached(self) -> bool:
        """Whether the client wants nothing that would have to be made (RFC 9111, 5.2.1.7)."""
        return b"only-if-cached" in self.asked.directives


class ResponseCache:
    """Answers in a region of `cache`; options of the middlewares are its.

    `who_headers` are request headers that say who asks, besides Authorization, Cookie and common ones. `tenant`
    says from the request's headers whose it is: tenants never share an answer. `ignored_cookies` are cookies that
    answers do not depend on, such as an analytics tool's: a request that has no others counts as one without.
    `obey_clients`: whether Cache-Control of requests counts, as it does for browsers' reload.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        region: str = REGION,
        who_headers: Iterable[str] = (),
        ignored_cookies: Iterable[str] = (),
        tenant: Callable[[Headers], str | None] | None = None,
        max_bytes: int = MOST_BYTES,
        obey_clients: bool = True,
    ) -> None:
        if max_bytes < 1:
            raise SettingError(f"{max_bytes=}: an answer has at least 1 byte")
        self.cache = cache
        self.region = cache.region(region, early=0.0)
        self.core = cache.core
        self.max_bytes = max_bytes
        self._who = CREDENTIALS | {name.lower().encode("latin-1") for name in who_headers}
        self._who_but_cookie = self._who - {b"cookie"}
        self._ignored_cookies = frozenset(name.encode("latin-1") for name in ignored_cookies)
        self._tenant = tenant
        self._obey = obey_clients
        self._known: OrderedDict[str, None] = OrderedDict()
        self._said: set[str] = set()

    def asked(
        self, method: str, scheme: str, path: bytes, query: bytes, headers: Headers, *, who: bool = False
    ) -> Asked | None:
        """The request as the rules see it; None for one that is none of ours, and passes as it is.

        `who`: the server, or what is further out, says who asks.
        """
        if method not in {"GET", "HEAD"} or not _PASSES.isdisjoint(headers):
            return None
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            return None  # with a body, which the key does not have
        tenant = None
        if self._tenant is not None:
            tenant = self._tenant(headers)
            if not tenant:
                return None
        elif self.region.rules.tenant is not None:
            tenant = self.region.tenant_of(None)  # raises where there is none
        named = self._who
        if self._ignored_cookies and b"cookie" in headers and self._only_ignored(headers[b"cookie"]):
            named = self._who_but_cookie
        host = headers.get(b"host", b"")
        request = asked(method, scheme, host, path, query, headers, who_headers=named, who=who, tenant=tenant)
        if b"no-store" in request.directives and self._obey:
            return None
        return request if self._obey else request._replace(directives={})

    def _only_ignored(self, cookie: bytes) -> bool:
        return all(part.partition(b"=")[0].strip() in self._ignored_cookies for part in cookie.split(b";"))

    def look(self, request: Asked, *, wait: bool = True, anew: bool = False) -> Steps[Look]:
        """What there is for `request`; `anew`: to be made again anyhow. Whoever gets it calls `done` in the end."""
        tags = (path_tag(request.path),)
        look = Look(request, Slot(self.region, request.uri_key, tenant=request.tenant, tags=tags))
        look.begun_ns = self.core.now_ns()
        try:
            yield from self._find(look, tags)
            if anew:
                look.use = Use.ASK
            if look.use in {Use.FRESH, Use.STALE} or request.method != "GET" or look.only_if_cached:
                return look
            if look.use is Use.ASK or request.uri_key in self._known:
                flight, leads = self.core.flights.board(self._flight_key(look))
                if leads:
                    look.flight = flight
                elif wait:
                    self.done(look)
                    yield Wait(flight, WAIT_S)
                    return (yield from self.look(request, wait=False))
            yield from look.slot.begin()
            if look.variant is not None:
                yield from look.variant.begin()
        except BaseException:
            self.done(look)
            raise
        return look

    def _flight_key(self, look: Look) -> str:
        """Requests that may share an answer wait for one another, no others."""
        who = look.slot if look.variant is None else look.variant
        return f"{who.visit.key}!{'who' if look.asked.who else ''}"

    def _find(self, look: Look, tags: tuple[str, ...]) -> Steps[None]:
        value = yield from look.slot.look()
        request, now_s = look.asked, self.core.now_s()
        if not (isinstance(value, (tuple, list)) and len(value) == 3 and value[0] == _VARIES):  # noqa: PLR2004  its three parts
            self._take(look, restore(value), now_s)
            return
        generation, ways = str(value[1]), [list(way) for way in value[2]]
        look.varies = generation, ways
        for way in ways:
            key = variant_key(request.uri_key, generation, varied(way, request.headers))
            slot = Slot(self.region, key, tenant=request.tenant, tags=tags)
            stored = restore((yield from slot.look()))
            if look.variant is not None:
                look.variant.end()
            look.variant = slot
            self._take(look, stored, now_s)
            if look.stored is not None:
                return

    @staticmethod
    def _take(look: Look, stored: Stored | None, now_s: float) -> None:
        if stored is not None:
            how = use(stored, look.asked, now_s)
            if how is not Use.NOT:
                look.stored, look.use = stored, how

    def served(self, look: Look) -> None:
        """Count that what was found was served."""
        (look.variant or look.slot).hit(STALE if look.use is Use.STALE else HIT)

    def keep(self, look: Look, status: int, headers: list[Pair], body: bytes, terms: Terms, *,
             own_etag: bool, tags: Sequence[str]) -> Steps[None]:  # fmt: skip
        """Keep an answer that was just made, if nothing was voided meanwhile."""
        request, slot = look.asked, look.slot
        slot.missed()
        if not slot.undisturbed:
            return
        cost_s = (self.core.now_ns() - look.begun_ns) / 1e9
        stored = Stored(
            status, kept_headers(headers), body, self.core.now_s(), terms.age_s, terms.fresh_s,
            terms.while_revalidate_s, terms.if_error_s, terms.shared, terms.ask_always, terms.never_stale,
            varied(terms.vary, request.headers), own_etag, tuple(tags),
        )  # fmt: skip
        ttl_s = max(1.0, terms.fresh_s - terms.age_s) + max(terms.while_revalidate_s, terms.if_error_s, GRACE_S)
        self._remember(request.uri_key)
        if not terms.vary:
            yield from slot.more_tags(tags)
            yield from slot.fill(tuple(stored), ttl_s, cost_s)
            return
        generation, ways = look.varies or (os.urandom(8).hex(), [])
        way = list(terms.vary)
        key = variant_key(request.uri_key, generation, stored.varied)
        variant = look.variant
        if variant is None or not variant.visit.key.endswith(key):
            variant = Slot(self.region, key, tenant=request.tenant, tags=(path_tag(request.path),))
            yield from variant.begin()
            variant.visit.epoch = slot.visit.epoch  # it is as old as the URI's
            variant.visit.versions = list(slot.visit.versions)
        try:
            yield from variant.more_tags(tags)
            yield from variant.fill(tuple(stored), ttl_s, cost_s)
        finally:
            variant.end()
        ways = [way, *(other for other in ways if other != way)][:MOST_VARIES]
        yield from slot.fill((_VARIES, generation, ways), ttl_s, cost_s)

    def void(self, path: str) -> None:
        """Forget the answers under `path`, whatever their query."""
        self.cache.invalidate(path_tag(path))

    async def avoid(self, path: str) -> None:
        """`void` for asyncio."""
        await self.cache.ainvalidate(path_tag(path))

    def stood_in(self) -> None:
        """Count an application's failure that a kept answer hid."""
        next(self.region.stats.errors.up)

    def forget_known(self, look: Look) -> None:
        """Its answers cannot be kept: requests for it do not wait for one another."""
        self._known.pop(look.asked.uri_key, None)
        self.land(look)

    def _remember(self, uri_key: str) -> None:
        self._known[uri_key] = None
        while len(self._known) > MOST_KNOWN:
            try:
                self._known.popitem(last=False)
            except KeyError:  # another thread was quicker
                break

    def land(self, look: Look) -> None:
        """Those who wait for it go on."""
        flight, look.flight = look.flight, None
        if flight is not None:
            self.core.flights.land(self._flight_key(look), flight, None)

    def done(self, look: Look) -> None:
        """Whatever came of it."""
        self.land(look)
        look.slot.end()
        if look.variant is not None:
            look.variant.end()

    def fault(self, where: str) -> None:
        """Log once for each place that our own code failed there; the host went on without it."""
        if where not in self._said:
            self._said.add(where)
            _log.exception("the cache of answers failed in %s; requests go on without it", where)


# Partial answers, and preconditions that only the application may evaluate (RFC 9111, 4.3.2), pass as they are.
_PASSES: Final = frozenset({b"range", b"if-match", b"if-unmodified-since", b"upgrade", b"if-range"})


def path_tag(path: str) -> str:
    """What all answers of a path carry, whatever their query."""
    return f"path:{path if len(path) <= LONGEST else hashlib.blake2b(path.encode('latin-1')).hexdigest()}"


def etag_of(body: bytes) -> bytes:
    """A weak validator: middleware further out may compress the body."""
    return b'W/"%s"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()


def voided_path(status: int, path: str) -> list[str]:
    """Tags that a request of an unsafe method to `path` voids (RFC 9111, 4.4): none where it failed."""
    return [path_tag(path)] if 200 <= status < 400 else []  # noqa: PLR2004  2xx and 3xx
