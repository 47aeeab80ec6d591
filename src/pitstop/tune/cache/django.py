"""A cache backend for Django (≥ 4.2): ``django.core.cache`` over a `Cache`, sync and natively async.

    CACHES = {"default": {
        "BACKEND": "pitstop.tune.cache.django.DjangoCache",
        "LOCATION": "redis://localhost/0",            # or a file's path, or a name for memory only
        "OPTIONS": {"MAX_ENTRIES": 10_000, "secret": SECRET_KEY},
    }}

OPTIONS are those of `Cache`; ``"CACHE": "shop.caching.cache"`` takes one that is there already. What leaves the process
is never pickled: plain data, HttpResponse and safe strings go to Redis or a file, other objects (model instances …) are
kept in this process's memory only. Everybody gets a copy of what was set.
"""

from __future__ import annotations

import copy
import datetime as dt
import decimal
import threading
import uuid
from typing import TYPE_CHECKING, Any, Final

try:
    from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
    from django.http import HttpResponse
    from django.template.response import ContentNotRenderedError, SimpleTemplateResponse
    from django.utils.functional import Promise
    from django.utils.module_loading import import_string
    from django.utils.safestring import SafeString
except ImportError as error:  # pragma: no cover  the host's choice
    message = "pitstop.tune.cache.django needs Django ≥ 4.2, which is not installed: pip install django"
    raise ImportError(message) from error

from pitstop.model.errors import CacheValueError, SettingError
from pitstop.tune.cache import steps
from pitstop.tune.cache.cache import MAX_ENTRIES, Cache
from pitstop.tune.cache.flights import Wait
from pitstop.tune.cache.link import FAILED
from pitstop.tune.cache.slots import Slot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.region import Region
    from pitstop.tune.cache.steps import Steps

REGION: Final = "django"
FOREVER_S: Final = 10 * 366 * 86_400.0  # Django's None
HOLD_S: Final = 5.0  # that a change in two steps may take; whoever waited so long goes on alone
_MARK: Final = "\0django"
_MISSING: Final = object()
_IMMUTABLE: Final = frozenset(
    {bool, int, float, complex, str, bytes, dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID}
)

_made: dict[tuple[Any, ...], Cache] = {}
_making = threading.Lock()


