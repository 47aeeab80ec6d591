"""Events by Redis: a channel (what is sent while a process is away is lost to it) or a stream (nothing is lost)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import SettingError
from pitstop.tune.cache.redis.client import Client
from pitstop.tune.cache.redis.wire import ReplyError, WireError, ask

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from pitstop.tune.cache.redis.blocking import Connection
    from pitstop.tune.cache.redis.wire import Command, Reply

DEADLINE_S: Final = 1.0  # nobody waits for these threads
TICK_S: Final = 0.5
SILENCE_S: Final = 2.0  # without an answer to a ping
KEPT: Final = 10_000  # events that a stream keeps, about
PIECE: Final = 500  # events that are read at once


class RedisChannel:
    """PUBLISH and SUBSCRIBE on `channel` of the Redis at `url`; in a cluster on any of its servers."""

    def __init__(self, url: str, channel: str = "pitstop:events") -> None:
        self.client = Client(url, deadline_s=DEADLINE_S)
        self.channel = channel

    def send(self, raw: bytes) -> None:
        """PUBLISH."""
        _plain(self.client.ask([("PUBLISH", self.channel, raw)])[0])

    def receive(self, got: Callable[[bytes], None], hears: Callable[[bool], None], stopped: threading.Event) -> None:
        """SUBSCRIBE, with a ping when nothing comes."""
        connection = self.client.connection(DEADLINE_S)
        try:
            self._say(connection, ("SUBSCRIBE", self.channel))
            heard_s = time.monotonic()
            while not stopped.is_set():
                said = connection.hear(TICK_S)
                now_s = time.monotonic()
                if not said:
                    if now_s - heard_s > SILENCE_S:
                        raise WireError(f"Redis at {connection.node} has said nothing for {SILENCE_S} s")
                    self._say(connection, ("PING",))
                    continue
                heard_s = now_s
                for each in said:
                    if _plain(each)[0] == b"subscribe":
                        hears(True)
                    elif each[0] == b"message":
                        got(each[2])
        finally:
            connection.close()

    @staticmethod
    def _say(connection: Connection, command: Command) -> None:
        connection.send(ask(connection.node, [command]), time.monotonic() + DEADLINE_S)

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()


class RedisStream:
    """XADD and XREAD on the stream `key`. Who was away reads on where it stopped, among the newest `kept` events.

    What is published before a process reads for the first time is not for it.
    """

    def __init__(self, url: str, key: str = "pitstop:events:stream", *, kept: int = KEPT) -> None:
        if kept < 1:
            raise SettingError(f"kept={kept}: a stream has to keep 1 event or more")
        self.client = Client(url, deadline_s=DEADLINE_S)
        self.key = key
        self.kept = kept
        self._last: bytes | None = None  # id of the newest that was read

    def send(self, raw: bytes) -> None:
        """XADD; about `kept` events stay."""
        _plain(self.client.ask([("XADD", self.key, "MAXLEN", "~", self.kept, "*", "event", raw)])[0])

    def receive(self, got: Callable[[bytes], None], hears: Callable[[bool], None], stopped: threading.Event) -> None:
        """XREAD from where it stopped."""
        hears(self._resumed())
        while not stopped.is_set():
            assert self._last is not None
            read = ("XREAD", "COUNT", PIECE, "BLOCK", int(TICK_S * 1000), "STREAMS", self.key, self._last)
            answer = _plain(self._patiently(read))
            for entry_id, fields in answer[0][1] if answer else ():
                self._last = entry_id
                values = dict(zip(fields[::2], fields[1::2], strict=True))
                if b"event" in values:
                    got(values[b"event"])

    def _patiently(self, command: Command) -> Reply:
        return self.client.ask([command], TICK_S + SILENCE_S)[0]

    def _resumed(self) -> bool:
        """Whether events between the last that was read and now may be gone: trimmed, or lost with their server."""
        if self._last is None:
            newest = _plain(self._patiently(("XREVRANGE", self.key, "+", "-", "COUNT", 1)))
            self._last = newest[0][0] if newest else b"0-0"
            return False
        if self._last == b"0-0":
            return False
        here: Any = _plain(self._patiently(("XRANGE", self.key, self._last, self._last)))
        if not here:
            self._last = b"0-0"  # a new server may count from an earlier moment on
        return not here

    def close(self) -> None:
        """Close idle connections."""
        self.client.close()


def _plain(reply: Reply) -> Reply:
    if isinstance(reply, ReplyError):
        raise WireError(f"Redis refused: {reply}")
    return reply
