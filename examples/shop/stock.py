"""Fill an empty shop: always the same products, customers and orders.

python -m shop.stock (in examples/, with SHOP_DB naming the file)
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, text

from shop.tables import Category, Customer, Order, OrderLine, Product, Table, engine

PRODUCTS = 4000
CUSTOMERS = 600
ORDERS = 8000
WITHOUT_WEIGHT = 16  # products, spread evenly: the supplier's list had gaps
SHELVES = ("Coffee", "Tea", "Bread", "Cheese", "Fruit", "Garden", "Kitchen", "Paper", "Tools", "Toys", "Wool", "Wine")
_QUALITIES = ("plain", "fine", "large", "small", "old", "fresh", "dark", "light", "mixed", "organic", "heavy", "blue")
_THINGS = ("box", "bag", "set", "jar", "pair", "roll", "pack", "bottle", "basket", "tin", "bundle", "case")
_TEXT = (
    "made by hand in a small place where nobody hurries and everything is weighed twice before it leaves the house "
    "keeps for years when dry and cool and can be sent back within thirty days if it does not please"
)


def fill() -> None:
    """Create the tables and everything in them."""
    made_up = random.Random(2026)
    Table.metadata.create_all(engine)
    prices = [made_up.randrange(190, 19_900, 10) for _ in range(PRODUCTS)]
    with engine.begin() as db:
        db.execute(text("PRAGMA synchronous=OFF"))
        db.execute(insert(Category), [{"slug": shelf.lower(), "title": shelf} for shelf in SHELVES])
        db.execute(insert(Product), [_product(made_up, number, prices[number]) for number in range(PRODUCTS)])
        db.execute(insert(Customer), [{"email": f"customer{number}@example.org"} for number in range(CUSTOMERS)])
        first = datetime.now(UTC) - timedelta(days=90)
        db.execute(
            insert(Order),
            [
                {
                    "customer_id": made_up.randint(1, CUSTOMERS),
                    "placed_at": first + timedelta(minutes=16 * number),
                    "status": made_up.choice(("packed", "sent", "delivered")),
                }
                for number in range(ORDERS)
            ],
        )
        lines: list[dict[str, int]] = []
        for order_id in range(1, ORDERS + 1):
            for _ in range(made_up.randint(1, 6)):
                number = min(int(made_up.paretovariate(0.6)), PRODUCTS) - 1  # a few things sell all the time
                lines.append(
                    {
                        "order_id": order_id,
                        "product_id": number + 1,
                        "quantity": made_up.randint(1, 3),
                        "price_cents": prices[number],
                    }
                )
        db.execute(insert(OrderLine), lines)
    with engine.connect() as db:
        db.execute(text("PRAGMA journal_mode=WAL"))


def _product(made_up: random.Random, number: int, price_cents: int) -> dict[str, object]:
    shelf, words = number % len(SHELVES), _TEXT.split()
    quality, thing = made_up.choice(_QUALITIES), made_up.choice(_THINGS)
    return {
        "category_id": shelf + 1,
        "name": f"{quality} {thing} of {SHELVES[shelf].lower()} no. {number + 1}",
        "description": " ".join(made_up.choices(words, k=120)),
        "price_cents": price_cents,
        "weight_g": None if number % (PRODUCTS // WITHOUT_WEIGHT) == WITHOUT_WEIGHT else made_up.randrange(50, 4000),
        "in_stock": made_up.randrange(10_000, 90_000),
    }


if __name__ == "__main__":
    fill()
