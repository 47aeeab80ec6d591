"""Flask below FastAPI, once by a2wsgi and once by Starlette's own middleware; a view that asks itself; a WebSocket."""

import asyncio
import warnings
from collections.abc import AsyncIterator

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI, WebSocket
from fastapi.responses import StreamingResponse
from flask_service import app as flask_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.middleware.wsgi import WSGIMiddleware as StarlettesOwn

app = FastAPI()


@app.get("/asks")
def asks() -> str:
    return flask_app.test_client().get("/v1/users/me").text


@app.websocket("/echo/{room}")
async def echo(socket: WebSocket, room: str) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(f"{room}: {text}")


async def pieces() -> AsyncIterator[bytes]:
    for _ in range(1000):
        yield b"x" * 65_536
        await asyncio.sleep(0.01)


@app.get("/slow")
def slow() -> StreamingResponse:
    return StreamingResponse(pieces())


app.mount("/flask", WSGIMiddleware(flask_app))
app.mount("/own", StarlettesOwn(flask_app))
