"""Connections for threads: each used by one call at a time, kept for the next one, closed at the first doubt."""

from __future__ import annotations

import socket
import time
from collections import defaultdict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import hiredis

from pitstop.tune.cache.redis.wire import NAME, NOTHING, READ_BYTES, Ask, WireError, ask, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from ssl import SSLContext

    from pitstop.tune.cache.redis.address import Login, Node
    from pitstop.tune.cache.redis.wire import Command, Reply

MOST_IDLE = 64  # of one server that are kept; as many threads rarely ask at once
_now_s = time.monotonic


class GoneError(WireError):
    """The server closed the connection: it went away, or had done so while nobody looked."""


def connect(node: Node, tls: SSLContext | None, end_s: float) -> socket.socket:
    """A connected socket, by `end_s` of the monotonic clock; only names that DNS must find may take longer."""
    try:
        if not node.port:
            found: list[Any] = [(socket.AF_UNIX, socket.SOCK_STREAM, 0, "", node.host)]
        else:
            found = socket.getaddrinfo(node.host, node.port, type=socket.SOCK_STREAM)
        for number, (family, kind, protocol, _, place) in enumerate(found):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(max(0.001, end_s - _now_s()))
                plain.connect(place)
                if node.port:
                    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                plain.settimeout(max(0.001, end_s - _now_s()))
                return plain if tls is None else tls.wrap_socket(plain, server_hostname=node.host)
            except OSError:
                plain.close()
                if number == len(found) - 1:
                    raise
            except BaseException:
                plain.close()
                raise
    except OSError as error:  # gaierror, TimeoutError and ssl.SSLError are some
        raise WireError(f"no connection to Redis at {node}: {error}") from error
    raise WireError(f"no connection to Redis at {node}: its name has no address")


class Connection:
    """One of them, signed in. Not for two threads at once."""

    __slots__ = ("_reader", "node", "socket", "used")

    def __init__(self, node: Node, login: Login, tls: SSLContext | None, end_s: float) -> None:
        self.node = node
        self.used = False
        self._reader: Any = reader()
        self.socket = connect(node, tls, end_s)
        said: list[Command] = [*login.commands(), NAME]
        replies = self.exchange(ask(node, said), end_s)
        for reply in replies[:-1]:  # an old server or a proxy may not know of names
            if isinstance(reply, hiredis.ReplyError):
                self.close()
                raise WireError(f"Redis at {node} refused to let us in: {reply}")

    def exchange(self, asked: Ask, end_s: float) -> list[Reply]:
        """The replies. Whatever goes wrong, or whoever interrupts: the connection is closed."""
        try:
            self.send(asked, end_s)
            return self.receive(asked.replies, end_s)
        except BaseException:
            self.close()
            raise

    def send(self, asked: Ask, end_s: float) -> None:
        """Send it all by `end_s`."""
        try:
            self.socket.settimeout(self._left_s(end_s))
            self.socket.sendall(asked.packed)
        except TimeoutError as error:
            raise self._late() from error
        except WireError:
            raise
        except OSError as error:
            raise GoneError(f"Redis at {self.node} is gone: {error}") from error

    def receive(self, replies: int, end_s: float) -> list[Reply]:
        """As many replies, by `end_s`."""
        got: list[Reply] = []
        gets = self._reader.gets
        try:
            while True:
                while (reply := gets()) is not NOTHING:
                    got.append(reply)
                if len(got) >= replies:
                    break
                self.socket.settimeout(self._left_s(end_s))
                data = self.socket.recv(READ_BYTES)
                if not data:
                    raise GoneError(f"Redis at {self.node} closed the connection")
                self._reader.feed(data)
        except TimeoutError as error:
            raise self._late() from error
        except hiredis.ProtocolError as error:
            raise WireError(f"what Redis at {self.node} said is not its protocol: {error}") from error
        except WireError:
            raise
        except OSError as error:
            raise GoneError(f"Redis at {self.node} is gone: {error}") from error
        if len(got) > replies or self._reader.has_data():
            raise WireError(f"Redis at {self.node} said more than it was asked")
        return got

    def hear(self, timeout_s: float) -> list[Reply]:
        """What comes within `timeout_s` without having been asked for, as on a channel."""
        try:
            self.socket.settimeout(timeout_s)
            data = self.socket.recv(READ_BYTES)
        except TimeoutError:
            return []
        except OSError as error:
            raise GoneError(f"Redis at {self.node} is gone: {error}") from error
        if not data:
            raise GoneError(f"Redis at {self.node} closed the connection")
        got: list[Reply] = []
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not NOTHING:
                got.append(reply)
        except hiredis.ProtocolError as error:
            raise WireError(f"what Redis at {self.node} said is not its protocol: {error}") from error
        return got

    def close(self) -> None:
        """For good."""
        with suppress(OSError):
            self.socket.close()

    def _left_s(self, end_s: float) -> float:
        left_s = end_s - _now_s()
        if left_s <= 0:
            raise self._late()
        return left_s

    def _late(self) -> WireError:
        return WireError(f"no answer in time from Redis at {self.node}")


