"""A FastAPI service that knows nothing of Pitstop. Every answer names the process that gave it."""

import os

from fastapi import FastAPI, HTTPException, Response

app = FastAPI()
ITEMS = 1000


@app.get("/items/{item_id}")
def item(item_id: int, response: Response) -> dict[str, int]:
    if item_id >= ITEMS:
        raise HTTPException(404, "no such item")
    response.headers["X-Pid"] = str(os.getpid())
    return {"item_id": item_id}


@app.post("/items", status_code=201)
async def add(response: Response) -> dict[str, bool]:
    response.headers["X-Pid"] = str(os.getpid())
    return {"added": True}


@app.get("/broken")
def broken() -> None:
    raise RuntimeError("an honest mistake of the service")
