"""Step 2: orders, lines and products in three statements instead of eighty, over connections that are kept."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy.orm import Session, selectinload

from faster.answers import (
    DATABASE,
    OTHERS,
    load_customer,
    newest_orders,
    overview_of,
    place_order,
    shown_order,
    stock_query,
)
from faster.tables import Order, OrderLine
from pitstop.tune.database import create_engine

app = FastAPI(title="Customers, loaded together")
engine = create_engine(f"sqlite:///{DATABASE}", statement_timeout_s=30)

TOGETHER = selectinload(Order.lines).joinedload(OrderLine.product)


@app.get("/customers/{customer_id}/overview")
def overview(customer_id: int) -> dict[str, Any]:
    """Somebody's page."""
    with Session(engine) as db:
        customer = load_customer(db, customer_id)
        orders = [shown_order(order) for order in db.scalars(newest_orders(customer_id).options(TOGETHER))]
    with httpx.Client(base_url=OTHERS, timeout=30) as others:
        loyalty = others.get(f"/loyalty/{customer_id}").json()
        offers = others.get(f"/offers/{customer_id}").json()
        delivery = others.get(f"/delivery/{orders[0]['id']}").json()
        stock = others.get("/stock", params=stock_query(orders)).json()
    return overview_of(customer, orders, loyalty, offers, delivery, stock)


@app.post("/customers/{customer_id}/orders")
def order(customer_id: int) -> dict[str, int]:
    """Buy something."""
    with Session(engine) as db:
        return {"id": place_order(db, customer_id)}
