"""A service that does a little of everything that is exported. Started under `pitstop run`."""

import asyncio
import os
from collections.abc import AsyncIterator

import httpx
import jinja2
import redis
import sqlalchemy
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

import pitstop

app = FastAPI()
cache = redis.Redis(port=int(os.environ["REDIS_PORT"]))
page = jinja2.Environment(autoescape=True).from_string("<p>{{ name }}</p>")
engine = sqlalchemy.create_engine(f"sqlite:///{os.environ['SHOP_DB']}", connect_args={"timeout": 20})
WRITE = sqlalchemy.text("CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT)")
COUNT = sqlalchemy.text(
    "WITH RECURSIVE line(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM line WHERE n < :most) SELECT count(n) FROM line"
)


def tenant(name: str) -> None:
    operation = pitstop.current()
    if operation is not None:
        operation.tenant = name


@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, int]:
    tenant(f"tenant-{item_id % 2}")
    cache.get(f"item:{item_id}")
    cache.set(f"item:{item_id}", 1)
    cache.get(f"item:{item_id}")
    with engine.connect() as connection:
        connection.execute(COUNT, {"most": 10}).scalar_one()
    return {"item": item_id}


@app.get("/report")
def report() -> dict[str, int]:
    with engine.begin() as connection:
        connection.execute(WRITE)
        return {"lines": sum(connection.execute(COUNT, {"most": 40_000}).scalar_one() for _ in range(6))}


@app.get("/agent/{step}")
async def agent(step: int, tasks: BackgroundTasks) -> dict[str, int]:
    with pitstop.span("agent: plan"):
        await asyncio.sleep(0.002 * (1 + step % 7))
    pitstop.count("agent runs")
    pitstop.gauge("queue depth", step)
    tasks.add_task(clean)
    return {"step": step}


async def clean() -> None:
    await asyncio.sleep(0)


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.001)
        yield b"two"

    return StreamingResponse(parts())


@app.get("/page")
async def render() -> str:
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{os.environ['OTHER_PORT']}/")
    return page.render(name="shop")


@app.get("/broken")
def broken() -> None:
    tenant("tenant-0")
    raise RuntimeError("an honest mistake of the service")
