"""What each route spends its time on is planted: computing, sleeping, waiting for a task, holding the loop."""

from __future__ import annotations

import asyncio
import gc
import time

from fastapi import FastAPI

app = FastAPI()
waiting_now: list[asyncio.Event] = []


def compute(seconds: float) -> int:
    end, n = time.thread_time() + seconds, 0
    while time.thread_time() < end:
        n += sum(range(500))
    return n


def hold_the_loop(seconds: float) -> None:
    time.sleep(seconds)  # a careless host


@app.get("/computing")
def computing() -> str:
    compute(0.8)
    return "computed"


@app.get("/sleeping")
def sleeping() -> str:
    time.sleep(0.8)
    return "slept"


@app.get("/holding")
async def holding() -> str:
    while not waiting_now:  # noqa: ASYNC110  a request that waits must be there
        await asyncio.sleep(0.005)
    asyncio.get_running_loop().call_later(0.05, waiting_now.pop().set)  # it could go on then
    hold_the_loop(0.5)
    return "held"


@app.get("/waiting")
async def waiting() -> str:
    event = asyncio.Event()
    waiting_now.append(event)
    await event.wait()
    return "waited"


@app.get("/task")
async def task() -> str:
    async def child() -> None:
        compute(0.5)

    await asyncio.create_task(child())
    return "done"


@app.get("/collecting")
def collecting() -> str:
    kept = [[] for _ in range(100_000)]
    gc.collect()
    return str(len(kept))
