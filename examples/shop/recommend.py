"""What is bought together: cosine similarity over all orders, in plain Python, for every request."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import sqrt
from typing import TYPE_CHECKING

from sqlalchemy import select

from shop.tables import OrderLine

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def bought_together(db: Session, product_id: int, *, limit: int) -> list[int]:
    """Ids of the products most often in one order with `product_id`, the closest first."""
    baskets: defaultdict[int, set[int]] = defaultdict(set)
    for order_id, bought in db.execute(select(OrderLine.order_id, OrderLine.product_id)):
        baskets[order_id].add(bought)
    times: Counter[int] = Counter()
    together: Counter[int] = Counter()
    for basket in baskets.values():
        times.update(basket)
        if product_id in basket:
            together.update(basket)
    own = together.pop(product_id, 0)
    closeness = {other: n / sqrt(own * times[other]) for other, n in together.items()}
    return sorted(closeness, key=lambda other: (-closeness[other], other))[:limit]
