"""Calls over HTTP, and plain connections, to addresses that somebody typed in."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
from base64 import b64encode
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urlsplit

from pitstop.egress.addresses import Allowed, host_name
from pitstop.egress.resolving import Resolver, resolved, system_resolver
from pitstop.egress.wire import DeadlineSocket
from pitstop.model.errors import EgressError, EgressRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TIMEOUT_S = 10.0
MOST_BYTES = 1_000_000
_MOST_HEADER_BYTES = 65_536  # http.client's limit of a line; it takes 100 of them
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)  # RFC 9110, 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110, 5.5, without what begins a line
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection"})
_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    """What came back. `headers` by lower-case name; `cut`: the body was longer than what was asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


class Client:
    """Calls whoever may be called (see `Allowed`). Safe from any thread; keeps no connection.

    Takes no proxy and no credentials from the environment: both would lead past the guard.
    """

    def __init__(self, allow: Iterable[str] = (), *, resolver: Resolver = system_resolver) -> None:
        self._allowed = Allowed(allow)
        self._resolver = resolver

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout_s: float = TIMEOUT_S,
        most_bytes: int = MOST_BYTES,
    ) -> Answer:
        """One request and its answer, whatever its status; a redirect is an answer like any other.

        `timeout_s` is for all of it: looking up, connecting, sending and reading. Of the body at most `most_bytes`
        are read. Raises EgressRefusedError for what may not be called, EgressError for what could not be.
        """
        deadline_s = time.monotonic() + timeout_s
        target = _target(url)
        given = _checked(method, headers or {})
        assert target.hostname is not None
        port = target.port or _PORTS[target.scheme]
        try:
            wire = self.connect(target.hostname, port, timeout_s, tls=target.scheme == "https")
            connection = http.client.HTTPConnection(target.hostname, port)
            connection.sock = DeadlineSocket(wire, deadline_s)  # all that it uses of a socket
            try:
                return _exchanged(connection, method, target, given, body, most_bytes)
            finally:
                connection.close()
                wire.close()
        except TimeoutError as error:
            raise EgressError(f"{target.hostname} did not answer within {timeout_s:.3g} s") from error
        except EgressError:
            raise
        except http.client.HTTPException as error:
            raise EgressError(f"{target.hostname} answered no HTTP: {type(error).__name__}") from error
        except OSError as error:
            raise EgressError(f"{target.hostname} broke off: {_reason(error)}") from error

    def connect(self, host: str, port: int, timeout_s: float = TIMEOUT_S, *, tls: bool = False) -> socket.socket:
        """A connection to `host`, pinned to an address that was judged. Raises EgressRefusedError, EgressError."""
        deadline_s = time.monotonic() + timeout_s
        addresses = resolved(host, port, self._allowed, self._resolver, timeout_s)
        problem: OSError = TimeoutError(f"within {timeout_s:.3g} s")
        for i, address in enumerate(addresses):
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                break
            share_s = left_s / min(len(addresses) - i, 2)  # one that is dead leaves time for the next
            try:
                wire = socket.create_connection((str(address), port), timeout=share_s)
            except OSError as error:
                problem = error
                continue
            try:
                wire.settimeout(max(deadline_s - time.monotonic(), 0.001))
                return self._tls.wrap_socket(wire, server_hostname=host_name(host)) if tls else wire
            except OSError as error:
                wire.close()
                problem = error
        raise EgressError(f"{host_name(host)}:{port} cannot be reached: {_reason(problem)}") from problem

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context()


def _target(url: str) -> SplitResult:
    if len(url) > _MOST_HEADER_BYTES or not url.isprintable() or any(sign in url for sign in "\\ "):
        raise EgressRefusedError("the address has a character that no URL has, or too many of them")
    try:
        target = urlsplit(url)
        port = target.port
    except ValueError:
        raise EgressRefusedError("the address is no URL") from None
    if target.scheme not in _PORTS:
        raise EgressRefusedError(f"the address begins with {target.scheme[:20]!r}: there are http:// and https://")
    if not target.hostname or port == 0:
        raise EgressRefusedError("the address names no host")
    host_name(target.hostname)
    return target


def _checked(method: str, headers: Mapping[str, str]) -> dict[str, str]:
    if not _TOKEN.fullmatch(method):
        raise EgressRefusedError(f"{method[:20]!r} is no method")
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or name.lower() in _OURS:
            raise EgressRefusedError(f"{name[:40]!r} is no header that can be set")
        if not _VALUE.fullmatch(value):
            raise EgressRefusedError(f"the value of {name[:40]} has a character that would begin another header")
    return dict(headers)


def _exchanged(
    connection: http.client.HTTPConnection,
    method: str,
    target: SplitResult,
    headers: dict[str, str],
    body: bytes,
    most_bytes: int,
) -> Answer:
    assert target.hostname is not None
    if target.username is not None and not any(name.lower() == "authorization" for name in headers):
        pair = f"{unquote(target.username)}:{unquote(target.password or '')}".encode()
        headers["Authorization"] = f"Basic {b64encode(pair).decode()}"
    name = host_name(target.hostname)
    host = f"[{name}]" if ":" in name else name
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    connection.putrequest(method, _ascii(path), skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host if target.port in {None, _PORTS[target.scheme]} else f"{host}:{target.port}")
    connection.putheader("Connection", "close")
    if body or method in {"POST", "PUT", "PATCH"}:
        connection.putheader("Content-Length", str(len(body)))
    for header, value in headers.items():
        connection.putheader(header, value)
    connection.endheaders(body or None)
    response = connection.getresponse()
    kept = response.read(most_bytes) if most_bytes else b""
    return Answer(
        response.status,
        {key.lower(): value for key, value in response.getheaders()},
        kept,
        cut=len(kept) == most_bytes and bool(response.read(1)),
    )


def _ascii(path: str) -> str:
    return path if path.isascii() else quote(path, safe="/?&=%:;,+@!$'()*~.-_[]")


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate does not hold: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return error.strerror or type(error).__name__
