"""HTTP side by side: pooled client and a new one a call, our static files and Starlette's, kept answers and made ones.

Servers are real, on loopback, in a thread of this process (their CPU is in both sides of a ratio). Variants take turns;
the median over rounds is shown, µs a call, with the ratio to the first of its table.
Run: ``python bench/tune_http.py [rounds]``.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import statistics
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from flask import Flask
from sqlalchemy.orm import Session
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles as StarletteFiles

from pitstop.tune.cache import Cache
from pitstop.tune.cache.fastapi import CachingMiddleware, kept_for
from pitstop.tune.cache.flask import FlaskCache
from pitstop.tune.cache.sqlalchemy import QueryCache, cached
from pitstop.tune.http import client, get_metrics
from pitstop.tune.static import StaticFiles, WSGIStaticFiles

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
HEADERS = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"bench")]


class Echo(BaseHTTPRequestHandler):
    """An answer of two bytes, on connections that are kept."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer at once: headers and body in one piece."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """With room for all who connect at once; clients that hang up are not told of."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Say nothing."""


def compare(title: str, variants: dict[str, Callable[[int], None]], calls: int) -> None:
    """Print µs a call of each variant, which runs that many calls when it is called."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for run in variants.values():
        run(max(1, calls // 10))
    for _ in range(ROUNDS):
        for name, run in variants.items():
            start_ns = time.perf_counter_ns()
            run(calls)
            taken[name].append((time.perf_counter_ns() - start_ns) / calls / 1e3)
    print(f"\n{title}")
    first = None
    for name, each in taken.items():
        median = statistics.median(each)
        first = first or median
        print(f"  {name:<44} {median:>10,.1f} µs   {median / first:>6.2f} ×   {first / median:>7.1f} × as fast")


def clients(url: str) -> None:
    """A new client a call, one of plain httpx, and ours."""
    ours, plain = client(url), httpx.Client(base_url=url)

    def anew(calls: int) -> None:
        for _ in range(calls):
            with httpx.Client(base_url=url) as one:
                one.get("/")

    def of(http: httpx.Client) -> Callable[[int], None]:
        return lambda calls: [http.get("/") for _ in range(calls)] and None  # type: ignore[func-returns-value]  # a loop

    compare("GET on loopback, http (with https add a TLS handshake to each new client)", {
        "httpx.Client() for each call": anew, "one httpx.Client": of(plain), "pitstop.tune.http.client": of(ours),
    }, 40)  # fmt: skip
    counts = get_metrics()[url.removeprefix("http://")]
    print(f"  ours: {counts['requests']:,} calls over {counts['opened']} connections")
    ours.close()
    plain.close()


def shared(url: str) -> None:
    """Calls that fail when 8 threads share 4 connections."""
    print("\n8 threads on 4 connections, 800 calls: failures")
    limits = httpx.Limits(max_connections=4, max_keepalive_connections=4)
    for name, http in (
        ("one httpx.Client", httpx.Client(base_url=url, limits=limits, timeout=1)),
        (
            "pitstop.tune.http.client(retries=0)",
            client(url, max_connections=4, max_keepalive=4, timeout_s=1, retries=0),
        ),
    ):
        failed = itertools.count()

        def ask(http: httpx.Client = http, failed: Any = failed) -> None:
            for _ in range(100):
                try:
                    http.get("/")
                except httpx.HTTPError:
                    next(failed)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        start_s = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"  {name:<44} {next(failed):>6} failed in {time.perf_counter() - start_s:.2f} s")
        http.close()


async def _nothing(_: Any) -> None:
    pass


async def _receive() -> Any:
    """A client that stays, after a request without a body, which nobody here reads."""
    await asyncio.Event().wait()


def driven(app: Any, path: str) -> Callable[[int], None]:
    """An ASGI application in process."""

    async def run(calls: int) -> None:
        for _ in range(calls):
            await app({
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
                "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": HEADERS, "scheme": "http",
                "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
            }, _receive, _nothing)  # fmt: skip

    return lambda calls: asyncio.run(run(calls))


def wsgi(app: Any, path: str) -> Callable[[int], None]:
    """A WSGI application in process."""

    def run(calls: int) -> None:
        for _ in range(calls):
            environ = {
                "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "localhost",
                "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.url_scheme": "http", "HTTP_HOST": "localhost",
                "HTTP_ACCEPT": "*/*", "HTTP_USER_AGENT": "bench",
            }  # fmt: skip
            body = app(environ, lambda *_: None)
            b"".join(body)
            if hasattr(body, "close"):
                body.close()

    return run


def files(folder: Path) -> None:
    """Static files, small and large, and what passing by costs."""
    (folder / "app.js").write_bytes(b"x" * 20_000)
    (folder / "large.js").write_bytes(b"x" * 2_000_000)
    theirs = Starlette(routes=[Mount("/static", StarletteFiles(directory=folder))])
    ours = StaticFiles(None, folder)
    for name, size in (("app.js", "20 kB"), ("large.js", "2 MB")):
        compare(f"static file of {size}, ASGI in process", {
            "Starlette's StaticFiles": driven(theirs, f"/static/{name}"),
            "pitstop.tune.static.StaticFiles": driven(ours, f"/static/{name}"),
            "pitstop.tune.static.WSGIStaticFiles": wsgi(WSGIStaticFiles(None, folder), f"/static/{name}"),
        }, 200 if name == "app.js" else 30)  # fmt: skip

    async def bare(_scope: Any, _receive: Any, _send: Any) -> None:
        pass

    compare("a request for something else", {
        "the application alone": driven(bare, "/items"),
        "behind StaticFiles": driven(StaticFiles(bare, folder), "/items"),
    }, 20_000)  # fmt: skip


def answers() -> None:
    """Kept answers, ASGI and WSGI."""
    body = [{"id": n, "name": f"item {n}", "price": n * 1.5} for n in range(100)]
    plain, app = FastAPI(), FastAPI()
    app.add_middleware(CachingMiddleware, cache=Cache())
    plain.get("/items")(lambda: body)
    app.get("/items", dependencies=[kept_for(600)])(lambda: body)
    app.get("/private")(lambda: body)
    plain.get("/private")(lambda: body)
    compare("FastAPI, 100 items as JSON, in process", {
        "made each time": driven(plain, "/items"), "kept: CachingMiddleware": driven(app, "/items"),
    }, 100)  # fmt: skip
    compare("FastAPI, an answer that may not be kept", {
        "without the cache": driven(plain, "/private"), "behind CachingMiddleware": driven(app, "/private"),
    }, 100)  # fmt: skip
    bare, site = Flask("bare"), Flask("site")
    pages = FlaskCache(Cache(), site)
    bare.get("/items")(lambda: body)
    site.get("/items")(pages.kept_for(600)(lambda: body))
    compare("Flask, the same", {
        "made each time": wsgi(bare.wsgi_app, "/items"), "kept: FlaskCache": wsgi(site.wsgi_app, "/items"),
    }, 200)  # fmt: skip


def queries(folder: Path) -> None:
    """A kept result of a query: 20 rows out of 100,000 without an index, and one row by its key."""
    engine = sa.create_engine(f"sqlite:///{folder / 'shop.db'}")
    metadata = sa.MetaData()
    item = sa.Table("item", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("price", sa.Integer))
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(item.insert(), [{"id": n, "price": n * 7919 % 100_003} for n in range(100_000)])
    QueryCache(Cache(), engine, metadata, ttl_s=600)
    top = sa.select(item).order_by(item.c.price.desc()).limit(20)
    one = sa.select(item).where(item.c.id == 77)

    def of(statement: Any) -> Callable[[int], None]:
        def run(calls: int) -> None:
            for _ in range(calls):
                with Session(engine) as session:
                    session.execute(statement).all()

        return run

    compare(
        "SQLAlchemy on SQLite, 20 dearest of 100,000 without an index", {"asked": of(top), "kept": of(cached(top))}, 30
    )
    compare("one row by its key", {"asked": of(one), "kept": of(cached(one))}, 300)
    engine.dispose()


def main() -> None:
    """All tables."""
    logging.disable()
    with Server(("127.0.0.1", 0), Echo) as server, tempfile.TemporaryDirectory() as folder:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        clients(url)
        shared(url)
        (Path(folder) / "static").mkdir()
        files(Path(folder) / "static")
        answers()
        queries(Path(folder))
        server.shutdown()


if __name__ == "__main__":
    main()
