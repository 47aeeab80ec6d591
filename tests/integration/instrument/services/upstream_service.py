"""What others call: tells the headers it got, redirects, fails, answers slowly and in pieces."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any


async def app(scope: dict[str, Any], _receive: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    if scope["type"] != "http":
        return
    path = scope["path"]
    if path.startswith("/redirect"):
        query = scope["query_string"] or b"/"
        await send({"type": "http.response.start", "status": 302, "headers": [(b"location", query)]})
        await send({"type": "http.response.body", "body": b""})
        return
    status = int(path.rpartition("/")[2]) if path.startswith("/status") else 200
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    if path.startswith("/slow"):
        for _ in range(3):
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": json.dumps(headers).encode()})
