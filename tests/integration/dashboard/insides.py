"""The inside of a made-up shop's requests, written as workers write it: statements, calls, traces, errors, stacks.

Run by itself it fills a store to look at: ``python insides.py sqlite:///pitstop.db``.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pitstop.model import Batch, Rollups, Series
from pitstop.model.columns import Errors, Profiles, Traces
from pitstop.model.trace import Span, encode_spans
from pitstop.rollup.codec import encode
from pitstop.rollup.histogram import position_of

if TYPE_CHECKING:
    from pitstop.model import Store

MS = 1_000_000
SERVICE = "shop"
WORKER = "web-1:4412:f00d"
XSS = '"><img src=x onerror=window.canary=3><script>window.canary=4</script>{{8*8}}'
CHECKOUT, PRODUCT, MENU = "POST /checkout", "GET /product/{id}", "GET /menu"
HEAVY, HEAVY_FRAMES = "GET /heavy", 50_000  # a profile as large as they come
LINES = "SELECT line.id, line.price FROM line WHERE line.order_id = ?"
ORDER = "SELECT orders.id, orders.total FROM orders WHERE orders.id = ?"
PAID = "UPDATE orders SET paid = ? WHERE id = ?"
ITEM = "SELECT product.id, product.name, product.price, product.stock FROM product WHERE product.id = ?"
HOSTILE = f"SELECT '{XSS}' FROM evil WHERE x = ?"
LINES_AT, ORDER_AT = "shop/cart.py:88 in total", "shop/cart.py:41 in load"
FINGERPRINTS = ("00000000000000a1", "00000000000000b2")
TRACE_BIG, TRACE_SLOW, TRACE_FAILED, TRACE_PLAIN = (letter * 32 for letter in "badc")


STEP_S = 20


class Query(NamedTuple):
    statement: str
    route: str
    calls: int  # in STEP_S
    ms: float
    rows: int


QUERIES = (
    Query(LINES, CHECKOUT, 177, 14.2, 177),
    Query(ORDER, CHECKOUT, 3, 6.0, 3),
    Query(PAID, CHECKOUT, 3, 22.0, 3),
    Query(ITEM, PRODUCT, 40, 3.1, 40),
    Query(ITEM, CHECKOUT, 4, 3.4, 4),
    Query(HOSTILE, f"GET /{XSS}", 3, 1.0, 0),
)


def add(rows: Rollups, ts: int, series: Series, count: int, ns: int, nbytes: int = 0) -> None:
    """`count` operations of `ns` each."""
    rows.ts.append(ts)
    rows.series.append(series)
    rows.count.append(count)
    rows.sum_ns.append(count * ns)
    rows.min_ns.append(ns)
    rows.max_ns.append(ns)
    rows.nbytes.append(nbytes)
    rows.hist.append(encode({position_of(ns): count}))


def fill(store: Store, now: int) -> None:
    """An hour and a half up to a minute before `now`, Unix seconds."""
    store.append(Batch(WORKER, 1, _rollups(now), traces=_traces(now), errors=_errors(now), profiles=_profiles(now)))


def _rollups(now: int) -> Rollups:
    draw = np.random.default_rng(3)
    rows = Rollups()
    for ts in range(now - 5400, now - 60, STEP_S):
        slower = 2.2 if ts > now - 1800 else 1.0
        for query in QUERIES:
            ns = int(query.ms * MS * slower * draw.normal(1, 0.06))
            add(rows, ts, _series("db", query.statement, query.route, "ok"), query.calls, ns, query.rows)
        add(rows, ts, _series("db", PAID, CHECKOUT, "error"), 1, 9 * MS)
        for name, route, outcome, count, ms in (
            ("session", CHECKOUT, "hit", 9, 0.4),
            ("session", CHECKOUT, "miss", 1, 1.1),
            ("GET product", PRODUCT, "hit", 300, 0.3),
            ("GET product", PRODUCT, "miss", 60, 0.5),
        ):
            add(rows, ts, _series("cache", name, route, outcome), count, int(ms * MS))
        add(rows, ts, _series("http_client", "POST payments.example", CHECKOUT, "200"), 10, 270 * MS)
        add(rows, ts, _series("http_client", "POST payments.example", CHECKOUT, "error"), 1, 900 * MS)
        for part, route, count, ms in (
            ("db", CHECKOUT, 21, 260),
            ("http_client", CHECKOUT, 21, 90),
            ("pool_wait", CHECKOUT, 10, 40),
            ("cache", CHECKOUT, 21, 4),
            ("gc", CHECKOUT, 3, 8),
            ("db", PRODUCT, 21, 24),
            ("cache", PRODUCT, 21, 6),
            ("template", PRODUCT, 21, 9),
            ("loop_wait", MENU, 21, 12),
        ):
            add(rows, ts, _series("part", part, route, ""), count, int(ms * MS * slower * 0.05))
        add(rows, ts, _series("n_plus_one", LINES, CHECKOUT, LINES_AT), 3, int(838 * MS * slower), 177)
        add(rows, ts, _series("error", FINGERPRINTS[0], CHECKOUT, "KeyError"), 1, 40 * MS)
        if ts % 600 < STEP_S:
            add(rows, ts, _series("error", FINGERPRINTS[1], f"GET /{XSS}", f"Evil{XSS}"), 1, 4 * MS)
    return rows


def _series(kind: str, name: str, parent: str, outcome: str) -> Series:
    return Series(SERVICE, "", kind, name, parent, outcome)


class _Spans:
    """Spans with ids that follow their start, as they do in a process."""

    def __init__(self) -> None:
        self.made: list[Span] = []

    def __call__(self, kind: str, name: str, start_ms: float, ms: float, **more: Any) -> int:
        number = 1_000_000 + len(self.made)
        attrs = {key: value for key, value in (("line", more.get("line")), ("db.system", more.get("system"))) if value}
        start, length = int(start_ms * MS), int(ms * MS)
        parent, outcome, rows = more.get("parent", 0), more.get("outcome", "ok"), more.get("rows", 0)
        self.made.append(Span(number, parent, kind, name, outcome, start, length, rows, attrs or None))
        return number


def checkout_spans(scale: float = 1.0, *, failed: bool = False) -> list[Span]:
    """The drawing's request: 61 statements, a wait for the pool, an outgoing call."""
    put = _Spans()
    put("cache", "session", 4, 3, outcome="hit")
    put("pool_wait", "database connection", 9, 128)
    unit = put("transaction", "transaction", 138, 1274 * scale, outcome="commit")
    put("db", ORDER, 138, 6, line=ORDER_AT, system="postgresql", rows=1, parent=unit)
    each = 838 * scale / 59
    for number in range(59):
        at = 146 + number * each
        put("db", LINES, at, each * 0.86, line=LINES_AT, system="postgresql", rows=1, parent=unit)
    at = 146 + 838 * scale
    priced = put("function", "price basket", at + 2, 78, parent=unit)
    put("gc", "generation 2", at + 30, 21, outcome="", parent=priced)
    put("http_client", "POST payments.example", at + 82, 270, outcome="error" if failed else "200", parent=unit)
    if not failed:
        put("db", PAID, at + 356, 22, line="shop/pay.py:23 in settle", system="postgresql", rows=1, parent=unit)
        put("cache", "basket", at + 380, 39, outcome="ok", parent=unit)
    return put.made