class DjangoCache(BaseCache):  # type: ignore[misc]  # Django ships no types
    """What ``caches["default"]`` is. Django makes one for each thread; those of one LOCATION share all they keep."""

    def __init__(self, location: Any, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = {name: value for name, value in (params.get("OPTIONS") or {}).items() if name != "CULL_FREQUENCY"}
        self.cache = _cache_of(location, options)
        self._region: Region = self.cache.region(REGION, early=0.0)

    # Django's contract; each method and its twin carry out the same steps.

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value, or `default`."""
        return steps.run(self._get(self._slot(key, version), default))

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """`get` for asyncio."""
        return await steps.arun(self._get(self._slot(key, version), default))

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, *,
        tags: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """Keep `value`; `tags` are ours: ``caches["default"].invalidate(tag)`` voids it."""
        steps.run(self._set(self._slot(key, version, tags), value, timeout))

    async def aset(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None, *,  # noqa: ASYNC109  Django's
        tags: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`set` for asyncio."""
        await steps.arun(self._set(self._slot(key, version, tags), value, timeout))

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Keep `value` if there is none; whether it was kept. Of all processes that ask at a time one is told so."""
        slot = self._slot(key, version)
        return bool(steps.run(self._alone(slot, lambda: self._add(slot, value, timeout))))

    async def aadd(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None  # noqa: ASYNC109  Django's
    ) -> bool:  # fmt: skip
        """`add` for asyncio."""
        slot = self._slot(key, version)
        return bool(await steps.arun(self._alone(slot, lambda: self._add(slot, value, timeout))))

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let it live for `timeout` from now; whether it was there."""
        slot = self._slot(key, version)
        return bool(steps.run(self._alone(slot, lambda: self._touch(slot, timeout))))

    async def atouch(
        self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None  # noqa: ASYNC109  Django's
    ) -> bool:  # fmt: skip
        """`touch` for asyncio."""
        slot = self._slot(key, version)
        return bool(await steps.arun(self._alone(slot, lambda: self._touch(slot, timeout))))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        """Add `delta`; it lives as long as before. Raises ValueError where there is none."""
        slot = self._slot(key, version)
        return steps.run(self._alone(slot, lambda: self._incr(slot, key, delta)))

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> Any:
        """`incr` for asyncio."""
        slot = self._slot(key, version)
        return await steps.arun(self._alone(slot, lambda: self._incr(slot, key, delta)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget it; whether it was there."""
        return bool(steps.run(self._delete(self._slot(key, version))))

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        """`delete` for asyncio."""
        return bool(await steps.arun(self._delete(self._slot(key, version))))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether it is there."""
        return self.get(key, _MISSING, version) is not _MISSING

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        """`has_key` for asyncio."""
        return await self.aget(key, _MISSING, version) is not _MISSING

    def clear(self) -> None:
        """Forget everything of this backend."""
        self.cache.invalidate(region=REGION)

    async def aclear(self) -> None:
        """`clear` for asyncio."""
        await self.cache.ainvalidate(region=REGION)

    def invalidate(self, *tags: str) -> None:
        """Void what was set with one of these tags."""
        self.cache.invalidate(*tags)

    async def ainvalidate(self, *tags: str) -> None:
        """`invalidate` for asyncio."""
        await self.cache.ainvalidate(*tags)

    # The steps.

    def _slot(self, key: Any, version: int | None, tags: Sequence[str] = ()) -> Slot:
        return Slot(self._region, self.make_and_validate_key(key, version=version), tags=tags)

    def _ttl_s(self, timeout: Any) -> float:
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        return FOREVER_S if timeout is None else min(float(timeout), FOREVER_S)

    def _get(self, slot: Slot, default: Any) -> Steps[Any]:
        try:
            packed = yield from slot.look()
            if packed is None:
                slot.missed()
                return default
            slot.hit()
            return _unpack(packed)
        finally:
            slot.end()

    def _set(self, slot: Slot, value: Any, timeout: Any) -> Steps[None]:
        ttl_s = self._ttl_s(timeout)
        try:
            if ttl_s <= 0:
                yield from self._delete(slot)
                return
            packed = _pack(value)
            slot.disturb()
            yield from slot.begin()
            next(self._region.stats.sets.up)
            yield from slot.fill(packed, ttl_s, 0.0)
        finally:
            slot.end()

    def _delete(self, slot: Slot) -> Steps[bool]:
        return (yield from self._region.forget(slot.visit))

    def _add(self, slot: Slot, value: Any, timeout: Any) -> Steps[bool]:
        if (yield from slot.look()) is not None:
            return False
        yield from self._set(slot, value, timeout)
        return True

    def _touch(self, slot: Slot, timeout: Any) -> Steps[bool]:
        while (packed := (yield from self._found(slot))) is not None:
            ttl_s = self._ttl_s(timeout)
            if ttl_s <= 0:
                yield from self._delete(slot)
                return True
            if (yield from self._refill(slot, packed, ttl_s)):
                return True
        return False

    def _incr(self, slot: Slot, key: Any, delta: int) -> Steps[Any]:
        while (packed := (yield from self._found(slot))) is not None:
            assert slot.entry is not None
            value = _unpack(packed) + delta
            left_s = (slot.entry.fresh_ns - self._region.core.now_ns()) / 1e9
            if (yield from self._refill(slot, _pack(value), max(left_s, 0.001))):
                return value
        raise ValueError(f"Key {key!r} not found")

    def _found(self, slot: Slot) -> Steps[Any]:
        """What is there to be changed. Whatever is voided or deleted from before this look on stays so."""
        core, visit = self._region.core, slot.visit
        slot.end()
        visit.begin(core)
        visit.versions = [None] * len(visit.versions)
        if core.links:  # only they tell versions, and others may have changed it since
            core.memory.drop(visit.key)
        return (yield from slot.look())

    def _refill(self, slot: Slot, packed: Any, ttl_s: float) -> Steps[bool]:
        """Keep this instead of what `_found` found; False where that was changed since."""
        assert slot.entry is not None
        core, visit = self._region.core, slot.visit
        tags = tuple(dict.fromkeys((*visit.tags, *slot.entry.tags)))
        epoch = visit.epoch
        if not (core.loading.undisturbed(visit.key, visit.mark) and core.versions.holds(tags, epoch)):
            return False
        visit.tags = tags
        visit.versions = [
            known if known is not None and all(tag in known for tag in tags) else None for known in visit.versions
        ]
        slot.disturb()
        visit.begin(core)
        visit.epoch = epoch
        yield from slot.begin()
        yield from slot.fill(packed, ttl_s, 0.0)
        return True

    def _alone(self, slot: Slot, change: Callable[[], Steps[Any]]) -> Steps[Any]:
        """Carry out `change` while nobody else, in no process, carries out one of the same key."""
        core = self._region.core
        key = f"{slot.visit.key}!change"
        while True:
            flight, leads = core.flights.board(key)
            if leads:
                break
            if not (yield Wait(flight, HOLD_S)):
                core.flights.give_up(key, flight)
        link, token = core.links[0] if core.links else None, None
        deadline_ns = core.now_ns() + int(HOLD_S * 1e9)
        try:
            while link is not None:
                token = yield from link.ask(self._region.stats, "lease", key, HOLD_S)
                left_s = (deadline_ns - core.now_ns()) / 1e9
                if token is FAILED:
                    token = None
                if token is not None or not link.answers or left_s <= 0:
                    break
                yield from link.ask(self._region.stats, "wait", key, min(1.0, left_s))
            if link is not None:  # others may have changed it since
                core.memory.drop(slot.visit.key)
            return (yield from change())
        finally:
            slot.end()
            if link is not None and token is not None:
                yield from link.ask(self._region.stats, "release", key, token)
            core.flights.give_up(key, flight)


def _cache_of(location: Any, options: dict[str, Any]) -> Cache:
    """The one that all backends of this LOCATION and these OPTIONS share."""
    given = options.pop("CACHE", None)
    if given is not None:
        cache = import_string(given) if isinstance(given, str) else given
        if not isinstance(cache, Cache) or options:
            raise SettingError(f'OPTIONS["CACHE"]={given!r} has to be, or lead to, a Cache, with no OPTIONS beside it')
        return cache
    options["max_entries"] = options.pop("MAX_ENTRIES", MAX_ENTRIES)
    if isinstance(location, (list, tuple)):
        if len(location) != 1:
            raise SettingError(f"LOCATION={location!r}: one is needed; for a cluster give OPTIONS['redis'] a level")
        location = location[0]
    location = str(location or "")
    with _making:
        key = (location, repr(sorted(options.items())))
        known = _made.get(key)
        if known is None:
            if "://" in location:
                options.setdefault("redis", location)
            elif "/" in location:
                options.setdefault("file", location)
            else:
                options.setdefault("namespace", f"django {location}".strip())
            known = _made[key] = Cache(**options)
        return known


def _pack(value: Any) -> Any:
    """`value` as it is kept: a copy, and plain where it is one of Django's own."""
    kind = type(value)
    if kind in _IMMUTABLE:
        return value
    if value is None:
        return (_MARK, "none")
    if kind is SafeString:
        return (_MARK, "safe", str.__str__(value))
    if isinstance(value, Promise):
        return str(value)
    if isinstance(value, HttpResponse):
        return _pack_response(value)
    if getattr(value, "streaming", False):
        raise CacheValueError(f"a {kind.__name__} can be read only once; cache what it is made of")
    return copy.deepcopy(value)


def _unpack(packed: Any) -> Any:
    if type(packed) in _IMMUTABLE:
        return packed
    if isinstance(packed, (tuple, list)) and packed and packed[0] == _MARK:
        if packed[1] == "none":
            return None
        if packed[1] == "safe":
            return SafeString(packed[2])
        return _unpack_response(packed)
    return copy.deepcopy(packed)


def _pack_response(response: Any) -> tuple[Any, ...]:
    """A response without its request, template and context, as Django's own pickling has it."""
    if isinstance(response, SimpleTemplateResponse) and not response.is_rendered:
        raise ContentNotRenderedError("The response content must be rendered before it can be cached.")
    cookies = [morsel.OutputString() for morsel in response.cookies.values()]
    return (
        _MARK, "response", response.status_code, response.reason_phrase, list(map(list, response.items())), cookies,
        bytes(response.content), response.charset,
    )  # fmt: skip


def _unpack_response(packed: Sequence[Any]) -> Any:
    _, _, status, reason, headers, cookies, content, charset = packed
    response = HttpResponse(content, status=status, reason=reason, charset=charset, headers=dict(headers))
    for cookie in cookies:
        response.cookies.load(cookie)
    return response
