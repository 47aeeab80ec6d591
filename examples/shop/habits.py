"""What visitors of the made-up past do: how often each route is asked for, how long it takes, and what for.

Shares of time and statements are those of the running shop, rounded.
"""

from __future__ import annotations

from typing import NamedTuple

from pitstop.model.series import DB, GC, TEMPLATE, UNMATCHED


class Statement(NamedTuple):
    """One pattern: how often a request runs it, its share of the request's time in the database, rows of a call."""

    text: str
    calls: int
    share: float
    rows: int = 1
    asked: float = 1.0  # share of the requests that run it at all: others find it kept


class Lookup(NamedTuple):
    """A request's lookup in a cache region: how often it hits, how long a hit and making the value take."""

    region: str
    hits: float
    hit_us: float
    make_ms: float


class Habit(NamedTuple):
    """How one route is used: its share of the visits, its usual duration and spread, its size, its outcome.

    `parts` are shares of a request's time by kind; what is missing to 1 is its own code.
    """

    name: str
    share: float
    median_ms: float
    sigma: float = 0.35  # of the logarithm
    nbytes: int = 400
    outcome: str = "200"
    parts: tuple[tuple[str, float], ...] = ()
    statements: tuple[Statement, ...] = ()
    lookups: tuple[Lookup, ...] = ()


SHELVES = Lookup("shelves", 0.97, 16, 1.7)
INCIDENT = "POST /customers/{customer_id}/checkout"
PRODUCT = "GET /products/{product_id}"

_PRODUCTS = (
    "products.id, products.category_id, products.name, products.description, products.price_cents, products.weight_g, "
    "products.in_stock"
)
_ORDERS = (
    "SELECT orders.id, orders.customer_id, orders.placed_at, orders.status FROM orders WHERE orders.customer_id = ?"
)


# ruff: noqa: S608  patterns as they are shown, which nothing runs
def _loaded(table: str, columns: str, where: str) -> str:
    """As SQLAlchemy writes what it loads lazily: every column under a name of its own."""
    named = ", ".join(f"{table}.{column} AS {table}_{column}" for column in columns.split())
    return f"SELECT {named} FROM {table} WHERE {where}"


_PRODUCT_COLUMNS = "id category_id name description price_cents weight_g in_stock"
ONE_PRODUCT = _loaded("products", _PRODUCT_COLUMNS, "products.id = ?")
ORDER_LINES = _loaded("order_lines", "id order_id product_id quantity price_cents", "? = order_lines.order_id")

