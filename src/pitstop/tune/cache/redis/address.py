"""Where a Redis is and how to sign in there: one server, one that sentinels know, or a cluster.

    redis://[[user]:password@]host[:port][/db]          one server; rediss:// by TLS, unix:///path?db=0 by its socket
    redis+sentinel://host[:port],…/service[/db]         whichever server the sentinels call primary
    redis+cluster://host[:port],…                       a cluster, found by any of its nodes

`rediss+sentinel` and `rediss+cluster` are the same by TLS. Options after ``?``: ssl_ca_certs, ssl_certfile, ssl_keyfile
(paths), ssl_cert_reqs=none, sentinel_username, sentinel_password.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, unquote

from pitstop.model.errors import SettingError

PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SCHEMES: Final = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "unix": ("single", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
OPTIONS: Final = frozenset(
    {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "sentinel_username", "sentinel_password"}
)


class Node(NamedTuple):
    """A server's address; `port` 0: `host` is the path of a socket."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.port else self.host


@dataclass(frozen=True, slots=True)
class Login:
    """What to say first on a connection."""

    username: str = ""
    password: str = field(default="", repr=False)
    db: int = 0

    def commands(self) -> list[tuple[bytes | str | int, ...]]:
        """AUTH and SELECT as far as they are needed."""
        said: list[tuple[bytes | str | int, ...]] = []
        if self.password:
            said.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.db:
            said.append(("SELECT", self.db))
        return said


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URL. `mode`: single, sentinel or cluster; `nodes` are then servers, sentinels or seeds."""

    mode: str
    nodes: tuple[Node, ...]
    login: Login
    service: str = ""
    sentinel_login: Login = Login()
    tls: ssl.SSLContext | None = None

    def __str__(self) -> str:
        places = ",".join(map(str, self.nodes))
        return f"{self.mode} {places}{'/' + self.service if self.service else ''}"


def parse(url: str) -> Address:
    """The address that `url` tells; raises SettingError without repeating a password."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in SCHEMES:
        raise SettingError(
            f"{scheme!r} is no scheme of a Redis: use one of {', '.join(SCHEMES)}, as redis://host:6379/0"
        )
    mode, secure = SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    options = dict(parse_qsl(query))
    if unknown := options.keys() - OPTIONS:
        raise SettingError(f"{min(unknown)!r} is no option of a Redis URL: use {', '.join(sorted(OPTIONS))}")
    signed, _, place = rest.rpartition("@")
    username, _, password = signed.partition(":")
    nodes: tuple[Node, ...] = (Node(unquote(place), 0),)
    path: list[str] = []
    if scheme != "unix":
        hosts, *path = place.split("/")
        default = SENTINEL_PORT if mode == "sentinel" else PORT
        nodes = tuple(_node(each, default) for each in hosts.split(",") if each)
    path = [unquote(part) for part in path if part]
    service = path.pop(0) if mode == "sentinel" and path else ""
    if mode == "sentinel" and not service:
        raise SettingError("the sentinels' service is missing: redis+sentinel://host:26379/mymaster")
    if not nodes:
        raise SettingError(f"no host in the Redis URL: {scheme}://host[:port]")
    db = _number("db", options.get("db") or (path[0] if path else "0"), 1 << 31)
    if mode == "cluster" and db:
        raise SettingError(f"a cluster has database 0 only, not {db}: leave it out")
    return Address(
        mode=mode,
        nodes=nodes,
        login=Login(unquote(username), unquote(password), db),
        service=service,
        sentinel_login=Login(options.get("sentinel_username", ""), options.get("sentinel_password", "")),
        tls=_tls(options) if secure else None,
    )


def _node(text: str, default_port: int) -> Node:
    if text.startswith("["):  # IPv6
        host, _, port = text[1:].partition("]")
        return Node(host, _number("port", port[1:], 65536) if port else default_port)
    host, _, port = text.partition(":")
    return Node(host or "127.0.0.1", _number("port", port, 65536) if port else default_port)


def _number(what: str, text: str, limit: int) -> int:
    if not text.isdecimal() or int(text) >= limit:
        raise SettingError(f"{what} {text!r} of the Redis URL is no number from 0 to {limit - 1}")
    return int(text)


def _tls(options: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        if options.get("ssl_certfile"):
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
    except OSError as error:  # ssl.SSLError is one
        raise SettingError(f"the Redis URL's certificates cannot be read: {error}") from error
    if options.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
