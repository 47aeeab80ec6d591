"""Clients of httpx that keep their connections: `client` for threads, `aclient` for asyncio.

Made once, where a module is imported. What a new client for every call costs, and they do not: reading the trusted
certificates (about 20 ms), a connection and a TLS handshake.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

try:
    import httpx
except ImportError as error:  # pragma: no cover  the host's choice
    message = "pitstop.tune.http needs httpx ≥ 0.25, which is not installed: pip install httpx"
    raise ImportError(message) from error

from pitstop.model.errors import SettingError
from pitstop.tune.http.retrying import Retries
from pitstop.tune.http.transport import AsyncPooledTransport, Pool, PooledTransport

if TYPE_CHECKING:
    import ssl

MAX_CONNECTIONS = 100  # as httpx
KEEPALIVE = 20
KEEPALIVE_S = 30.0  # httpx closes after 5; shorter than the 60 that most servers keep (nginx, AWS' load balancers)
CONNECT_S, READ_S, POOL_S = 3.0, 10.0, 3.0  # connect: one lost SYN is repeated after 1 s (RFC 6298)

_contexts: dict[bool, ssl.SSLContext] = {}


def client(
    base_url: str = "",
    *,
    max_connections: int = MAX_CONNECTIONS,
    max_keepalive: int = KEEPALIVE,
    keepalive_s: float = KEEPALIVE_S,
    timeout_s: float = READ_S,
    connect_s: float = CONNECT_S,
    pool_s: float = POOL_S,
    retries: Retries | int = Retries(),  # noqa: B008  it cannot be changed
    http2: bool = False,
    verify: ssl.SSLContext | bool = True,
    **options: Any,
) -> httpx.Client:
    """A client for threads, to be made once and shared; it survives forks.

    `timeout_s` is between two pieces that are read or written, `connect_s` for a connection, `pool_s` for a free one of
    `max_connections`. `retries` is how often a call may be tried again, within a budget per host (`Retries`); 0 for
    never. `http2` needs the package h2. `options` are those of `httpx.Client`. Raises SettingError.
    """
    pool = _pool(max_connections, max_keepalive, keepalive_s, retries, http2=http2, verify=verify, options=options)
    return httpx.Client(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=connect_s, pool=pool_s),
        transport=PooledTransport(pool, time.sleep),
        **options,
    )


def aclient(
    base_url: str = "",
    *,
    max_connections: int = MAX_CONNECTIONS,
    max_keepalive: int = KEEPALIVE,
    keepalive_s: float = KEEPALIVE_S,
    timeout_s: float = READ_S,
    connect_s: float = CONNECT_S,
    pool_s: float = POOL_S,
    retries: Retries | int = Retries(),  # noqa: B008  it cannot be changed
    http2: bool = False,
    verify: ssl.SSLContext | bool = True,
    **options: Any,
) -> httpx.AsyncClient:
    """The same for asyncio: one pool for each event loop that it is used in."""
    pool = _pool(max_connections, max_keepalive, keepalive_s, retries, http2=http2, verify=verify, options=options)
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=connect_s, pool=pool_s),
        transport=AsyncPooledTransport(pool, asyncio.sleep),
        **options,
    )


def _pool(
    most: int,
    kept: int,
    kept_s: float,
    retries: Retries | int,
    *,
    http2: bool,
    verify: ssl.SSLContext | bool,
    options: dict[str, Any],
) -> Pool:
    if most < 1 or not 0 <= kept <= most or kept_s < 0:
        message = (
            f"max_connections={most}, max_keepalive={kept}, keepalive_s={kept_s}: give at least one connection, "
            "keep no more of them than that, for 0 s or longer"
        )
        raise SettingError(message)
    below = {
        "verify": _context(http2) if verify is True else verify,
        "http2": http2,
        "limits": httpx.Limits(max_connections=most, max_keepalive_connections=kept, keepalive_expiry=kept_s),
    }
    for name in ("proxy", "cert", "uds", "local_address", "socket_options"):
        if name in options:
            below[name] = options.pop(name)
    if "cert" in below:  # it is loaded into the context
        below["verify"] = verify
    return Pool(below, Retries(most=retries) if isinstance(retries, int) else retries)


def _context(http2: bool) -> ssl.SSLContext:
    """The trusted certificates, read once; apart for HTTP/2, which httpcore notes in the context."""
    found = _contexts.get(http2)
    if found is None:
        found = _contexts[http2] = httpx.create_ssl_context()
    return found
