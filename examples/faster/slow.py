"""Steps 0 and 1: as it was first written: a statement an order and a line, a client a page, all calls in a row."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import NullPool, create_engine
from sqlalchemy.orm import Session

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

app = FastAPI(title="Customers, slow")
engine = create_engine(f"sqlite:///{DATABASE}", poolclass=NullPool, connect_args={"timeout": 30})


@app.get("/customers/{customer_id}/overview")
def overview(customer_id: int) -> dict[str, Any]:
    """Somebody's page."""
    with Session(engine) as db:
        customer = load_customer(db, customer_id)
        orders = [shown_order(order) for order in db.scalars(newest_orders(customer_id))]
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
