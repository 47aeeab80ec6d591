"""What the shop keeps, and where.

`orders.customer_id` and `order_lines.order_id` have no index: SQLite makes none for foreign keys, nobody thought of
it, and with a few thousand orders the order history shows it.
"""

from __future__ import annotations

import os
from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship, sessionmaker

from pitstop.tune.database import create_engine

SLOW_S = 0.015  # of a statement: from here on its plan is taken

engine = create_engine(
    f"sqlite:///{os.environ.get('SHOP_DB', 'shop.db')}", connect_args={"timeout": 30}, slow_query_s=SLOW_S
)
Session = sessionmaker(engine)


class Table(DeclarativeBase):
    """What all tables are."""


class Category(Table):
    """A shelf of the shop."""

    __tablename__ = "categories"
    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    products: Mapped[list[Product]] = relationship(back_populates="category")


class Product(Table):
    """A thing to buy. `weight_g` is missing where the supplier's list had none."""

    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"), index=True)
    name: Mapped[str]
    description: Mapped[str]
    price_cents: Mapped[int]
    weight_g: Mapped[int | None]
    in_stock: Mapped[int]
    category: Mapped[Category] = relationship(back_populates="products")


class Customer(Table):
    """Somebody who buys."""

    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)


class CartLine(Table):
    """A product somebody is about to buy."""

    __tablename__ = "cart_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]


class Order(Table):
    """What somebody has bought. `status` goes packed, sent, delivered."""

    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    placed_at: Mapped[datetime]
    status: Mapped[str]
    lines: Mapped[list[OrderLine]] = relationship(back_populates="order")


class OrderLine(Table):
    """One product of an order, at the price it had then."""

    __tablename__ = "order_lines"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    price_cents: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="lines")
    product: Mapped[Product] = relationship()
