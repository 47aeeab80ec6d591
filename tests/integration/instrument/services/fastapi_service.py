"""A FastAPI service with a route, an error, a mounted sub-application and an included router."""

from fastapi import APIRouter, FastAPI, Response

app = FastAPI()
router = APIRouter(prefix="/v1")
sub = FastAPI()


@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@app.get("/fail")
async def fail() -> Response:
    return Response("down", status_code=503)


@router.get("/users/{name}")
def user(name: str) -> str:
    return name


@sub.get("/orders/{order}")
def order(order: int) -> int:
    return order


app.include_router(router)
app.mount("/shop", sub)