def big_spans(count: int = 5000) -> list[Span]:
    """A deep and wide tree."""
    put = _Spans()
    kinds = ("db", "cache", "function", "http_client", "template")
    parents: list[int] = []
    at = 0.0
    for number in range(count):
        depth = number % 40
        parents = parents[:depth]
        kind = kinds[number % len(kinds)] if depth == 39 else "function"
        name = {"db": f"SELECT c{number % 23} FROM t{number % 7} WHERE id = ?"}.get(kind, f"step {number % 97}")
        length = 20.0 - depth * 0.5 if depth < 39 else 0.3
        start = at + depth * 0.05
        parent = parents[-1] if parents else 0
        parents.append(put(kind, name, start, length, parent=parent, line=f"shop/deep.py:{number} in f"))
        if depth == 39:
            at += 20.0
    return put.made


def _traces(now: int) -> Traces:
    draw = np.random.default_rng(5)
    out = Traces()

    def keep(trace_id: str, ts: int, ms: float, name: str, reason: str, spans: list[Span], **more: Any) -> None:
        start_ns = ts * 10**9 + 318 * MS
        values = {
            "ts": ts, "start_ns": start_ns, "duration_ns": int(ms * MS), "trace_id": trace_id,
            "span_id": more.get("span_id", f"{abs(hash((trace_id, name))) % 2**63:016x}"),
            "parent_id": more.get("parent_id", ""), "service": more.get("service", SERVICE), "worker": WORKER,
            "tenant": more.get("tenant", ""), "kind": more.get("kind", "http"), "name": name,
            "outcome": more.get("outcome", "200"), "nbytes": 400, "reason": reason, "weight": more.get("weight", 1),
            "fingerprint": more.get("fingerprint", ""), "spans": len(spans), "left_out": more.get("left_out", 0),
            "body": encode_spans(spans),
        }  # fmt: skip
        for column, value in values.items():
            getattr(out, column).append(value)

    calls = checkout_spans()
    paying = next(span for span in calls if span.kind == "http_client")
    keep(TRACE_SLOW, now - 300, 1420, CHECKOUT, "slow", calls, outcome="201", tenant="acme", span_id="00000000000000aa")
    put = _Spans()
    put("db", "INSERT INTO charge (order_id, amount) VALUES (?, ?)", 12, 180, system="mysql", rows=1)
    keep(TRACE_SLOW, now - 299, 236, "POST /charge", "ingested", put.made, service="payments",
         span_id="00000000000000ab", parent_id=f"{paying.span_id:016x}")  # fmt: skip
    keep(TRACE_FAILED, now - 420, 1240, CHECKOUT, "failed", checkout_spans(0.9, failed=True), outcome="500",
         fingerprint=FINGERPRINTS[0])  # fmt: skip
    keep(TRACE_BIG, now - 500, 2600, PRODUCT, "slow", big_spans(), left_out=1234)
    put = _Spans()
    put("db", HOSTILE, 1, 2, line=XSS, system=XSS)
    put("function", XSS, 3, 1)
    keep(TRACE_PLAIN, now - 700, 5, f"GET /{XSS}", "sample", put.made, weight=412, outcome=XSS[:12])
    for number in range(240):
        route = (CHECKOUT, PRODUCT, MENU)[number % 3]
        ms = float(np.exp(draw.normal({CHECKOUT: 6.4, PRODUCT: 3.6, MENU: 2.2}[route], 0.6)))
        slow = ms > 400
        keep(f"{number + 1:032x}", now - 5300 + number * 21, ms, route, "slow" if slow else "sample",
             checkout_spans(ms / 3000) if route == CHECKOUT else [], weight=1 if slow else 40)  # fmt: skip
    return out


