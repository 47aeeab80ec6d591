"""What the service keeps. No foreign key has an index: SQLite makes none, and nobody thought of it."""

from __future__ import annotations

import random
import sqlite3
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

if TYPE_CHECKING:
    from pathlib import Path

CUSTOMERS, PRODUCTS = 2500, 1000
ORDERS_EACH, LINES_EACH = 20, 3
BEGIN = datetime.fromisoformat("2026-01-01T08:00:00")

_SCHEMA = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price_cents INTEGER NOT NULL);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers, placed_at TEXT NOT NULL
);
CREATE TABLE order_lines (
  id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders,
  product_id INTEGER NOT NULL REFERENCES products, pieces INTEGER NOT NULL
);
PRAGMA journal_mode = WAL;
"""


class Table(DeclarativeBase):
    """What all tables are."""


class Customer(Table):
    """Somebody who buys."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str]


class Product(Table):
    """A thing to buy."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price_cents: Mapped[int]


class Order(Table):
    """What somebody bought at one time."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    placed_at: Mapped[str]
    lines: Mapped[list[OrderLine]] = relationship(order_by="OrderLine.id")


class OrderLine(Table):
    """One product of an order."""

    __tablename__ = "order_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    pieces: Mapped[int]
    product: Mapped[Product] = relationship()


def fill(path: Path, customers: int = CUSTOMERS, seed: int = 7) -> None:
    """Make the file, with 20 orders of 3 lines for each customer: 7 MB, a second or two, the same each time."""
    rng = random.Random(seed)
    connection = sqlite3.connect(path)
    connection.executescript(_SCHEMA)
    cities = ("Porto", "Lyon", "Turin", "Graz", "Malmö", "Ghent")
    connection.executemany(
        "INSERT INTO customers VALUES (?, ?, ?)",
        ((i, f"Customer {i}", rng.choice(cities)) for i in range(1, customers + 1)),
    )
    connection.executemany(
        "INSERT INTO products VALUES (?, ?, ?)",
        ((i, f"Product {i}", rng.randint(100, 20_000)) for i in range(1, PRODUCTS + 1)),
    )
    orders = range(1, customers * ORDERS_EACH + 1)
    connection.executemany(
        "INSERT INTO orders VALUES (?, ?, ?)",
        ((i, i % customers + 1, (BEGIN + timedelta(minutes=i)).isoformat()) for i in orders),
    )
    connection.executemany(
        "INSERT INTO order_lines (order_id, product_id, pieces) VALUES (?, ?, ?)",
        ((i, rng.randint(1, PRODUCTS), rng.randint(1, 4)) for i in orders for _ in range(LINES_EACH)),
    )
    connection.commit()
    connection.execute("ANALYZE")
    connection.close()
