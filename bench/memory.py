"""Memory: what the leak watch and pressure levels cost, always, and what GC tuning gains.

Run: ``python bench/memory.py``. The service is a FastAPI one whose answer is 60 SQLAlchemy rows as validated models, in
front of 300,000 long-lived objects (a catalogue in memory). Each variant is a process of its own, driven without a
network; rounds alternate. Budget of the watch: 0.1 % of a core; pauses below 10 ms (R43).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import StaticPool

from pitstop.tune.memory import leaks
from pitstop.tune.memory.collector import GcTuning
from pitstop.tune.memory.leaks import LeakWatch
from pitstop.tune.memory.pressure import Pressure
from pitstop.tune.memory.readings import Held

ROUNDS = 5
REQUESTS = 1200
CATALOGUE = 100_000
ROWS = 60


class Base(DeclarativeBase):
    """Tables."""


class Product(Base):
    """A row."""

    __tablename__ = "product"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[float]


class Shown(BaseModel):
    """What of it is answered."""

    id: int
    name: str
    price: float
    tags: list[str]


def service() -> FastAPI:
    """The application, with its catalogue."""
    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(Product(id=n, name=f"product {n}", price=n / 7) for n in range(1, 2001))
        session.commit()
    app = FastAPI()
    app.state.catalogue = {n: {"tags": [f"tag {n % 9}"], "near": [n - 1, n + 1]} for n in range(CATALOGUE)}

    @app.get("/products")
    async def products(page: int = 0) -> list[Shown]:
        with Session(engine) as session:
            rows = session.scalars(select(Product).where(Product.id > page * ROWS).limit(ROWS)).all()
            return [
                Shown(id=row.id, name=row.name, price=row.price, tags=app.state.catalogue[row.id]["tags"])
                for row in rows
            ]

    return app


async def drive(app: Any, requests: int) -> list[float]:
    """Latencies of so many requests, one after the other, s."""
    latencies = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(_message: dict[str, Any]) -> None:
        pass

    for n in range(requests):
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": "/products", "raw_path": b"/products",
            "query_string": b"page=%d" % (n % 30), "headers": [], "scheme": "http", "root_path": "",
            "server": ("bench", 80), "client": ("bench", 1),
        }  # fmt: skip
        began_s = time.perf_counter()
        await app(scope, receive, send)
        latencies.append(time.perf_counter() - began_s)
    return latencies


def gc_child(variant: str) -> None:
    """One variant: CPU a request, the slowest, and the collector's pauses."""
    app = service()
    asyncio.run(drive(app, 100))
    pauses: list[tuple[int, float]] = []
    began = [0.0]

    def heard(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            began[0] = time.perf_counter()
        else:
            pauses.append((info["generation"], time.perf_counter() - began[0]))

    tuning = None
    if variant == "freeze only":
        gc.collect()
        gc.freeze()
    elif variant == "tuned":
        tuning = GcTuning(every_s=3600.0).start()
    elif variant == "collector off":
        gc.disable()
    asyncio.run(drive(app, 200))
    for _ in range(4 if tuning is not None else 0):  # what the thread does every ten seconds
        asyncio.run(drive(app, 100))
        tuning.step()
    gc.callbacks.append(heard)
    cpu_s = time.process_time()
    latencies = asyncio.run(drive(app, REQUESTS))
    cpu_s = time.process_time() - cpu_s
    gc.callbacks.remove(heard)
    print(
        json.dumps(
            {
                "cpu_us": cpu_s / REQUESTS * 1e6,
                "p99_ms": sorted(latencies)[int(REQUESTS * 0.99)] * 1e3,
                "collections": len(pauses),
                "full": sum(generation == 2 for generation, _ in pauses),
                "pause_share": sum(pause for _, pause in pauses) / sum(latencies),
                "longest_ms": max((pause for _, pause in pauses), default=0.0) * 1e3,
                "threshold": gc.get_threshold()[0],
            }
        )
    )


def rounds_cost(step: Any, every_s: float, rounds: int) -> float:
    """CPU of so many rounds, as a share of the time they stand for."""
    cpu_s = time.thread_time()
    for _ in range(rounds):
        step()
    return (time.thread_time() - cpu_s) / (rounds * every_s)


def watch_child(variant: str) -> None:
    """One variant: what its rounds take of a core, and what a request takes with it."""
    app = service()
    asyncio.run(drive(app, 200))
    spent = 0.0
    if variant == "tracemalloc, always on":
        tracemalloc.start()
    elif variant == "leak watch, quiet":
        spent = rounds_cost(LeakWatch().tick, 5.0, 300)
    elif variant == "leak watch, suspicious":
        now_s = [0.0]
        leaks.held = lambda: Held(int(1e8 + now_s[0] * 1e5), 1)  # it grows by 6 MB a minute
        watch = LeakWatch(now_s=lambda: now_s[0], lines=lambda: ("", ""))

        def tick() -> None:
            now_s[0] += 5.0
            watch.tick()

        spent = rounds_cost(tick, 5.0, 2880)  # four hours
    elif variant == "pressure levels":
        spent = rounds_cost(Pressure().step, 1.0, 300)
    cpu_s = time.process_time()
    asyncio.run(drive(app, REQUESTS // 2))
    print(
        json.dumps(
            {
                "of_a_core": spent,
                "cpu_us": (time.process_time() - cpu_s) / (REQUESTS // 2) * 1e6,
                "objects": len(gc.get_objects()),
            }
        )
    )


def run(kind: str, variants: list[str]) -> dict[str, dict[str, float]]:
    """Medians of all rounds."""
    rows: dict[str, list[dict[str, float]]] = {variant: [] for variant in variants}
    for _ in range(ROUNDS):
        for variant in variants:
            done = subprocess.run(
                [sys.executable, __file__, kind, variant], capture_output=True, text=True, check=True, env=os.environ
            )
            rows[variant].append(json.loads(done.stdout))
    return {
        variant: {key: statistics.median(row[key] for row in found) for key in found[0]}
        for variant, found in rows.items()
    }


def main() -> None:
    """Both tables."""
    found = run("gc", ["as it is", "freeze only", "tuned", "collector off"])
    plain = found["as it is"]["cpu_us"]
    names = ("µs CPU", "gain", "P99 ms", "longest ms", "of time", "young at", "full")
    print(f"{'collector':16}" + "".join(f"{name:>{w}}" for name, w in zip(names, (8, 8, 8, 12, 9, 9, 6), strict=True)))
    for variant, row in found.items():
        print(
            f"{variant:16}{row['cpu_us']:8.0f}{100 * (1 - row['cpu_us'] / plain):6.1f} %{row['p99_ms']:8.2f}"
            f"{row['longest_ms']:12.2f}{100 * row['pause_share']:7.1f} %{row['threshold']:9.0f}{row['full']:6.0f}"
        )
    print()
    variants = ["nothing", "leak watch, quiet", "leak watch, suspicious", "pressure levels", "tracemalloc, always on"]
    found = run("watch", variants)
    plain = found["nothing"]["cpu_us"]
    print(f"{'always on':28}{'of a core':>12}{'µs CPU a request':>18}{'times':>8}")
    for variant, row in found.items():
        own = f"{100 * row['of_a_core']:10.4f} %" if variant.startswith(("leak", "pressure")) else f"{'':12}"
        print(f"{variant:28}{own}{row['cpu_us']:18.0f}{row['cpu_us'] / plain:8.2f}")
    print(f"\n{found['nothing']['objects']:.0f} objects that the collector tracks")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        {"gc": gc_child, "watch": watch_child}[sys.argv[1]](sys.argv[2])
    else:
        main()
