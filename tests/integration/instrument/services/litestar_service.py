"""A Litestar service with a route, an error and a router."""

from litestar import Litestar, Response, Router, get


@get("/items/{item_id:int}")
async def item(item_id: int) -> dict[str, int]:
    return {"id": item_id}


@get("/fail")
async def fail() -> Response[str]:
    return Response("down", status_code=503)


@get("/users/{name:str}")
async def user(name: str) -> str:
    return name


app = Litestar([item, fail, Router("/v1", route_handlers=[user])])
