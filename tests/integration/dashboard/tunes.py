"""A made-up shop that caches, pools its connections and watches its memory, written as workers write it.

Run by itself it fills a store to look at: ``python tunes.py sqlite:///pitstop.db``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from pitstop.model import Batch, PitstopError, Rollups, Samples, Series
from pitstop.model.columns import Reports
from pitstop.model.tuned import (
    ADVICE_REPORT,
    CACHE_INVALIDATE,
    CACHE_REPORT,
    CACHE_WARM,
    GC_REPORT,
    LEAK_REPORT,
    LIMITER_REPORT,
    MEMORY_LOOK,
    MEMORY_OPTIMIZE,
    OBJECTS_REPORT,
    PLAN_REPORT,
    POOL_REPORT,
    PRESSURE_REPORT,
)
from pitstop.record import asks
from pitstop.record import desk as desk_module
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from pitstop.model import Store
    from pitstop.model.tuned import (
        AdviceBody,
        CacheBody,
        GcBody,
        GrownLine,
        HotKey,
        InvalidateAnswer,
        LeakBody,
        LimiterBody,
        LookAnswer,
        ObjectsBody,
        OptimizeAnswer,
        OptimizeStep,
        PlanBody,
        PlanNode,
        PoolBody,
        PressureBody,
        WarmAnswer,
    )

MS = 1_000_000
SERVICE = "shop"
WORKERS = ("web-1:4420:beef", "web-1:4421:cafe")
XSS = '"><img src=x onerror=window.canary=5><script>window.canary=6</script>{{9*9}}'
LONG = "prices of everything that is on sale this week in every shop of the whole country, by shelf and by day"
ENGINE = "postgresql+psycopg://db.internal/shop"
ITEM = "SELECT product.id, product.name, product.price, product.stock FROM product WHERE product.id = ?"
ORDERS = "SELECT orders.id, orders.placed_at FROM orders WHERE orders.customer_id = ? ORDER BY orders.placed_at DESC"
LINES = "SELECT line.id, line.price FROM line WHERE line.order_id = ?"  # the one that insides.py repeats
PRODUCT = "GET /product/{id}"
STEP_S = 10
REGIONS = (  # name, hits, stale, misses, errors in STEP_S; a hit and making a value, ms
    ("product", 400, 12, 40, 0, 0.004, 6.2),
    ("basket", 90, 0, 70, 2, 0.4, 9.0),
    (LONG, 3, 0, 41, 0, 0.005, 22.0),
    (XSS, 0, 0, 8, 0, 0.005, 0.03),
    ("cheap", 300, 0, 20, 0, 0.9, 0.2),
)


def fill(store: Store, now: int) -> None:
    """An hour and a half up to now, Unix seconds, by two workers."""
    for number, worker in enumerate(WORKERS):
        store.append(Batch(worker, 1, _rollups(now), _samples(now, worker), reports=reports(now, worker, number)))


def _rollups(now: int) -> Rollups:
    draw = np.random.default_rng(5)
    rows = Rollups()

    def add(ts: int, kind: str, name: str, parent: str, outcome: str, count: int, ms: float) -> None:
        if not count:
            return
        ns = max(1000, int(ms * MS * draw.normal(1, 0.05)))
        rows.ts.append(ts)
        rows.series.append(Series(SERVICE, "", kind, name, parent, outcome))
        rows.count.append(count)
        rows.sum_ns.append(count * ns)
        rows.min_ns.append(ns)
        rows.max_ns.append(ns)
        rows.nbytes.append(0)
        rows.hist.append(encode({position_of(ns): count}))

    for ts in range(now - 5400, now - 20, STEP_S):
        for name, hits, stale, misses, errors, hit_ms, make_ms in REGIONS:
            cold = 4 if name == "product" and now - 2400 < ts < now - 2000 else 1
            add(ts, "region", name, PRODUCT, "hit", hits // cold, hit_ms)
            add(ts, "region", name, PRODUCT, "stale", stale, hit_ms)
            add(ts, "region", name, PRODUCT, "miss", misses * cold, hit_ms + make_ms)
            add(ts, "region", name, PRODUCT, "error", errors, 50.0)
        add(ts, "cache", "GET", PRODUCT, "hit", 40, 0.3)
        add(ts, "cache", "GET", PRODUCT, "miss", 30, 0.3)
        add(ts, "cache", "SET", PRODUCT, "ok", 30, 0.4)
        add(ts, "pool_wait", "connection", PRODUCT, "", 3, 12.0)
        add(ts, "db", ITEM, PRODUCT, "ok", 40, 3.1)
        add(ts, "db", ORDERS, "GET /orders", "ok", 6, 41.0)
        add(ts, "http", PRODUCT, "", "200", 60, 8.0)
    return rows


def _samples(now: int, worker: str) -> Samples:
    out = Samples()
    for ts in range(now - 5400, now, STEP_S):
        age = (ts - now + 5400) / 5400
        for name, value in (
            ("process.memory.rss_bytes", 9e7 + (6e7 * age if worker == WORKERS[0] else 4e6 * (ts % 400) / 400)),
            ("gc.pause_max_s", 0.004 + 0.01 * (ts % 600 < 60)),
        ):
            out.ts.append(ts)
            out.service.append(SERVICE)
            out.worker.append(worker)
            out.name.append(name)
            out.value.append(value)
    return out


def reports(now: int, worker: str, number: int) -> Reports:
    """Everything that the worker of that number says of itself."""
    out = Reports()

    def add(kind: str, name: str, body: Any, ago_s: int = 4) -> None:
        out.ts.append(now - ago_s)
        out.service.append(SERVICE)
        out.worker.append(worker)
        out.kind.append(kind)
        out.name.append(name)
        out.body.append(json.dumps(body))

    add(CACHE_REPORT, "product", product_region())
    add(CACHE_REPORT, "basket", basket_region())
    add(CACHE_REPORT, LONG, empty_region())
    add(CACHE_REPORT, XSS, empty_region() | {"ttl_why": XSS, "breaker": XSS, "levels": [XSS]})
    add(CACHE_REPORT, "idle", empty_region())
    add(POOL_REPORT, ENGINE, pool(number))
    add(GC_REPORT, "", collector(number))
    add(PRESSURE_REPORT, "", pressure(number))
    add(LIMITER_REPORT, "requests", limiter(number))
    add(OBJECTS_REPORT, "parsers", objects(0.8, "worth it: making one takes 40 times as long as cleaning one"))
    if number == 0:
        add(POOL_REPORT, f"sqlite:///{'deep/' * 20}{XSS}.db", pool(0) | {"advice": "", "server_limit": None})
        add(OBJECTS_REPORT, f"buffers {XSS}", objects(-0.02, "not worth it: making one takes less than cleaning one"))
        add(PLAN_REPORT, "00000000000000c1", orders_plan(), 1200)
        add(PLAN_REPORT, "00000000000000c2", index_plan(ITEM), 900)
        add(PLAN_REPORT, "00000000000000c4", index_plan(LINES), 900)
        add(PLAN_REPORT, "00000000000000c3", hostile_plan(), 900)
        add(LEAK_REPORT, "dict", leak("dict", "", sure=False), 60)
        add(LEAK_REPORT, "Receipt", leak("Receipt", "shop/receipts.py:48 in remember", sure=True), 30)
        add(LEAK_REPORT, XSS, leak(XSS, XSS, sure=False), 30)
        add(ADVICE_REPORT, ENGINE, advice(), 3000)
        add("cache", "broken", "no object")
        add(CACHE_REPORT, "odd", {"entries": "many", "hits": [1], "hottest": [3, {"key": 5}], "tenants": {"a": "b"}})
    return out


def product_region() -> CacheBody:
    keys: list[HotKey] = [
        {
            "key": f"{i * 7919 % 0xFFFFFF:06x}b41f", "hits": 4000 // i, "ttl_s": 600.0 / i, "age_s": 12.0 * i,
            "cost_s": 0.006,
        }
        for i in range(1, 9)
    ]  # fmt: skip
    return {
        "levels": ["memory", "redis"], "entries": 8211, "nbytes": 21_400_000, "max_entries": 10_000,
        "max_bytes": None, "hits": {"memory": 96_000, "redis": 11_400}, "misses": 10_400, "stale": 3100, "negative": 41,
        "errors": 0, "sets": 13_100, "evictions": 1200, "refreshes": 2900, "waits": 77,
        "invalidations": {"key": 12, "tag": 31, "event": 208}, "lookup_s": 4e-6, "recompute_s": 0.0062,
        "saved_s": 590.0, "ttl_s": 420.0,
        "ttl_why": "values change every 41 min and take 6.2 ms to make: 300 s grew to 420 s", "breaker": "closed",
        "hottest": keys, "tenants": {"acme": [61_000, 4100], "globex": [46_400, 6300]},
    }  # fmt: skip


def basket_region() -> CacheBody:
    return empty_region() | {
        "levels": ["memory", "redis", "file"], "entries": 300, "nbytes": 610_000,
        "hits": {"memory": 9000, "redis": 0, "file": 210}, "errors": 41, "breaker": "open", "ttl_s": 30.0,
        "ttl_why": "values change faster than they are asked for",
    }  # fmt: skip


def empty_region() -> CacheBody:
    return {
        "levels": ["memory"], "entries": 12, "nbytes": 4100, "max_entries": 10_000, "max_bytes": 50_000_000,
        "hits": {"memory": 3}, "misses": 41, "stale": 0, "negative": 0, "errors": 0, "sets": 41, "evictions": 29,
        "refreshes": 0, "waits": 0, "invalidations": {}, "lookup_s": 5e-6, "recompute_s": 0.0, "saved_s": 0.0,
        "ttl_s": 300.0, "ttl_why": "the default: too little was seen", "breaker": "", "hottest": [], "tenants": {},
    }  # fmt: skip


def pool(number: int) -> PoolBody:
    return {
        "dialect": "postgresql", "size": 20, "max_overflow": 40, "in_use": 52 if number == 0 else 44, "idle": 2,
        "opened": 91, "recycled": 4, "waits": 120, "waited_s": 0.9 if number else 0.12, "timeouts": 3 * number,
        "recycle_s": 3600, "statement_timeout_s": 30.0, "server_limit": 100, "workers": 2,
        "advice": "2 workers may open 120 connections and the server takes 100: a pool of 20 + 28 each, or PgBouncer",
    }  # fmt: skip


def node(what: str, on: str = "", detail: str = "", **more: Any) -> PlanNode:
    empty: dict[str, Any] = {
        "what": what, "on": on, "detail": detail, "cost": 10.0, "rows_estimated": 1.0, "rows_actual": 1.0, "loops": 1,
        "time_s": 1e-4, "own_s": 1e-4, "buffers_hit": 4, "buffers_read": 0, "spilled_bytes": None, "findings": [],
        "costly": False, "inputs": [],
    }  # fmt: skip
    return empty | more  # type: ignore[return-value]  # the same fields


def orders_plan() -> PlanBody:
    scan = node(
        "Seq Scan", "orders", "customer_id = $1", cost=14_200, rows_estimated=31, rows_actual=412_000, time_s=0.031,
        own_s=0.031, buffers_read=5400, costly=True,
        findings=["reads 412 k rows to keep 31: an index on orders (customer_id) would find them"],
    )  # fmt: skip
    sort = node(
        "Sort", "", "placed_at DESC", cost=14_900, rows_estimated=31, rows_actual=412_000, time_s=0.040, own_s=0.009,
        spilled_bytes=18_400_000, costly=True, findings=["spills 18.4 MB to disk: work_mem is too small"],
        inputs=[scan],
    )  # fmt: skip
    root = node("Limit", cost=14_900, rows_estimated=20, rows_actual=20, time_s=0.041, own_s=0.001, inputs=[sort])
    return {
        "statement": ORDERS, "dialect": "postgresql", "analyzed": True, "duration_s": 0.041, "root": root,
        "findings": ["a whole table is read for 31 rows"], "route": "GET /orders",
    }  # fmt: skip


def index_plan(statement: str) -> PlanBody:
    root = node("Index Scan", "product_pkey on product", "id = $1", cost=8.3, rows_actual=None, time_s=None, own_s=None)
    return {
        "statement": statement, "dialect": "postgresql", "analyzed": False, "duration_s": None, "root": root,
        "findings": [], "route": PRODUCT,
    }  # fmt: skip


def hostile_plan() -> PlanBody:
    root: Any = node(XSS, XSS, XSS, findings=[XSS])
    for _ in range(60):
        root = node("Nested Loop", XSS, inputs=[root, "no node", node("Memoize")])
    return {
        "statement": f"SELECT '{XSS}' FROM evil WHERE x = ?", "dialect": XSS, "analyzed": True, "duration_s": 1e-4,
        "root": root, "findings": [XSS], "route": XSS,
    }  # fmt: skip


def advice() -> AdviceBody:
    return {
        "dialect": "postgresql",
        "items": [
            {
                "kind": "create index", "table": "orders", "gain": "41 ms → 0.3 ms, tried with HypoPG",
                "reason": "412 k rows are read for 31: nothing leads from a customer to the orders",
                "cost": "9 MB, and 4 % on each of 2.1 inserts a second",
                "sql": "CREATE INDEX CONCURRENTLY orders_customer_placed ON orders (customer_id, placed_at DESC);",
                "undo": "DROP INDEX CONCURRENTLY orders_customer_placed;", "statements": [ORDERS],
            },
            {
                "kind": "drop index", "table": "product", "gain": "120 MB and every write to product",
                "reason": "product_name_idx is a prefix of product_name_price_idx", "cost": "",
                "sql": "DROP INDEX CONCURRENTLY product_name_idx;",
                "undo": "CREATE INDEX CONCURRENTLY product_name_idx ON product (name);", "statements": [],
            },
            {
                "kind": XSS, "table": XSS, "gain": XSS, "reason": XSS, "cost": XSS, "sql": XSS, "undo": XSS,
                "statements": [XSS],
            },
        ],
        "refused": ["orders (status): 3 values, the cost stays", XSS],
    }  # fmt: skip


def collector(number: int) -> GcBody:
    return {
        "thresholds": [24_000, 10, 10], "why": "9 k allocations a second: a young collection every 2.7 s",
        "frozen": 211_000, "collections": [410, 40, 3], "pause_s": 0.21, "longest_s": 0.014 if number else 0.006,
        "allocations_per_s": 9100.0,
    }  # fmt: skip


def pressure(number: int) -> PressureBody:
    return {
        "level": "none" if number else "elevated", "used_bytes": 94_000_000 if number else 391_000_000,
        "limit_bytes": 512_000_000, "source": "cgroup", "shed": [] if number else ["cache product", "profiler"],
    }  # fmt: skip


def limiter(number: int) -> LimiterBody:
    return {
        "limit": 24.6, "in_flight": 9, "most": 31, "refused": {"low": 12 * number, "normal": 0, "high": 0},
        "least_s": 0.008, "recent_s": 0.011, "why": "latency is 1.4 times what it is without load",
    }  # fmt: skip


def leak(what: str, line: str, *, sure: bool) -> LeakBody:
    return {
        "what": what, "why": "grew in 14 of 14 looks and never after a collection", "line": line, "sure": sure,
        "bytes_per_min": 1_900_000.0 if sure else 210_000.0, "count_per_min": 3100.0, "since_s": 840.0,
    }  # fmt: skip


def objects(saved_s: float, verdict: str) -> ObjectsBody:
    return {
        "size": 32, "idle": 9, "taken": 41_000, "made": 23, "make_s": 2e-5, "reset_s": 5e-7, "saved_s": saved_s,
        "verdict": verdict,
    }  # fmt: skip


class Process:
    """What a process of the shop does when it is asked: it counts, and remembers what it did."""

    def __init__(self) -> None:
        self.did: list[tuple[str, dict[str, Any]]] = []
        self.broken = ""

    def invalidate(self, asked: Mapping[str, Any]) -> InvalidateAnswer:
        self.did.append((CACHE_INVALIDATE, dict(asked)))
        if self.broken:
            raise PitstopError(self.broken)
        regions = {str(asked["region"]): 812} if "region" in asked else {"product": 31, XSS: 1}
        return {"entries": sum(regions.values()), "regions": regions, "dry_run": bool(asked.get("dry_run"))}

    def warm(self, asked: Mapping[str, Any]) -> WarmAnswer:
        self.did.append((CACHE_WARM, dict(asked)))
        return {"calls": 40, "regions": {"product": 40}, "dry_run": bool(asked.get("dry_run"))}

    def optimize(self, asked: Mapping[str, Any]) -> OptimizeAnswer:
        self.did.append((MEMORY_OPTIMIZE, dict(asked)))
        steps: list[OptimizeStep] = [
            {"name": "full collection", "freed_bytes": 13_000_000, "took_s": 0.1, "note": "4100 objects were garbage"},
            {"name": XSS, "freed_bytes": -5, "took_s": 0.0, "note": XSS},
        ]
        return {"before_bytes": 94_000_000, "after_bytes": 81_000_000, "took_s": 0.12, "steps": steps}

    def look(self, asked: Mapping[str, Any]) -> LookAnswer:
        self.did.append((MEMORY_LOOK, dict(asked)))
        lines: list[GrownLine] = [
            {
                "line": line, "bytes_per_min": rate, "first_bytes": 900_000, "second_bytes": 1_000_000, "blocks": 3100,
                "stays": stays,
            }
            for line, rate, stays in ((XSS, 3.0, False), ("shop/receipts.py:48 in remember", 11_400_000.0, True))
        ]  # fmt: skip
        return {"seconds": 0.1, "lines": lines, "outside": {"line": "shop/pdf.py:3", "why": f"it maps pages {XSS}"}}


@contextmanager
def process(folder: Path) -> Iterator[Process]:
    """This process, found in `folder` and nowhere else, answers as one of the shop's."""
    made, over = Process(), threading.Event()
    parts = {
        CACHE_INVALIDATE: made.invalidate, CACHE_WARM: made.warm, MEMORY_OPTIMIZE: made.optimize,
        MEMORY_LOOK: made.look,
    }  # fmt: skip
    known = dict(asks.ANSWERS)
    found = desk_module.folder_of
    setattr(desk_module, "folder_of", lambda _uid: str(folder / "asked"))  # noqa: B010  mypy does not let it be set
    for what, answer in parts.items():
        asks.can_answer(what, answer)
    desk = desk_module.Desk(SERVICE, lambda work: threading.Thread(target=work, daemon=True).start())
    desk.poll()

    def poll() -> None:
        while not over.wait(0.02):
            desk.poll()

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()
        desk.close()
        setattr(desk_module, "folder_of", found)  # noqa: B010  as above
        asks.ANSWERS.clear()
        asks.ANSWERS.update(known)


if __name__ == "__main__":
    from pitstop.store import open_store

    filled = open_store(sys.argv[1])
    fill(filled, int(time.time()))
    filled.close()
