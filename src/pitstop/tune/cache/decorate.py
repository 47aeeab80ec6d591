"""The decorator: a function whose results are kept, sync or async."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache import steps
from pitstop.tune.cache.keep import Visit
from pitstop.tune.cache.keys import LONGEST, CallKey, call_key, full_key
from pitstop.tune.cache.obtain import obtain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pitstop.tune.cache.memory import Entry
    from pitstop.tune.cache.region import Region
    from pitstop.tune.cache.warming import Warmer

NO_TAGS: Final = ()


class Cached:
    """How a decorated function's calls become lookups; its `cache` attribute.

    `tags` are texts that may name parameters, as ``"user:{user_id}"``, or a function of the call's arguments.
    """

    def __init__(
        self, function: Callable[..., Any], region: Region, *,
        tags: Sequence[str] | Callable[..., Sequence[str]] = NO_TAGS, key: Callable[..., object] | None = None,
        ignore: Collection[str] = (), version: str = "", ttl_s: float | None = None,
    ) -> None:  # fmt: skip
        if isinstance(tags, str):
            raise SettingError(f'tags={tags!r}: a sequence is needed; write tags=["{tags}"]')
        self.function = function
        self.region = region
        self.ttl_s = ttl_s
        self.warmer: Warmer | None = None
        self.owner: object = None  # the cache lives as long as what it decorates
        self.key = CallKey(function, ignore=ignore, version=version)
        self.by = key
        self._tags = tags
        self._fixed = None if callable(tags) or any("{" in tag for tag in tags) else tuple(tags)
        self._names = region.core.tag_names(region.name, "", self._fixed or ())

    def key_of(self, tenant: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """The complete key of a call."""
        before = self.region.prefix_of(tenant)
        if self.by is not None:
            return full_key(before, (self.key.name, self.by(*args, **kwargs)))
        return call_key(before, self.key(args, kwargs))

    def visit(self, key: str, tenant: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Visit:
        """The lookup of a call."""
        region = self.region
        if self._fixed is not None and not tenant:
            names = self._names
        else:
            names = region.core.tag_names(region.name, tenant, self.tags_of(args, kwargs))
        return Visit(region.core, key, names, tenant, self.ttl_s)

    def tags_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Sequence[str]:
        """The host's tags of a call."""
        if self._fixed is not None:
            return self._fixed
        if callable(self._tags):
            return self._tags(*args, **kwargs)
        bound = self.key.bind(args, kwargs)
        try:
            return [tag.format_map(bound) for tag in self._tags]
        except KeyError as error:
            raise SettingError(
                f"tags={list(self._tags)} of {self.key.name} name {error}, which is no parameter: {sorted(bound)}"
            ) from None

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        """Forget the result of this call; whether it was there."""
        tenant = self.region.tenant_of(None)
        visit = Visit(self.region.core, self.key_of(tenant, args, kwargs), (), tenant)
        return steps.run(self.region.forget(visit))

    async def adelete(self, *args: Any, **kwargs: Any) -> bool:
        """`delete` for asyncio."""
        tenant = self.region.tenant_of(None)
        return await steps.arun(
            self.region.forget(Visit(self.region.core, self.key_of(tenant, args, kwargs), (), tenant))
        )


def decorate(cached: Cached) -> Callable[..., Any]:  # noqa: C901  two colours of one thing
    """The function to call instead; of the same colour as the original, with `cached` as its attribute `cache`."""
    region, function = cached.region, cached.function
    core = region.core
    find, hit, valid, versions = core.memory.find, region.hit, core.valid, core.versions
    now_ns, key_of, tenant_of = core.now_ns, cached.key_of, region.tenant_of
    of_tenants = region.rules.tenant is not None
    text_of = None if of_tenants or cached.by is not None else cached.key
    before = region.prefix_of("") + "="

    def missed(key: str, tenant: str, entry: Entry | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Visit:
        if cached.warmer is not None:
            cached.warmer.remember(key, args, kwargs, entry)
        return cached.visit(key, tenant, args, kwargs)

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            start_ns = now_ns()
            tenant = tenant_of(None) if of_tenants else ""
            if text_of is not None and len(text := text_of(args, kwargs)) <= LONGEST:
                key = before + text
            else:
                key = key_of(tenant, args, kwargs)
            entry = find(key)
            if entry is not None and start_ns < entry.soon_ns and (entry.epoch == versions.epoch or valid(entry)):
                return hit(entry, start_ns, tenant)
            visit = missed(key, tenant, entry, args, kwargs)
            return await steps.arun(obtain(region, visit, lambda: function(*args, **kwargs), core.background.task))

        acall.cache = cached  # type: ignore[attr-defined]  # where callers find it
        return acall
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise SettingError(f"{cached.key.name} is a generator, which can be used only once; return a list instead")

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        start_ns = now_ns()
        tenant = tenant_of(None) if of_tenants else ""
        if text_of is not None and len(text := text_of(args, kwargs)) <= LONGEST:
            key = before + text
        else:
            key = key_of(tenant, args, kwargs)
        entry = find(key)
        if entry is not None and start_ns < entry.soon_ns and (entry.epoch == versions.epoch or valid(entry)):
            return hit(entry, start_ns, tenant)
        visit = missed(key, tenant, entry, args, kwargs)
        return steps.run(obtain(region, visit, lambda: function(*args, **kwargs), core.background.thread))

    call.cache = cached  # type: ignore[attr-defined]  # as above
    return call
