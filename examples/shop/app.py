"""The shop's pages and API: `uvicorn shop.app:app` in examples/, after `python -m shop.stock`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel
from sqlalchemy import func, select

from pitstop.tune.limit import LimitMiddleware
from pitstop.tune.memory import tune_memory
from pitstop.tune.waves import Task
from shop.orders import router as orders
from shop.recommend import bought_together
from shop.tables import Category, Customer, OrderLine, Product, Session
from shop.tuned import PRIORITIES, cache, limiter, together

HERE = Path(__file__).parent
PER_PAGE = 24
EUR_CENTS_PER_KG = {"DE": 120, "FR": 180, "PT": 260}


@asynccontextmanager
async def looked_after(_app: FastAPI) -> AsyncIterator[None]:
    """Fit each worker's memory when it has started."""
    memory = tune_memory()
    memory.pressure.on_pressure("the shop's cache", lambda level: cache.shrink(1 - level / 4))
    yield
    memory.stop()


app = FastAPI(title="A small shop", lifespan=looked_after)
app.add_middleware(LimitMiddleware, limiter=limiter, priorities=PRIORITIES)
app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
app.include_router(orders)
pages = Jinja2Templates(HERE / "templates")


class ProductOut(BaseModel):
    """A product as the API shows it."""

    id: int
    name: str
    price_cents: int


class Login(BaseModel):
    """Who somebody says they are."""

    email: str
    password: str


def _shown(products: list[Product]) -> list[ProductOut]:
    return [ProductOut(id=product.id, name=product.name, price_cents=product.price_cents) for product in products]


@app.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer when alive."""
    return {"status": "ok"}


@app.get("/")
def catalogue(request: Request, page: Annotated[int, Query(ge=1, le=100)] = 1) -> Response:
    """Show one page of everything."""
    with Session() as db:
        products = db.scalars(select(Product).order_by(Product.id).offset((page - 1) * PER_PAGE).limit(PER_PAGE)).all()
        return pages.TemplateResponse(request, "catalogue.html", {"products": products, "page": page})


@app.get("/start")
async def start() -> dict[str, object]:
    """Show what an app opens with: three things side by side, and a fourth that needs one of them."""
    done = await together.arun(
        [
            Task("shelves", shelves),
            Task("newest", newest),
            Task("favourites", favourites),
            Task("goes with it", goes_with, needs={"best": "favourites"}),
        ]
    )
    return {
        "shelves": done["shelves"],
        "newest": done["newest"],
        "favourites": done["favourites"],
        **done["goes with it"],
    }


@app.get("/menu")
def menu() -> list[dict[str, object]]:
    """List the shelves with how much stands on each."""
    listed: list[dict[str, object]] = shelves()
    return listed


@cache.cached(region="shelves", ttl_s=30)
def shelves() -> list[dict[str, object]]:
    """Count what stands on each shelf."""
    with Session() as db:
        counted = select(Category.slug, Category.title, func.count(Product.id)).join(Product).group_by(Category.id)
        return [{"slug": slug, "title": title, "products": n} for slug, title, n in db.execute(counted)]


@app.get("/categories/{slug}")
def category(slug: str) -> list[ProductOut]:
    """Show what sells best on a shelf: every product is loaded and sorted here, though the database could."""
    with Session() as db:
        shelf = db.scalar(select(Category).where(Category.slug == slug))
        if shelf is None:
            raise HTTPException(404, f"no shelf {slug!r}")
        counted = select(OrderLine.product_id, func.sum(OrderLine.quantity)).group_by(OrderLine.product_id)
        sold = {product_id: quantity for product_id, quantity in db.execute(counted)}  # noqa: C416  a result is no pair
        best = sorted(shelf.products, key=lambda product: (-sold.get(product.id, 0), product.name))
        return _shown(best[:PER_PAGE])


def newest() -> list[dict[str, object]]:
    """Load what came in last."""
    with Session() as db:
        found = db.scalars(select(Product).order_by(Product.id.desc()).limit(6)).all()
        return [one.model_dump() for one in _shown(list(found))]


@cache.cached(region="favourites", ttl_s=20)
def favourites() -> list[int]:
    """Count which products were sold most."""
    with Session() as db:
        sold = select(OrderLine.product_id).group_by(OrderLine.product_id).order_by(func.sum(OrderLine.quantity).desc())
        return list(db.scalars(sold.limit(6)))


def goes_with(best: list[int]) -> dict[str, object]:
    """Find what is bought with the favourite of all."""
    return {"goes_with": best[0], "together": together_with(best[0])}


@app.get("/products/{product_id}")
def product(product_id: int) -> ProductOut:
    """Show one product."""
    found = one_product(product_id)
    if found is None:
        raise HTTPException(404, f"no product {product_id}")
    return ProductOut.model_validate(found)


@cache.cached(region="product", ttl_s="adaptive", tags=["product:{product_id}"])
def one_product(product_id: int) -> dict[str, object] | None:
    """Load one product; that there is none is worth keeping, too."""
    with Session() as db:
        found = db.get(Product, product_id)
        return None if found is None else _shown([found])[0].model_dump()


@app.get("/search")
def search(q: Annotated[str, Query(min_length=2, max_length=50)]) -> list[ProductOut]:
    """Find products by a word: LIKE '%word%' reads every description, and all that is found is ranked here."""
    with Session() as db:
        pattern = f"%{q}%"
        found = db.scalars(select(Product).where(Product.name.like(pattern) | Product.description.like(pattern)))
        return _shown(sorted(found, key=lambda hit: (-hit.name.count(q), -hit.description.count(q), hit.id))[:PER_PAGE])


@app.get("/products/{product_id}/recommendations")
def recommendations(product_id: int) -> list[ProductOut]:
    """Show what others bought with it: worked out in a slow way, and kept, though few ask for the same twice."""
    return [ProductOut.model_validate(one) for one in together_with(product_id)]


@cache.cached(region="bought together", ttl_s=60)
def together_with(product_id: int) -> list[dict[str, object]]:
    """Work out what was bought together with a product."""
    with Session() as db:
        best = bought_together(db, product_id, limit=6)
        found = _shown([product for id_ in best if (product := db.get(Product, id_)) is not None])
        return [one.model_dump() for one in found]


@app.get("/products/{product_id}/shipping")
def shipping(product_id: int, country: str = "DE") -> dict[str, int]:
    """Say what sending it costs. Fails for the few products that came without a weight: nobody has noticed yet."""
    with Session() as db:
        found = db.get(Product, product_id)
        if found is None or country not in EUR_CENTS_PER_KG:
            raise HTTPException(404, f"cannot send {product_id} to {country}")
        kg = -(-found.weight_g // 1000)  # type: ignore[operator]  # the supplier's list always has weights, they said
        return {"cents": 390 + kg * EUR_CENTS_PER_KG[country]}


@app.post("/login")
def login(who: Login) -> dict[str, str]:
    """Let nobody in: accounts come next week."""
    with Session() as db:
        db.scalar(select(Customer).where(Customer.email == who.email))
        raise HTTPException(401, "wrong e-mail address or password")


@app.get("/export/sales.csv")
def export_sales() -> StreamingResponse:
    """Stream every line ever sold."""

    def rows() -> Iterator[str]:
        yield "order,product,quantity,price_cents\n"
        with Session() as db:
            lines = select(OrderLine).execution_options(yield_per=500)
            for part in db.scalars(lines).partitions():
                yield "".join(
                    f"{line.order_id},{line.product_id},{line.quantity},{line.price_cents}\n" for line in part
                )

    return StreamingResponse(rows(), media_type="text/csv")
