"""The cache as a service uses it: levels, regions, tenants, tags."""

from __future__ import annotations

import importlib
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, overload

from pitstop.model.errors import SettingError
from pitstop.record.asks import can_answer
from pitstop.record.reports import add_reporter
from pitstop.tune.cache import reporting, steps
from pitstop.tune.cache.codec import Codec
from pitstop.tune.cache.core import Core
from pitstop.tune.cache.decorate import Cached, decorate
from pitstop.tune.cache.region import Region
from pitstop.tune.cache.rules import Adaptive, Rules
from pitstop.tune.cache.warming import Schedule, Warmer
from pitstop.tune.giving import can_give

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from pitstop.record.asks import Answer
    from pitstop.record.reports import Report
    from pitstop.tune.cache.level import Level
    from pitstop.tune.cache.reporting import Metrics
    from pitstop.tune.cache.steps import Steps

P = ParamSpec("P")
F = TypeVar("F", bound="Callable[..., Any]")

MAX_ENTRIES: Final = 10_000
MOST_REGIONS: Final = 1000
DEFAULT_REGION: Final = "default"

_caches: weakref.WeakSet[Cache] = weakref.WeakSet()


class Cache:
    """Values by key in memory, and below it in Redis, in a file, in both or in neither.

    Everything of one `namespace` is one cache to all processes that share a level.
    `max_entries`, `max_bytes`: of memory; 0 entries: none is kept there.
    `redis`: a URL, as ``redis://host:6379/0``, or a level of `pitstop.tune.cache.redis`.
    `file`: a path, or a level of `pitstop.tune.cache.file`; it outlives the process.
    `secret`: one or several of 16 characters or more; what comes from levels is believed only with one of them.
    `encrypt`: what goes to levels is encrypted with the first secret.
    `types`: dataclasses and pydantic models of the host that values may hold on their way to levels.
    All others are the rules of regions that name none of their own, see `pitstop.tune.cache.Rules`;
    ``ttl_s="adaptive"`` chooses between 30 and 3600 s for each key.

    Raises SettingError for what cannot be.
    """

    def __init__(
        self, *, max_entries: int = MAX_ENTRIES, max_bytes: int | None = None, redis: str | Level | None = None,
        file: str | Path | Level | None = None, secret: str | bytes | Sequence[str | bytes] | None = None,
        encrypt: bool = False, types: Sequence[type] = (), namespace: str = "pitstop", core: Core | None = None,
        **rules: Any,
    ) -> None:  # fmt: skip
        if max_entries < 0 or (max_bytes is not None and max_bytes <= 0):
            raise SettingError(f"Cache(max_entries={max_entries}, max_bytes={max_bytes}): numbers above 0 are needed")
        _rules(rules)
        if core is None:
            levels = [level for level in (_redis(redis), _file(file)) if level is not None]
            core = Core(
                namespace=namespace, max_entries=max_entries, max_bytes=max_bytes, levels=levels,
                sealer=Codec(secret=secret, encrypt=encrypt, types=types) if levels or secret or encrypt else None,
            )  # fmt: skip
        self.core = core
        self._rules = rules
        self._regions: dict[str, Region] = {}
        self._making = threading.Lock()
        self.warmers: list[Warmer] = []
        self.default = self.region(DEFAULT_REGION)
        self.get, self.aget = self.default.get, self.default.aget
        self.set, self.aset = self.default.set, self.default.aset
        self.delete, self.adelete = self.default.delete, self.default.adelete
        self.get_or_set, self.aget_or_set = self.default.get_or_set, self.default.aget_or_set
        _caches.add(self)
        can_give(self)
        add_reporter(_reports)
        for what, answer in _ANSWERS.items():
            can_answer(what, answer)

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

    @overload
    def cached(self, function: F, /) -> F: ...
    @overload
    def cached(
        self, /, *, region: str | None = None, tags: Sequence[str] | Callable[..., Sequence[str]] = (),
        key: Callable[..., object] | None = None, ignore: Collection[str] = (), version: str = "",
        warm: bool | Iterable[Any] | Callable[[], Iterable[Any]] = False, **rules: Any,
    ) -> Callable[[F], F]: ...  # fmt: skip

    def cached(
        self, function: Callable[..., Any] | None = None, /, *, region: str | None = None,
        tags: Sequence[str] | Callable[..., Sequence[str]] = (), key: Callable[..., object] | None = None,
        ignore: Collection[str] = (), version: str = "",
        warm: bool | Iterable[Any] | Callable[[], Iterable[Any]] = False, **rules: Any,
    ) -> Any:  # fmt: skip
        """Keep what a function returns, by its arguments: ``@cache.cached(ttl_s=60, tags=["user:{user_id}"])``.

        Without `region` it has one of its own, named as the function is. `ignore` names parameters that do not count,
        `key` answers what the key is made of, `version` goes into it: raise it when results of older code are no good.
        The decorated function's attribute ``cache`` is its `pitstop.tune.cache.decorate.Cached`; see `forget`, too.
        `warm`: `Cache.warm` makes what past demand predicts, and the calls that are given here, as tuples of arguments.
        """
        if function is None:
            return lambda decorated: self._decorated(decorated, region, tags, key, ignore, version, warm, rules)
        return self._decorated(function, region, tags, key, ignore, version, warm, rules)

    def forget(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget what the cached `function` returned for this call; whether it was there."""
        return _cached(function).delete(*args, **kwargs)

    async def aforget(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> bool:
        """`forget` for asyncio."""
        return await _cached(function).adelete(*args, **kwargs)

    def _decorated(
        self, function: Callable[..., Any], region: str | None, tags: Any, key: Any, ignore: Collection[str],
        version: str, warm: Any, rules: dict[str, Any],
    ) -> Callable[..., Any]:  # fmt: skip
        name = region or f"{function.__module__}.{function.__qualname__}"
        ttl_s = rules.pop("ttl_s", None) if name in self._regions else None
        where = self.region(name, **rules)
        if ttl_s is not None and ttl_s == where.rules.ttl_s:
            ttl_s = None
        if not isinstance(ttl_s, (int, float, type(None))):
            raise SettingError(
                f"region {name!r} exists with ttl_s={where.rules.ttl_s}; {ttl_s!r} needs a region of its own"
            )
        own = Cached(function, where, tags=tags, key=key, ignore=ignore, version=version, ttl_s=ttl_s)
        own.owner = self
        if warm is not False:
            own.warmer = Warmer(own, warm)
            self.warmers.append(own.warmer)
        return decorate(own)

    def warm(self, *, most: int = 100) -> int:
        """Make now what cached functions with `warm` were given, and what past demand predicts; how many calls."""
        return steps.run(Schedule(self.warmers, most=most).round(coroutines=False))

    async def awarm(self, *, most: int = 100) -> int:
        """The same for both colours."""
        return await steps.arun(Schedule(self.warmers, most=most).round(coroutines=True))

    def keep_warm(self, every_s: float = 60.0, *, most: int = 100) -> Schedule:
        """Do so now and every `every_s` in a thread, before values end; ``.stop()`` ends it."""
        schedule = Schedule(self.warmers, every_s, most)
        schedule.start()
        return schedule

    async def akeep_warm(self, every_s: float = 60.0, *, most: int = 100) -> None:
        """The same in a task of yours, until it is cancelled; for both colours."""
        await Schedule(self.warmers, every_s, most).arun()

    def get_metrics(self) -> Metrics:
        """Hits, misses and all else, of the whole, by region and by tenant; totals of this process."""
        return reporting.metrics(self)

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

    def names(
        self, tags: Sequence[str], tenant: str | None, region: str | None, *, everything: bool = False
    ) -> list[str]:
        """What these are to levels: the names whose versions are raised."""
        core = self.core
        names = [core.everything] if everything else []
        if tags:
            names += core.tag_names("", "", tags)[2:]
        if tenant:
            names.append(core.tag_names("", tenant, ())[2])
        if region:
            names.append(core.tag_names(region, "", ())[1])
        return names

    def _invalidate(
        self, tags: Sequence[str], tenant: str | None, region: str | None, everything: bool, how: str
    ) -> Steps[None]:
        core = self.core
        names = self.names(tags, tenant, region, everything=everything)
        if not names:
            raise SettingError("invalidate() was told nothing: name tags, tenant=, region= or everything=True")
        told = {how: tags, "tenant": tenant, "everything": everything or region}
        for way, was in told.items():
            if was:
                next(core.invalidations[way].up)
        core.versions.bump(names)
        left = list(core.links)
        try:
            while left:
                yield from left.pop(0).raise_versions(self.default.stats, names)
        finally:
            for link in left:  # cancelled on the way there
                link.owe(tags=names)
            core.versions.bump(names)  # once more: a value that was loaded before the level knew is void, too


def _redis(given: str | Level | None) -> Level | None:
    if not isinstance(given, str):
        return given
    level: Level = importlib.import_module("pitstop.tune.cache.redis").RedisLevel(given)  # needs redis-py
    return level


def _file(given: str | Path | Level | None) -> Level | None:
    if isinstance(given, (str, Path)):
        from pitstop.tune.cache.file import FileLevel  # noqa: PLC0415  needs sqlite3, which some hosts lack

        return FileLevel(given)
    return given


def _cached(function: object) -> Cached:
    cached = getattr(function, "cache", None)
    if isinstance(cached, Cached):
        return cached
    raise SettingError(f"{function!r} is not cached; decorate it with @cache.cached")


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


def _reports() -> list[Report]:
    return [report for cache in list(_caches) for report in reporting.reports(cache)]


_ANSWERS: Final[dict[str, Answer]] = {
    "cache.invalidate": lambda arguments: reporting.invalidate(list(_caches), arguments),
    "cache.warm": lambda arguments: reporting.warm(list(_caches), arguments),
    "cache.stats": lambda _: reporting.stats(list(_caches)),
}


def _reset_after_fork() -> None:
    for cache in list(_caches):
        cache.core.reset_after_fork()
        cache._making = threading.Lock()  # noqa: SLF001  ours


os.register_at_fork(after_in_child=_reset_after_fork)
