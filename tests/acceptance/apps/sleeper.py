"""A plain ASGI service that sleeps as long as it is asked to, and writes down how long that really took, ns.

Instrumented by its own line, as close to it as can be, so that the two clocks are read side by side.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter_ns
from typing import Any

import pitstop


async def sleep(
    scope: Mapping[str, Any], _receive: object, send: Callable[[Mapping[str, object]], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    started_ns = perf_counter_ns()
    await asyncio.sleep(float(scope["path"].rpartition("/")[2]) / 1e3)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
    line = f"{perf_counter_ns() - started_ns}\n".encode()
    os.write(LEDGER, line)


LEDGER = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
app = pitstop.instrument(sleep)
