"""Ten small ASGI services: five leak, five only look as if. ``SERVICE`` names the one; see test_leaks.

Time is compressed by the clock that the watch is given, `FASTER` times; nothing of the watch itself is changed.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar

from pitstop.tune.memory import LeakWatch

if TYPE_CHECKING:
    from collections.abc import Callable

FASTER = float(os.environ.get("FASTER", "240"))
PAGE = 160_000  # bytes that a request makes

LeakWatch(now_s=lambda: time.monotonic() * FASTER, every_s=0.05).start()


# -- those that leak


class Session:
    """In a cycle with itself, and its `__del__` brings it back to life."""

    last: ClassVar[Session | None] = None

    def __init__(self) -> None:
        self.me = self
        self.body = b"x" * PAGE

    def __del__(self) -> None:
        self.previous = Session.last
        Session.last = self


def cycle_with_del(_path: str, _body: bytes) -> None:
    Session()
    [[] for _ in range(1000)]  # so that the collector runs


class Visit:
    __slots__ = ("at", "path")

    def __init__(self, path: str, at: float) -> None:
        self.path, self.at = path, at


VISITS: list[Visit] = []


def global_list(path: str, _body: bytes) -> None:
    VISITS.extend(Visit(f"{path}/{n} Mozilla/5.0 (X11; Linux) {'x' * 150}", n) for n in range(PAGE // 300))


class Prices:
    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    def of(self, path: str) -> bytes:
        if path not in self.entries:
            self.entries[path] = b"x" * PAGE
        return self.entries[path]


PRICES = Prices()


def unbounded_cache(path: str, _body: bytes) -> None:
    PRICES.of(path)


FAILED: list[BaseException] = []


def charge(path: str) -> None:
    order = bytearray(PAGE)
    raise ValueError(f"{path}: no card for {len(order)}")  # the line to be found


def kept_tracebacks(path: str, _body: bytes) -> None:
    try:
        charge(path)
    except ValueError as error:
        FAILED.append(error)


LIBC = ctypes.CDLL(None)
LIBC.malloc.restype = ctypes.c_void_p


def take_buffer(nbytes: int) -> None:
    address = LIBC.malloc(ctypes.c_size_t(nbytes))  # the other line to be found
    ctypes.memset(address, 1, nbytes)


def c_buffer(path: str, _body: bytes) -> None:
    scratch = bytearray(PAGE)  # is given back
    take_buffer(PAGE)
    path.encode() * len(scratch[:10])


# -- those that do not

RECENT: OrderedDict[str, bytes] = OrderedDict()


def bounded_lru(path: str, _body: bytes) -> None:
    RECENT[path] = b"x" * PAGE
    if len(RECENT) > 400:
        RECENT.popitem(last=False)


ROWS: list[bytes] = []
LOCK = threading.Lock()


def batch(_path: str, _body: bytes) -> None:
    with LOCK:
        ROWS.extend(b"x" * n for n in [1000] * (PAGE // 1000))
        if len(ROWS) > 40_000:
            ROWS.clear()


class Node:
    def __init__(self, parent: Node | None) -> None:
        self.parent = parent
        self.children: list[Node] = []
        self.text = "x" * 500
        if parent is not None:
            parent.children.append(self)


def cycles(_path: str, _body: bytes) -> None:
    root = Node(None)
    for _ in range(PAGE // 600):
        Node(root)


LAZY = iter(
    [
        "decimal",
        "fractions",
        "statistics",
        "xml.dom.minidom",
        "xml.etree.ElementTree",
        "sqlite3",
        "email.mime.text",
        "http.cookiejar",
        "ftplib",
        "tarfile",
        "zipfile",
        "xmlrpc.client",
        "pydoc",
        "doctest",
        "unittest.mock",
        "asyncio.subprocess",
        "multiprocessing.pool",
        "numpy",
        "numpy.linalg",
        "numpy.fft",
        "numpy.random",
        "sqlalchemy",
        "sqlalchemy.orm",
        "jinja2",
        "django.db.models",
        "fastapi",
        "httpx",
        "rich.table",
        "cryptography.x509",
        "hypothesis",
        "flask",
        "celery",
        "requests",
        "websockets",
        "typer",
        "litestar",
        "redis",
        "pymysql",
    ]
)
WARM: dict[str, Any] = {}


def warm_up(path: str, _body: bytes) -> None:
    if path.endswith("0"):
        name = next(LAZY, None)
        if name is not None:
            WARM[name] = importlib.import_module(name)


def big_bodies(_path: str, body: bytes) -> None:
    parts = body.split(b"\n")
    b"".join(reversed(parts))


SERVICE: Callable[[str, bytes], None] = globals()[os.environ["SERVICE"]]


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """ASGI 3."""
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    SERVICE(scope["path"], body)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
