# ruff: noqa: ANN001, ANN201  fixtures are known by name
"""Services under `pitstop run` that call one another, with secrets in all that they send."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pitstop.app import open_store
from pitstop.model import Match, TraceMatch, Window
from pitstop.model.trace import decode_spans

SECRET = "canary-3e8d"
UVICORN = ["uvicorn", "calling_service:app", "--port", "{port}", "--log-level", "error"]


@pytest.fixture
def services(serve, redis_url) -> tuple[Any, Any]:
    """One that is asked, and the one that it asks; both write into one store."""
    environment = {
        "SHOP_SECRET": SECRET,
        "SHOP_REDIS": redis_url,
        "PITSTOP_SLOW_S": "0.001",
        "PITSTOP_TRACES_PER_S": "1000",
        "PITSTOP_LOG_TRACE_IDS": "1",
    }
    shipping = serve(UVICORN, **environment, PITSTOP_SERVICE="shipping", SHOP_UPSTREAM="0")
    shop = serve(UVICORN, **environment, PITSTOP_SERVICE="shop", SHOP_UPSTREAM=str(shipping.port))
    return shop, shipping


def test_two_services_are_one_trace_and_keep_no_secret(services):
    shop, shipping = services
    for _ in range(3):
        status, page = shop.get("/buy/12")
        assert (status, page.decode()) == (200, f"<h1>{SECRET}</h1>")
    assert shop.get("/fails")[0] == 500
    for server in services:
        server.stop(signal.SIGTERM, group=False)

    name = f"GET 127.0.0.1:{shipping.port}"
    assert shop.counts("http_client") == {(name, "200"): 6}
    assert shop.counts("cache") == {
        ("SET", "ok"): 3, ("GET", "hit"): 3, ("GET", "miss"): 3, ("LPUSH", "ok"): 1, ("GET", "error"): 1,
    }  # fmt: skip
    assert shop.counts("template") == {("order.html", "ok"): 3}
    assert shop.counts("counter")["log.error", ""] >= 3

    store = open_store(shop.store)
    try:
        window = Window(0, int(time.time()) + 10)
        bought = store.traces(window, TraceMatch(service="shop", name="GET /buy/{item}"), limit=10)
        assert len(bought) == 3
        for trace_id in bought.trace_id:
            parts = store.trace(trace_id)
            calls = [
                f"{span.span_id:016x}"
                for i, service in enumerate(parts.service)
                for span in decode_spans(parts.body[i])
                if service == "shop" and span.kind == "http_client"
            ]
            asked = [parts.parent_id[i] for i, service in enumerate(parts.service) if service == "shipping"]
            assert sorted(asked) == sorted(calls)
            assert len(calls) == 2
        lines = store.rollups(window, Match(kind="http_client"), hist=False)
        assert {series.parent for series in lines.series} == {"GET /buy/{item}"}
    finally:
        store.close()
    folder = Path(shop.store.removeprefix("sqlite:///")).parent
    kept = b"".join(path.read_bytes() for path in folder.glob("pitstop.db*"))
    assert len(kept) > 1000
    assert SECRET.encode() not in kept


GREENLETS = """
from gevent import monkey
monkey.patch_all()
import faulthandler, sys
faulthandler.dump_traceback_later(20, exit=True)
redis_url, upstream, store = sys.argv[1:]
from pitstop.instrument import hooks
hooks.install(("auto",))
import pitstop
pitstop.init(service="greenlets", store=store, overhead_budget=1)
import gevent, redis, requests
from pitstop.record import span
client = redis.Redis.from_url(redis_url)
def work(i):
    with span("job"):
        client.set(f"k{i}", i)
        client.get(f"k{i}")
        requests.get(f"http://127.0.0.1:{upstream}/", timeout=10)
gevent.joinall([gevent.spawn(work, i) for i in range(30)], raise_error=True)
assert pitstop.shutdown()
from pitstop.app import open_store
from pitstop.model import Match, Window
rows = open_store(store).rollups(Window(0, 1 << 33), Match(parent="job"), hist=False)
for series, count in sorted(zip(rows.series, rows.count)):
    if series.kind in ("cache", "http_client"):
        print(series.kind, series.name.split(":")[0], series.outcome, count)
"""


def test_gevent_runs_the_same(redis_url, upstream, tmp_path):
    command = [sys.executable, "-c", GREENLETS, redis_url, str(upstream), f"sqlite:///{tmp_path}/p.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    expected = "cache GET hit 30\ncache SET ok 30\nhttp_client GET 127.0.0.1 200 30\n"
    assert (done.returncode, done.stdout) == (0, expected), done.stderr
