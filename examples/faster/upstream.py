"""The services of other teams: each takes its time, as if it had work of its own. `uvicorn faster.upstream:app`."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import FastAPI, Query

app = FastAPI(title="Other teams' services")

TAKES_S = {"loyalty": 0.020, "offers": 0.035, "delivery": 0.025, "stock": 0.015}


@app.get("/loyalty/{customer_id}")
async def loyalty(customer_id: int) -> dict[str, Any]:
    """How many points somebody has."""
    await asyncio.sleep(TAKES_S["loyalty"])
    return {"points": customer_id * 37 % 5000}


@app.get("/offers/{customer_id}")
async def offers(customer_id: int) -> list[int]:
    """Products somebody may like."""
    await asyncio.sleep(TAKES_S["offers"])
    return [customer_id * factor % 1000 + 1 for factor in (3, 7, 11, 13)]


@app.get("/delivery/{order_id}")
async def delivery(order_id: int) -> dict[str, Any]:
    """Where an order is."""
    await asyncio.sleep(TAKES_S["delivery"])
    return {"order": order_id, "state": ("packed", "on its way", "delivered")[order_id % 3]}


@app.get("/stock")
async def stock(product: Annotated[list[int], Query()]) -> dict[int, int]:
    """How many pieces there are of each product."""
    await asyncio.sleep(TAKES_S["stock"])
    return {number: number * 17 % 90 for number in sorted(set(product))}
