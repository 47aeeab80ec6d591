"""Step 3: what does not need one another runs side by side, and calls go through one client that keeps connections."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import FastAPI
from sqlalchemy.orm import Session

from faster.answers import OTHERS, load_customer, newest_orders, overview_of, place_order, shown_order, stock_query
from faster.loaded import TOGETHER, engine
from pitstop.tune.http import aclient
from pitstop.tune.waves import Task, Waves

app = FastAPI(title="Customers, side by side")
others = aclient(OTHERS, timeout_s=5)
waves = Waves(max_parallel=8, name="overview", timeout_s=20)


def customer_of(customer_id: int) -> dict[str, Any]:
    """Who it is."""
    with Session(engine) as db:
        return load_customer(db, customer_id)


def orders_of(customer_id: int) -> list[dict[str, Any]]:
    """What they bought last."""
    with Session(engine) as db:
        return [shown_order(order) for order in db.scalars(newest_orders(customer_id).options(TOGETHER))]


async def asked(path: str, params: dict[str, list[int]] | None = None) -> Any:
    """What another team's service says."""
    answer = await others.get(path, params=params)
    return answer.raise_for_status().json()


async def delivery_of(orders: list[dict[str, Any]]) -> Any:
    """Where the newest order is."""
    return await asked(f"/delivery/{orders[0]['id']}")


async def stock_of(orders: list[dict[str, Any]]) -> Any:
    """Whether they could buy it again."""
    return await asked("/stock", stock_query(orders))


@app.get("/customers/{customer_id}/overview")
async def overview(customer_id: int) -> dict[str, Any]:
    """Somebody's page."""
    result = await waves.arun(
        [
            Task("customer", partial(customer_of, customer_id)),
            Task("orders", partial(orders_of, customer_id)),
            Task("loyalty", partial(asked, f"/loyalty/{customer_id}")),
            Task("offers", partial(asked, f"/offers/{customer_id}")),
            Task("delivery", delivery_of, needs=["orders"]),
            Task("stock", stock_of, needs=["orders"]),
        ]
    )
    return overview_of(**result)


@app.post("/customers/{customer_id}/orders")
def order(customer_id: int) -> dict[str, int]:
    """Buy something."""
    with Session(engine) as db:
        return {"id": place_order(db, customer_id)}
