"""FastAPI (≥ 0.100): answers that may be kept, and the cache of one tenant, as dependencies.

app.add_middleware(CachingMiddleware, cache=cache)

@app.get("/items/{item_id}", dependencies=[kept_for(60, tags=["item:{item_id}"])])
async def item(item_id: int, cache: Annotated[Bound, Depends(bound(cache, tenant=tenant_of))]): ...
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from fastapi import Depends, Request, Response
except ImportError as error:  # pragma: no cover  the host's choice
    message = "pitstop.tune.cache.fastapi needs FastAPI, which is not installed: pip install fastapi"
    raise ImportError(message) from error

from pitstop.model.errors import SettingError
from pitstop.tune.cache.web.asgi import CachingMiddleware
from pitstop.tune.cache.web.marking import Marker, mark, named_tags

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.cache import Cache
    from pitstop.tune.cache.region import Region

__all__ = ["Bound", "CachingMiddleware", "bound", "kept_for"]


def kept_for(
    ttl_s: float,
    *,
    public: bool = False,
    client_s: int = 0,
    stale_s: float = 0.0,
    stale_if_error_s: float = 0.0,
    vary: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> Any:
    """A dependency by which a route's answers are kept by `CachingMiddleware`; see `pitstop.tune.cache.web.mark`.

    Tags may name path parameters, as ``"item:{item_id}"``. Without the middleware only Cache-Control is set.
    """
    told = {"public": public, "client_s": client_s, "stale_s": stale_s, "stale_if_error_s": stale_if_error_s}
    mark({}, ttl_s, vary=vary, tags=tags, **told)  # type: ignore[arg-type]  # refused now, where it is written

    async def keep(request: Request, response: Response) -> None:
        there = mark(
            request.scope, ttl_s, vary=vary, tags=named_tags(tags, request.path_params), **told  # type: ignore[arg-type]  # as above
        )  # fmt: skip
        if not there:
            control = Marker(ttl_s, public=public, client_s=client_s).control()
            response.headers.setdefault("cache-control", control.decode())

    return Depends(keep)


class Bound:
    """A region for one tenant: its keys are nobody else's."""

    def __init__(self, region: Region, tenant: str | None) -> None:
        self.region = region
        self.tenant = tenant

    async def get(self, key: object, default: Any = None) -> Any:
        """The value of `key`, else `default`."""
        return await self.region.aget(key, default, tenant=self.tenant)

    async def set(self, key: object, value: Any, *, ttl_s: float | None = None, tags: Sequence[str] = ()) -> None:
        """Keep `value`."""
        await self.region.aset(key, value, ttl_s=ttl_s, tags=tags, tenant=self.tenant)

    async def delete(self, key: object) -> bool:
        """Forget `key`; whether it was there."""
        return await self.region.adelete(key, tenant=self.tenant)

    async def get_or_set(
        self, key: object, make: Callable[[], Any], *, ttl_s: float | None = None, tags: Sequence[str] = ()
    ) -> Any:
        """The value of `key`, made by ``make()`` where there is none; see `Region.aget_or_set`."""
        return await self.region.aget_or_set(key, make, ttl_s=ttl_s, tags=tags, tenant=self.tenant)


def bound(
    cache: Cache, *, region: str = "default", tenant: Callable[[Request], str | None] | None = None, **rules: Any
) -> Callable[[Request], Bound]:
    """What ``Depends`` takes: gives a route the region of `cache`, bound to the tenant of its request.

    A request of no tenant is refused (SettingError), where `tenant` is given: it would share one tenant's values with
    all.
    """
    where = cache.region(region, **rules)

    def give(request: Request) -> Bound:
        if tenant is None:
            return Bound(where, None)
        who = tenant(request)
        if not who:
            raise SettingError(
                f"{request.url.path} was asked without a tenant, and region {region!r} keeps one's values"
            )
        return Bound(where, who)

    return give
