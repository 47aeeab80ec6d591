"""Carts, checkout, order history and the status of an order."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, WebSocket
from pydantic import BaseModel, Field
from sqlalchemy import orm, select

from shop.tables import CartLine, Customer, Order, OrderLine, Product, Session
from shop.tuned import cache

SHOWN = 20
POLL_S = 0.2
ROUNDS = 5

router = APIRouter()


class Item(BaseModel):
    """What goes into a cart."""

    product_id: int
    quantity: Annotated[int, Field(ge=1, le=10)]


@router.post("/customers/{customer_id}/cart", status_code=201)
def add_to_cart(customer_id: int, item: Item) -> dict[str, int]:
    """Put something into a customer's cart."""
    with Session.begin() as db:
        if db.get(Customer, customer_id) is None or db.get(Product, item.product_id) is None:
            raise HTTPException(404, "no such customer or product")
        db.add(CartLine(customer_id=customer_id, product_id=item.product_id, quantity=item.quantity))
    return {"added": item.quantity}


@router.post("/customers/{customer_id}/checkout", status_code=201)
def checkout(customer_id: int) -> dict[str, int]:
    """Buy what is in the cart: three queries for every line of it, and the regular customer's discount."""
    with Session() as db:
        cart = db.scalars(select(CartLine).where(CartLine.customer_id == customer_id)).all()
        if not cart:
            raise HTTPException(409, "the cart is empty")
        discount = min(_spent_cents(db, customer_id) // 100_000, 10)
        order = Order(customer_id=customer_id, placed_at=datetime.now(UTC), status="packed")
        db.add(order)
        db.flush()
        total_cents = 0
        for line in cart:
            product = db.get_one(Product, line.product_id)
            product.in_stock -= line.quantity
            price_cents = product.price_cents * (100 - discount) // 100
            total_cents += price_cents * line.quantity
            db.add(OrderLine(order_id=order.id, product_id=product.id, quantity=line.quantity, price_cents=price_cents))
            db.delete(line)
            db.flush()
        placed = {"order_id": order.id, "total_cents": total_cents}
        bought = {f"product:{line.product_id}" for line in cart}
        db.commit()
    cache.invalidate(*bought)
    return placed


def _spent_cents(db: orm.Session, customer_id: int) -> int:
    """What a customer has spent so far: order by order, line by line."""
    orders = db.scalars(select(Order).where(Order.customer_id == customer_id))
    return sum(line.price_cents * line.quantity for order in orders for line in order.lines)


@router.get("/customers/{customer_id}/orders")
def history(customer_id: int) -> list[dict[str, object]]:
    """List a customer's newest orders: no index leads to them, nor to their lines."""
    with Session() as db:
        newest = select(Order).where(Order.customer_id == customer_id).order_by(Order.placed_at.desc()).limit(SHOWN)
        return [
            {
                "order_id": order.id,
                "status": order.status,
                "placed_at": order.placed_at,
                "lines": [{"product": line.product.name, "quantity": line.quantity} for line in order.lines],
            }
            for order in db.scalars(newest)
        ]


@router.websocket("/orders/{order_id}/status")
async def status(socket: WebSocket, order_id: int) -> None:
    """Tell a page how its order is doing, some times, until it is delivered or the page is left."""
    await socket.accept()
    for _ in range(ROUNDS):
        found = await asyncio.to_thread(_status, order_id)
        await socket.send_json({"order_id": order_id, "status": found})
        if found in (None, "delivered"):
            break
        await asyncio.sleep(POLL_S)
    await socket.close()


def _status(order_id: int) -> str | None:
    with Session() as db:
        return db.scalar(select(Order.status).where(Order.id == order_id))
