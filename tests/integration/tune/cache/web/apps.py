"""Services that tests start with uvicorn and gunicorn; every answer tells how often its view was run."""

from __future__ import annotations

import itertools
import os
import time
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from flask import Flask, request, session
from flask import Response as FlaskResponse
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware

from pitstop.tune.cache import Cache
from pitstop.tune.cache.fastapi import Bound, CachingMiddleware, bound, kept_for
from pitstop.tune.cache.flask import FlaskCache
from pitstop.tune.static import StaticFiles, WSGIStaticFiles

cache = Cache()
runs = itertools.count(1)

app = FastAPI()


async def named(request: Request, call_next: Any) -> Any:
    response = await call_next(request)
    response.headers["x-middleware"] = "ran"
    return response


app.add_middleware(BaseHTTPMiddleware, dispatch=named)
app.add_middleware(CachingMiddleware, cache=cache)
app.add_middleware(GZipMiddleware, minimum_size=100)


@app.get("/items/{item_id}", dependencies=[kept_for(60, tags=["item:{item_id}"], stale_if_error_s=60)])
async def item(item_id: int) -> dict[str, Any]:
    return {"item": item_id, "run": next(runs), "pad": "x" * 200}


@app.post("/items/{item_id}/sell")
async def sell(item_id: int) -> dict[str, int]:
    await cache.ainvalidate(f"item:{item_id}")
    return {"sold": item_id}


@app.put("/items/{item_id}")
async def put(item_id: int) -> dict[str, int]:
    return {"put": item_id}


@app.get("/me")
async def me(request: Request, response: Response) -> dict[str, Any]:
    response.headers["cache-control"] = "max-age=60"
    return {"who": request.headers.get("cookie"), "run": next(runs)}


@app.get("/slow", dependencies=[kept_for(60)])
async def slow() -> dict[str, int]:
    time.sleep(0.05)  # noqa: ASYNC251  as a careless host does
    return {"run": next(runs)}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> Any:
        yield f"run {next(runs)} "
        yield "end"

    return StreamingResponse(pieces(), headers={"cache-control": "max-age=60"})


@app.get("/mine")
async def mine(
    kept: Annotated[Bound, Depends(bound(cache, region="mine", tenant=lambda r: r.headers.get("x-tenant")))],
) -> Any:
    return await kept.get_or_set("number", lambda: next(runs))


@app.get("/fails", dependencies=[kept_for(0.05, stale_if_error_s=60)])
async def fails() -> dict[str, int]:
    run = next(runs)
    if os.environ.get("FAILS") == "yes":
        raise RuntimeError("broken")
    os.environ["FAILS"] = "yes"
    return {"run": run}


asgi = StaticFiles(app, os.environ.get("FILES", "."))

site = Flask(__name__)
site.secret_key = "x" * 32
pages = FlaskCache(cache, site)


@site.get("/items/<int:item_id>")
@pages.kept_for(60, tags=["item:{item_id}"])
def page(item_id: int) -> dict[str, Any]:
    return {"item": item_id, "run": next(runs), "pad": "x" * 200}


@site.post("/items/<int:item_id>/sell")
def sell_page(item_id: int) -> dict[str, int]:
    cache.invalidate(f"item:{item_id}")
    return {"sold": item_id}


@site.put("/items/<int:item_id>")
def put_page(item_id: int) -> dict[str, int]:
    return {"put": item_id}


@site.get("/me")
def me_page() -> FlaskResponse:

    return FlaskResponse(
        f'{{"who": "{request.headers.get("cookie")}", "run": {next(runs)}}}', headers={"cache-control": "max-age=60"}
    )


@site.get("/login")
@pages.kept_for(60, public=True)
def login() -> dict[str, int]:
    session["user"] = next(runs)
    return {"run": session["user"]}


@site.get("/stream")
def stream_page() -> FlaskResponse:
    def pieces() -> Any:
        yield f"run {next(runs)} "
        yield "end"

    return FlaskResponse(pieces(), headers={"cache-control": "max-age=60"})


@site.get("/later")
@pages.kept_for(60)
async def later() -> dict[str, int]:
    return {"run": next(runs)}


wsgi = WSGIStaticFiles(site, os.environ.get("FILES", "."))
