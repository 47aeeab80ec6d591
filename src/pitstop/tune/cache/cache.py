"""The cache as a service uses it: levels, regions, tenants, tags."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache import steps
from pitstop.tune.cache.core import Core
from pitstop.tune.cache.decorate import Cached, decorate
from pitstop.tune.cache.region import Region
from pitstop.tune.cache.rules import Adaptive, Rules

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pitstop.tune.cache.core import Sealer
    from pitstop.tune.cache.level import Level
    from pitstop.tune.cache.steps import Steps

MAX_ENTRIES: Final = 10_000
MOST_REGIONS: Final = 1000
DEFAULT_REGION: Final = "default"

_caches: weakref.WeakSet[Cache] = weakref.WeakSet()


class Cache:
    """Values by key in memory, and below it in whatever `levels` there are, the quickest first.

    Everything of one `namespace` is one cache to all processes that share a level. `max_entries` and `max_bytes` bound
    memory; 0 entries: none is kept there. The other arguments are the rules of regions that name none of their own, see
    `pitstop.tune.cache.Rules`; ``ttl_s="adaptive"`` chooses between 30 and 3600 s for each key.
    """

    def __init__(
        self, *, max_entries: int = MAX_ENTRIES, max_bytes: int | None = None, namespace: str = "pitstop",
        levels: Sequence[Level] = (), sealer: Sealer | None = None, core: Core | None = None, **rules: Any,
    ) -> None:  # fmt: skip
        if max_entries < 0 or (max_bytes is not None and max_bytes <= 0):
            raise SettingError(f"Cache(max_entries={max_entries}, max_bytes={max_bytes}): numbers above 0 are needed")
        self.core = core or Core(
            namespace=namespace, max_entries=max_entries, max_bytes=max_bytes, levels=levels, sealer=sealer
        )
        self._rules = rules
        self._regions: dict[str, Region] = {}
        self._making = threading.Lock()
        self.default = self.region(DEFAULT_REGION)
        self.get, self.aget = self.default.get, self.default.aget
        self.set, self.aset = self.default.set, self.default.aset
        self.delete, self.adelete = self.default.delete, self.default.adelete
        self.get_or_set, self.aget_or_set = self.default.get_or_set, self.default.aget_or_set
        _caches.add(self)

    def region(self, name: str, **rules: Any) -> Region:
        """The region of that name; made with `rules`, or the cache's own, when it is first asked for.

        Raises SettingError where it was made with other rules.
        """
        with self._making:
            known = self._regions.get(name)
            if known is not None:
                if rules and known.rules != _rules({**self._rules, **rules}):
                    raise SettingError(f"region {name!r} exists with {known.rules}; name its rules only once")
                return known
            if len(self._regions) >= MOST_REGIONS:
                raise SettingError(
                    f"region {name!r} is one more than {MOST_REGIONS}; take names from the code, keys from the data"
                )
            made = self._regions[name] = Region(self.core, name, _rules({**self._rules, **rules}))
            return made

    @property
    def regions(self) -> list[Region]:
        """All that were made."""
        return list(self._regions.values())

    def cached(
        self, function: Callable[..., Any] | None = None, /, *, region: str | None = None,
        tags: Sequence[str] | Callable[..., Sequence[str]] = (), key: Callable[..., object] | None = None,
        ignore: Collection[str] = (), version: str = "", **rules: Any,
    ) -> Any:  # fmt: skip
        """Keep what a function returns, by its arguments: ``@cache.cached(ttl_s=60, tags=["user:{user_id}"])``.

        Without `region` it has one of its own, named as the function is. `ignore` names parameters that do not count,
        `key` answers what the key is made of, `version` goes into it: raise it when results of older code are no good.
        """
        if function is None:
            return lambda decorated: self.cached(
                decorated, region=region, tags=tags, key=key, ignore=ignore, version=version, **rules
            )
        name = region or f"{function.__module__}.{function.__qualname__}"
        ttl_s = None
        if region in self._regions:
            ttl_s = rules.pop("ttl_s", None)
        where = self.region(name, **rules)
        return decorate(Cached(function, where, tags=tags, key=key, ignore=ignore, version=version, ttl_s=ttl_s))

    def invalidate(
        self,
        *tags: str,
        tenant: str | None = None,
        region: str | None = None,
        everything: bool = False,
        how: str = "tag",
    ) -> None:
        """Void what carries one of `tags`, or belongs to `tenant` or `region`, or everything; on all levels at once."""
        steps.run(self._invalidate(tags, tenant, region, everything, how))

    async def ainvalidate(
        self,
        *tags: str,
        tenant: str | None = None,
        region: str | None = None,
        everything: bool = False,
        how: str = "tag",
    ) -> None:
        """`invalidate` for asyncio."""
        await steps.arun(self._invalidate(tags, tenant, region, everything, how))

    def shrink(self, ratio: float) -> int:
        """Let go of all but `ratio` of what is in memory, the least useful first; bytes that frees, about."""
        return self.core.memory.shrink(ratio)

    def close(self) -> None:
        """Let go of what levels hold; memory stays."""
        self.core.background.drain(1.0)
        for link in self.core.links:
            link.level.close()

    def _invalidate(
        self, tags: Sequence[str], tenant: str | None, region: str | None, everything: bool, how: str
    ) -> Steps[None]:
        core = self.core
        names: list[str] = []
        if everything:
            names.append(core.everything)
            next(core.invalidations["everything"].up)
        if tags:
            names += core.tag_names("", "", tags)[2:]
            next(core.invalidations[how].up)
        if tenant:
            names.append(core.tag_names("", tenant, ())[2])
            next(core.invalidations["tenant"].up)
        if region:
            names.append(core.tag_names(region, "", ())[1])
            next(core.invalidations["everything"].up)
        if not names:
            raise SettingError("invalidate() was told nothing: name tags, tenant=, region= or everything=True")
        core.versions.bump(names)
        for link in core.links:
            yield from link.raise_versions(self.default.stats, names)
        core.versions.bump(names)  # once more: a value that was loaded before the level knew is void, too


def _rules(given: dict[str, Any]) -> Rules:
    given = dict(given)
    if given.get("ttl_s") == "adaptive":
        given["ttl_s"] = Adaptive()
    try:
        return Rules(**given)
    except TypeError:
        unknown = sorted(set(given) - set(Rules.__dataclass_fields__))
        raise SettingError(
            f"{unknown} are no rules of a region; there are {sorted(Rules.__dataclass_fields__)}"
        ) from None


def _reset_after_fork() -> None:
    for cache in list(_caches):
        cache.core.reset_after_fork()
        cache._making = threading.Lock()  # noqa: SLF001  ours


os.register_at_fork(after_in_child=_reset_after_fork)
