"""A service that asks a cache, another service and itself, renders a page and logs; secrets are everywhere in it."""

import asyncio
import logging
import os

import httpx
import redis.asyncio as redis
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import DictLoader, Environment

import requests

SECRET = os.environ["SHOP_SECRET"]
app = FastAPI()
cache = redis.from_url(os.environ["SHOP_REDIS"])
pages = Environment(autoescape=True, enable_async=True, loader=DictLoader({"order.html": "<h1>{{ secret }}</h1>"}))
log = logging.getLogger("shop")


@app.get("/buy/{item}", response_class=HTMLResponse)
async def buy(item: str) -> str:
    await cache.set(f"order:{SECRET}:{item}", SECRET)
    await cache.get(f"order:{SECRET}:{item}")
    await cache.get(f"none:{SECRET}")
    async with httpx.AsyncClient() as client:
        url = f"http://{SECRET}:{SECRET}@127.0.0.1:{os.environ['SHOP_UPSTREAM']}/ship/{item}?key={SECRET}"
        await client.get(url, headers={"X-Secret": SECRET})
        # requests in a thread: the same request's
        await asyncio.to_thread(requests.get, url, headers={"X-Secret": SECRET}, timeout=5)
    log.error("order %s failed", SECRET)
    return await pages.get_template("order.html").render_async(secret=SECRET)


@app.get("/ship/{item}")
async def ship(item: str) -> dict[str, str]:
    await asyncio.sleep(0.06)  # long enough to be asked for its caller
    return {"shipped": item}


@app.get("/fails")
async def fails() -> None:
    await cache.lpush(f"list:{SECRET}", SECRET)
    await cache.get(f"list:{SECRET}")