def _errors(now: int) -> Errors:
    out = Errors()
    for ts, route, mark, kind, message, line, stack, trace_id in (
        (now - 420, CHECKOUT, FINGERPRINTS[0], "KeyError", "no price for …", "shop/pay.py:31 in settle",
         "shop/app.py:12 in checkout\nshop/pay.py:31 in settle\nshop/prices.py:8 in price_of", TRACE_FAILED),
        (now - 700, f"GET /{XSS}", FINGERPRINTS[1], f"Evil{XSS}", XSS, XSS, f"{XSS}\n{XSS}", "e" * 32),
    ):  # fmt: skip
        values = {"ts": ts, "service": SERVICE, "route": route, "fingerprint": mark, "type": kind, "message": message,
                  "line": line, "stack": stack, "trace_id": trace_id}  # fmt: skip
        for column, value in values.items():
            getattr(out, column).append(value)
    return out


def _profiles(now: int, frames: int = 4000) -> Profiles:
    """Stacks of three routes; the checkout's grew a `total` in the last half hour, and one of them blocks the loop."""
    out = Profiles()

    def put(ts: int, mode: str, route: str, stack: str, samples: int) -> None:
        for column, value in (
            ("ts", ts), ("service", SERVICE), ("mode", mode), ("route", route), ("stack", stack),
            ("samples", samples), ("weight_ns", samples * 20 * MS),
        ):  # fmt: skip
            getattr(out, column).append(value)

    top = "run (uvicorn/server.py:67);app (starlette/routing.py:78)"
    for ts in range(now - 5400, now - 60, 300):
        late = ts > now - 1800
        for route, tail, samples in (
            (CHECKOUT, "checkout (shop/app.py:12);load (shop/cart.py:41);execute (sqlalchemy/engine/base.py:1416)", 40),
            (CHECKOUT, "checkout (shop/app.py:12);total (shop/cart.py:88);execute (sqlalchemy/engine/base.py:1416)",
             120 if late else 30),
            (CHECKOUT, "checkout (shop/app.py:14);price (shop/prices.py:8);dumps (json/__init__.py:183)", 22),
            (PRODUCT, "product (shop/app.py:40);render (jinja2/environment.py:1290)", 31),
            (PRODUCT, f"product (shop/app.py:40);{XSS.replace(';', '')} (evil.py:1)", 2),
            ("", "wait (threading.py:355)", 80),
        ):  # fmt: skip
            put(ts, "wall", route, f"{top};{tail}" if route else tail, samples)
            if route:
                put(ts, "cpu", route, f"{top};{tail}", max(1, samples // 3))
        put(ts, "blocked", MENU, f"{top};menu (shop/app.py:60);sleep (shop/slow.py:4)", 6)
    for number in range(frames // 12):
        tail = ";".join(f"f{(number * 7 + depth * 3) % 311} (shop/deep{depth}.py:{number % 97})" for depth in range(12))
        put(now - 600, "wall", PRODUCT, f"{top};{tail}", 1 + number % 3)
    for number in range(HEAVY_FRAMES // 40):  # every frame below the first is another one
        tail = ";".join(f"g{depth} (shop/heavy.py:{number})" for depth in range(40))
        put(now - 600, "cpu", HEAVY, f"{top};{tail}", 1 + number % 5)
    return out


if __name__ == "__main__":
    from pitstop.store import open_store

    opened = open_store(sys.argv[1])
    fill(opened, int(time.time()))
    opened.close()
