"""FastAPI's dependencies, in process; with a real server in tests/integration."""

from __future__ import annotations

import itertools
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from pitstop.model.errors import SettingError
from pitstop.tune.cache import Cache
from pitstop.tune.cache.fastapi import Bound, CachingMiddleware, bound, kept_for

CACHE = Cache()
mine = bound(CACHE, region="mine", tenant=lambda request: request.headers.get("x-tenant"))
ours = bound(CACHE, region="ours")


def make(*, cached: bool) -> TestClient:
    app, runs = FastAPI(), itertools.count(1)
    if cached:
        app.add_middleware(CachingMiddleware, cache=CACHE)

    @app.get("/items/{item_id}", dependencies=[kept_for(60, tags=["item:{item_id}"], client_s=5)])
    async def item(item_id: int) -> Any:
        return [item_id, next(runs)]

    @app.get("/mine")
    async def of_tenant(kept: Annotated[Bound, Depends(mine)]) -> Any:
        await kept.set("seen", await kept.get("seen", 0) + 1)
        return [await kept.get("seen"), await kept.get_or_set("run", lambda: next(runs)), await kept.delete("nothing")]

    @app.get("/ours")
    async def of_all(kept: Annotated[Bound, Depends(ours)]) -> Any:
        return await kept.get_or_set("run", lambda: next(runs))

    return TestClient(app)


def test_a_route_says_that_its_answer_is_kept_and_its_tags_name_its_parameters() -> None:
    http = make(cached=True)
    first = http.get("/items/1")
    assert first.headers["cache-control"] == "max-age=5"
    assert http.get("/items/1").json() == first.json() == [1, 1]
    assert http.get("/items/2").json() == [2, 2]
    CACHE.invalidate("item:1")
    assert http.get("/items/1").json() == [1, 3]
    assert http.get("/items/2").json() == [2, 2]


def test_without_the_middleware_browsers_are_told_all_the_same() -> None:
    http = make(cached=False)
    assert [http.get("/items/1").json() for _ in range(2)] == [[1, 1], [1, 2]]
    assert http.get("/items/1").headers["cache-control"] == "max-age=5"


def test_a_tenants_values_are_its_own_and_nobodys_are_refused() -> None:
    http = make(cached=False)
    assert http.get("/mine", headers={"x-tenant": "a"}).json() == [1, 1, False]
    assert http.get("/mine", headers={"x-tenant": "b"}).json() == [1, 2, False]
    assert http.get("/mine", headers={"x-tenant": "a"}).json() == [2, 1, False]
    with pytest.raises(SettingError, match="without a tenant"):
        http.get("/mine")
    assert http.get("/ours").json() == http.get("/ours").json()


def test_marks_that_make_no_sense_are_refused_where_they_are_written() -> None:
    with pytest.raises(SettingError, match="ttl_s=0"):
        kept_for(0)
