"""A service whose database has four connections, each query 50 ms; behind a limiter, or not (``BARE=1``)."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from pitstop.tune.limit import Limiter, LimitMiddleware, Priority

CONNECTIONS = asyncio.Semaphore(4)
LIMITER = Limiter("db", window_ns=100_000_000)  # ten windows a second: seconds of a test are enough


async def serve(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """One query; ``/limit`` tells how the limiter stands."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/limit":
        [report] = LIMITER.reports()
        body = json.dumps(report.body).encode()
    else:
        async with CONNECTIONS:
            await asyncio.sleep(0.05)
        body = b"ok"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


PRIORITIES = {"/limit": Priority.CRITICAL, "/pay": Priority.HIGH, "/report": Priority.LOW}
app: Any = serve if os.environ.get("BARE") else LimitMiddleware(serve, LIMITER, priorities=PRIORITIES)
