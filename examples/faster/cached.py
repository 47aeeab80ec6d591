"""Step 4: a page is made once and kept until its customer buys something; what others say is kept by itself."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

from fastapi import FastAPI, Response
from sqlalchemy.orm import Session

from faster.answers import overview_of, place_order
from faster.loaded import engine
from faster.waved import asked, customer_of, delivery_of, orders_of, stock_of, waves
from pitstop.tune.cache import Cache
from pitstop.tune.waves import Task

app = FastAPI(title="Customers, kept")
cache = Cache(max_entries=10_000)


@cache.cached(region="others", ttl_s=60)
async def told(path: str) -> Any:
    """What another team's service says, for a minute."""
    return await asked(path)


@cache.cached(region="overview", ttl_s=300, tags=["customer:{customer_id}"])
async def page_of(customer_id: int) -> bytes:
    """Somebody's page as it is sent."""
    result = await waves.arun(
        [
            Task("customer", partial(customer_of, customer_id)),
            Task("orders", partial(orders_of, customer_id)),
            Task("loyalty", partial(told, f"/loyalty/{customer_id}")),
            Task("offers", partial(told, f"/offers/{customer_id}")),
            Task("delivery", delivery_of, needs=["orders"]),
            Task("stock", stock_of, needs=["orders"]),
        ]
    )
    return json.dumps(overview_of(**result), separators=(",", ":"), ensure_ascii=False).encode()


@app.get("/customers/{customer_id}/overview")
async def overview(customer_id: int) -> Response:
    """Somebody's page."""
    return Response(await page_of(customer_id), media_type="application/json")


@app.post("/customers/{customer_id}/orders")
async def order(customer_id: int) -> dict[str, int]:
    """Buy something; every page of this customer is out of date from then on."""
    number = await asyncio.to_thread(_placed, customer_id)
    await cache.ainvalidate(f"customer:{customer_id}")
    return {"id": number}


def _placed(customer_id: int) -> int:
    with Session(engine) as db:
        return place_order(db, customer_id)