class Pool:
    """Idle connections of every server. Any thread; no lock, the deques are enough."""

    def __init__(self, login_of: Callable[[Node], Login], tls: SSLContext | None) -> None:
        self._login_of = login_of
        self._tls = tls
        self._idle: defaultdict[Node, deque[Connection]] = defaultdict(deque)

    def exchange(self, asked: Ask, end_s: float) -> list[Reply]:
        """The replies to one piece. A connection that went away while it was idle is replaced, once."""
        connection = self._taken(asked.node, end_s)
        try:
            got = connection.exchange(asked, end_s)
        except GoneError as error:
            if self._again(connection, error) is not None:
                raise
            connection = self._taken(asked.node, end_s)
            got = connection.exchange(asked, end_s)
        self._keep(connection)
        return got

    def exchange_all(self, several: Sequence[Ask], end_s: float) -> list[list[Reply] | WireError]:
        """The replies to each piece, or why there are none: all are sent before the first is waited for."""
        held: deque[Connection | WireError] = deque()
        got: list[list[Reply] | WireError] = []
        try:
            for asked in several:
                held.append(self._sent(asked, end_s))
            for asked in several:
                connection = held.popleft()
                got.append(connection if isinstance(connection, WireError) else self._got(connection, asked, end_s))
        finally:
            for connection in held:  # somebody interrupted us
                if isinstance(connection, Connection):
                    connection.close()
        return got

    def _sent(self, asked: Ask, end_s: float) -> Connection | WireError:
        try:
            connection = self._taken(asked.node, end_s)
        except WireError as error:
            return error
        try:
            connection.send(asked, end_s)
        except WireError as error:
            connection.close()
            return self._again(connection, error) or self._sent(asked, end_s)
        except BaseException:
            connection.close()
            raise
        return connection

    def _got(self, connection: Connection, asked: Ask, end_s: float) -> list[Reply] | WireError:
        try:
            got = connection.receive(asked.replies, end_s)
        except WireError as error:
            connection.close()
            if (final := self._again(connection, error)) is not None:
                return final
            try:
                return self.exchange(asked, end_s)
            except WireError as second:
                return second
        except BaseException:
            connection.close()
            raise
        self._keep(connection)
        return got

    def _again(self, connection: Connection, error: WireError) -> WireError | None:
        """None when it went away while it was idle, as others then did, too; else the error."""
        if not (isinstance(error, GoneError) and connection.used):
            return error
        self.forget(connection.node)
        return None

    def _taken(self, node: Node, end_s: float) -> Connection:
        try:
            return self._idle[node].pop()
        except IndexError:
            return Connection(node, self._login_of(node), self._tls, end_s)

    def _keep(self, connection: Connection) -> None:
        connection.used = True
        idle = self._idle[connection.node]
        if len(idle) < MOST_IDLE:
            idle.append(connection)
        else:
            connection.close()

    def forget(self, node: Node) -> None:
        """Close what is idle."""
        idle = self._idle[node]
        while idle:
            idle.pop().close()

    def close(self) -> None:
        """Close all that is idle."""
        for node in list(self._idle):
            self.forget(node)
