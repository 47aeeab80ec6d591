"""What the page shows, and how an order is written: the same in every step, so that only the way there differs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from faster.tables import BEGIN, Customer, Order, OrderLine

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

DATABASE = os.environ.get("FASTER_DB", "faster.db")
OTHERS = os.environ.get("FASTER_OTHERS", "http://127.0.0.1:8099")
SHOWN_ORDERS = 20


def shown_order(order: Order) -> dict[str, Any]:
    """An order with its lines; what was not loaded with it is loaded here, a statement each."""
    lines = [
        {"product": line.product.name, "pieces": line.pieces, "price_cents": line.product.price_cents}
        for line in order.lines
    ]
    total = sum(line.product.price_cents * line.pieces for line in order.lines)
    return {"id": order.id, "placed_at": order.placed_at, "lines": lines, "total_cents": total}


def products_of(orders: list[dict[str, Any]]) -> list[str]:
    """Products of the newest order, by name."""
    return sorted({line["product"] for line in orders[0]["lines"]}) if orders else []


def stock_query(orders: list[dict[str, Any]]) -> dict[str, list[int]]:
    """What the stock service is asked for."""
    return {"product": [int(name.rpartition(" ")[2]) for name in products_of(orders)]}


def overview_of(
    customer: dict[str, Any], orders: list[dict[str, Any]], loyalty: Any, offers: Any, delivery: Any, stock: Any
) -> dict[str, Any]:
    """The page."""
    return {
        "customer": customer | loyalty,
        "spent_cents": sum(order["total_cents"] for order in orders),
        "orders": orders,
        "offers": offers,
        "delivery": delivery,
        "stock": stock,
    }


def place_order(db: Session, customer_id: int) -> int:
    """One more order of one product, newer than all others; its number."""
    order = Order(customer_id=customer_id, placed_at=BEGIN.replace(year=2027).isoformat())
    order.lines.append(OrderLine(product_id=customer_id, pieces=1))
    db.add(order)
    db.flush()
    number = order.id
    db.commit()
    return number


def load_customer(db: Session, customer_id: int) -> dict[str, Any]:
    """Who it is."""
    customer = db.get_one(Customer, customer_id)
    return {"id": customer.id, "name": customer.name, "city": customer.city}


def newest_orders(customer_id: int) -> Any:
    """The statement for somebody's newest orders."""
    wanted = select(Order).where(Order.customer_id == customer_id)
    return wanted.order_by(Order.placed_at.desc(), Order.id.desc()).limit(SHOWN_ORDERS)