HABITS = (
    Habit(
        "GET /", 0.18, 4.0, nbytes=5300, parts=((DB, 0.3), (TEMPLATE, 0.35)),
        statements=(
            Statement(_loaded("categories", "id slug title", "categories.id = ?"), 12, 0.6),
            Statement(f"SELECT {_PRODUCTS} FROM products ORDER BY products.id LIMIT ? OFFSET ?", 1, 0.4, 24),
        ),
    ),
    Habit(
        "GET /menu", 0.12, 0.9, nbytes=577, parts=((DB, 0.04),), lookups=(SHELVES,),
        statements=(
            Statement(
                "SELECT categories.slug, categories.title, count(products.id) AS count_1 FROM categories "
                "JOIN products ON categories.id = products.category_id GROUP BY categories.id", 1, 1.0, 12, asked=0.03,
            ),
        ),
    ),
    Habit(
        "GET /start", 0.06, 3.6, 0.6, nbytes=1900, parts=((DB, 0.25),),
        statements=(
            Statement(f"SELECT {_PRODUCTS} FROM products ORDER BY products.id DESC LIMIT ? OFFSET ?", 1, 1.0, 6),
        ),
        lookups=(SHELVES, Lookup("favourites", 0.9, 16, 14), Lookup("bought together", 0.9, 16, 110)),
    ),
    Habit("GET /healthz", 0.05, 0.9, nbytes=15),
    Habit(
        "GET /categories/{slug}", 0.09, 26.0, nbytes=1700, parts=((DB, 0.62), (GC, 0.02)),
        statements=(
            Statement(
                "SELECT order_lines.product_id, sum(order_lines.quantity) AS sum_1 FROM order_lines "
                "GROUP BY order_lines.product_id", 1, 0.72, 908,
            ),
            Statement(_loaded("products", _PRODUCT_COLUMNS, "? = products.category_id"), 1, 0.22, 333),
            Statement(
                "SELECT categories.id, categories.slug, categories.title FROM categories WHERE categories.slug = ?",
                1, 0.06,
            ),
        ),
    ),
    Habit(
        PRODUCT, 0.22, 2.1, nbytes=63, parts=((DB, 0.1),), statements=(Statement(ONE_PRODUCT, 1, 1.0, asked=0.4),),
        lookups=(Lookup("product", 0.6, 18, 1.6),),
    ),
    Habit(PRODUCT, 0.01, 2.0, nbytes=29, outcome="404"),
    Habit(
        "GET /search", 0.08, 38.0, 0.5, nbytes=1600, parts=((DB, 0.5), (GC, 0.12)),
        statements=(
            Statement(
                f"SELECT {_PRODUCTS} FROM products WHERE products.name LIKE ? OR products.description LIKE ?",
                1, 1.0, 1100,
            ),
        ),
    ),
    Habit(
        "GET /products/{product_id}/recommendations", 0.05, 115.0, 0.45, parts=((DB, 0.22), (GC, 0.3)),
        statements=(
            Statement("SELECT order_lines.order_id, order_lines.product_id FROM order_lines", 1, 0.98, 28_000, 0.65),
            Statement(ONE_PRODUCT, 1, 0.02),
        ),
        lookups=(Lookup("bought together", 0.35, 17, 110),),
    ),
    Habit(
        "GET /products/{product_id}/shipping", 0.04, 2.4, nbytes=14, parts=((DB, 0.2),),
        statements=(Statement(ONE_PRODUCT, 1, 1.0),),
    ),
    Habit("GET /products/{product_id}/shipping", 0.0004, 4.0, nbytes=21, outcome="500"),
    Habit("POST /login", 0.02, 3.4, nbytes=45, outcome="401", parts=((DB, 0.3),)),
    Habit(
        "GET /customers/{customer_id}/orders", 0.03, 27.0, 0.5, nbytes=2900, parts=((DB, 0.58),),
        statements=(
            Statement(f"{_ORDERS} ORDER BY orders.placed_at DESC LIMIT ? OFFSET ?", 1, 0.1, 13),
            Statement(ORDER_LINES, 13, 0.6, 3),
            Statement(ONE_PRODUCT, 36, 0.3),
        ),
    ),
    Habit(
        "POST /customers/{customer_id}/cart", 0.135, 6.0, nbytes=14, outcome="201", parts=((DB, 0.55),),
        statements=(
            Statement("COMMIT", 1, 0.75, 0),
            Statement(_loaded("customers", "id email", "customers.id = ?"), 1, 0.12),
            Statement("INSERT INTO cart_lines (customer_id, product_id, quantity) VALUES (?, ?, ?)", 1, 0.13),
        ),
    ),
    Habit(
        INCIDENT, 0.03, 42.0, 0.5, nbytes=38, outcome="201", parts=((DB, 0.65),),
        statements=(
            Statement(ORDER_LINES, 14, 0.72, 3),
            Statement("COMMIT", 1, 0.16, 0),
            Statement(_ORDERS, 1, 0.06, 14),
            Statement("INSERT INTO orders (customer_id, placed_at, status) VALUES (?, ?, ?)", 1, 0.06),
        ),
    ),
    Habit(
        "GET /export/sales.csv", 0.005, 260.0, 0.3, nbytes=420_000, parts=((DB, 0.1), (GC, 0.3)),
        statements=(
            Statement(
                "SELECT order_lines.id, order_lines.order_id, order_lines.product_id, order_lines.quantity, "
                "order_lines.price_cents FROM order_lines", 1, 1.0, 28_000,
            ),
        ),
    ),
    Habit(UNMATCHED, 0.005, 0.8, nbytes=22, outcome="404"),
)  # fmt: skip
