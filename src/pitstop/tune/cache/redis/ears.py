"""Hears what any worker changes in Redis, so that memory levels stay right: client-side caching by RESP3, Redis ≥ 6.

One thread with a connection of its own to each server that takes writes: ``CLIENT TRACKING ON BCAST PREFIX`` makes the
server push the names of changed, expired and evicted keys (redis.io/docs/reference/client-side-caching). A connection
that says nothing for `LOST_S`, though it is pinged, is lost. What changed while nobody listened is unknown: everything
counts as changed as soon as all servers are heard again.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
import time
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import hiredis

from pitstop.tune.cache.redis.blocking import connect
from pitstop.tune.cache.redis.leases import Gate
from pitstop.tune.cache.redis.wire import NOTHING, READ_BYTES, WireError, pack, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pitstop.tune.cache.redis.address import Node
    from pitstop.tune.cache.redis.client import Client
    from pitstop.tune.cache.redis.wire import Command

TICK_S: Final = 0.5
LOST_S: Final = 2.0  # four unanswered pings
LOOK_S: Final = 2.0  # how often it is asked who is where: an isolated old primary answers pings, too
AGAIN_S: Final = 0.1  # between attempts to connect, twice as long each time up to LONGEST_S
LONGEST_S: Final = 2.0
MOST_SOON: Final = 1000  # calls that wait for the thread; the oldest give way
CONNECT_S: Final = 1.0  # not the callers' deadline: nobody waits for this thread


class Ear:
    """One connection: it says hello, turns tracking on, and gives the names of changed keys as they come."""

    def __init__(self, client: Client, node: Node, prefix: bytes) -> None:
        end_s = time.monotonic() + CONNECT_S
        login = client.login_of(node)
        self.node = node
        self.heard_s = time.monotonic()
        self._reader: Any = reader()
        self._got: list[list[bytes] | None] = []
        self.socket = connect(node, client.address.tls, end_s)
        try:
            auth: Command = ("AUTH", login.username or "default", login.password) if login.password else ()
            said: list[Command] = [("HELLO", 3, *auth, "SETNAME", "pitstop-cache-ears")]
            if login.db:
                said.append(("SELECT", login.db))
            said.append(("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", prefix))
            self.socket.sendall(b"".join(map(pack, said)))
            replies = 0
            while replies < len(said):
                self.socket.settimeout(max(0.001, end_s - time.monotonic()))
                replies += self._feed(self.socket.recv(READ_BYTES))
            self.socket.setblocking(False)
        except OSError as error:  # WireError is one
            self.socket.close()
            raise WireError(f"Redis at {node} does not tell what changes: {error}") from error
        except BaseException:
            self.socket.close()
            raise

    def changes(self) -> list[list[bytes] | None]:
        """Names of keys that changed, as far as they have come; None: all of them. Raises WireError when it is lost."""
        try:
            while True:
                self._feed(self.socket.recv(READ_BYTES))
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except OSError as error:
            raise WireError(f"Redis at {self.node} does not tell what changes any more: {error}") from error
        got, self._got = self._got, []
        return got

    def ping(self, now_s: float) -> None:
        """Ask for a sign of life. Raises WireError when there was none for too long."""
        if now_s - self.heard_s > LOST_S:
            raise WireError(f"Redis at {self.node} has said nothing for {LOST_S} s")
        try:
            self.socket.sendall(b"PING\r\n")
        except OSError as error:
            raise WireError(f"Redis at {self.node} does not listen: {error}") from error

    def _feed(self, data: bytes) -> int:
        """Sort what came; how many replies were in it, pushes not counted."""
        if not data:
            raise WireError("it closed the connection")
        self.heard_s = time.monotonic()
        replies = 0
        try:
            self._reader.feed(data)
            while (said := self._reader.gets()) is not NOTHING:
                if isinstance(said, hiredis.PushNotification):
                    if said[0] == b"invalidate":
                        self._got.append(said[1])
                elif isinstance(said, hiredis.ReplyError):
                    raise WireError(str(said))
                else:
                    replies += 1
        except hiredis.ProtocolError as error:
            raise WireError(str(error)) from error
        return replies

    def close(self) -> None:
        """For good."""
        with suppress(OSError):
            self.socket.close()


class Ears:
    """All of them. `changed` is called in their thread: with names of keys, or None for all.

    It must return soon and is not called while `hears` is false; the first call after that is ``changed(None)``. Only
    where it hears before anybody has asked Redis for anything, there is nothing that could have changed.
    """

    def __init__(self, client: Client, prefix: bytes, changed: Callable[[Sequence[bytes] | None], None]) -> None:
        self.hears = False
        """Whether every change is heard."""
        self.lost = 0
        """How often hearing was lost."""
        self.error = ""
        """Why it does not hear, if it does not."""
        self.since_s = time.monotonic()
        """When `hears` became what it is."""
        self.settled = False
        """Whether it hears, or is known not to for now: until then whoever begins had better wait a moment."""
        self.ticked: list[Callable[[], None]] = []
        """Called each `TICK_S` in the thread; faults cost nothing but the call."""
        self._soon: deque[Callable[[], object]] = deque(maxlen=MOST_SOON)
        self._client = client
        self._prefix = prefix
        self._changed = changed
        self._ears: dict[Node, Ear] = {}
        self._selector: selectors.BaseSelector
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._starting = threading.Lock()
        self._settling = Gate()
        self._looked_s = self._ticked_s = self._tried_s = float("-inf")
        self._again_s = AGAIN_S
        self._sleeper: socket.socket
        self._waker: socket.socket
        _all.add(self)

    def settle(self, timeout_s: float) -> None:
        """Begin to listen and wait until that has come to something, for `timeout_s` at most."""
        self._start()
        self._settling.wait(timeout_s)
        self._settle()

    async def asettle(self, timeout_s: float) -> None:
        """The same for asyncio."""
        self._start()
        await self._settling.await_(timeout_s)
        self._settle()

    def _settle(self) -> bool:
        """Whether it was not settled before."""
        with self._starting:
            was, self.settled = self.settled, True
        self._settling.open()
        return not was

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped:
                self._selector = selectors.DefaultSelector()
                self._sleeper, self._waker = socket.socketpair()
                self._sleeper.setblocking(False)
                self._waker.setblocking(False)
                self._selector.register(self._sleeper, selectors.EVENT_READ)
                self._thread = threading.Thread(
                    target=_listen, args=(weakref.ref(self),), name="pitstop cache ears", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """Listen no more; waits for the thread."""
        self._stopped = True
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            with suppress(OSError):
                self._waker.send(b".")
            thread.join(CONNECT_S * 4)

    def soon(self, call: Callable[[], object]) -> None:
        """Call it in the thread, as soon as that has time; a server that does not answer costs only the call."""
        self._soon.append(call)
        if self._thread is not None:
            with suppress(OSError):  # full: it wakes up anyway
                self._waker.send(b".")

    def step(self) -> bool:
        """One round of the thread: hear, ping, connect. False at the end."""
        patience_s = TICK_S if self.hears else AGAIN_S if self.settled else 0
        for key, _ in self._selector.select(patience_s):
            if key.data is not None:
                self._hear(key.data)
            else:
                self._sleeper.recv(READ_BYTES)
        if self._stopped:
            return False
        while self._soon:
            with suppress(WireError):
                self._soon.popleft()()
        now_s = time.monotonic()
        if now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            for ear in list(self._ears.values()):
                try:
                    ear.ping(now_s)
                except WireError as error:
                    self._lose(ear, error)
            for ticked in self.ticked:
                with suppress(Exception):
                    ticked()
        moved = self._ears.keys() != self._client.route.writers()  # as callers have found
        if moved or not self.hears or now_s - self._looked_s >= LOOK_S:
            self._meet(now_s)
            self._settle()
        return True

    def _hear(self, ear: Ear) -> None:
        try:
            changes = ear.changes()
        except WireError as error:
            self._lose(ear, error)
            return
        if self.hears:
            for keys in changes:
                self._changed(keys)

    def _lose(self, ear: Ear, error: WireError) -> None:
        if self._ears.get(ear.node) is ear:
            del self._ears[ear.node]
            self._selector.unregister(ear.socket)
        ear.close()
        self._deaf(str(error))

    def _deaf(self, error: str) -> None:
        self.error = error
        if self.hears:
            self.hears = False
            self.since_s = time.monotonic()
            self.lost += 1

    def _meet(self, now_s: float) -> None:
        """Connect to each server that takes writes, leave those that no longer do."""
        if now_s - self._tried_s < self._again_s:
            return
        self._tried_s = now_s
        route = self._client.route
        if now_s - self._looked_s >= LOOK_S or not route.writers() or (not self.hears and self._ears):
            self._looked_s = now_s
            with suppress(WireError):
                self._client.look()
        writers = route.writers()
        if not writers:
            self._deaf("nobody tells which server takes writes")
        for node in self._ears.keys() - writers:
            self._lose(self._ears[node], WireError(f"Redis at {node} takes no writes any more"))
        for node in writers - self._ears.keys():
            self._deaf(f"Redis at {node} is new")
            try:
                ear = self._ears[node] = Ear(self._client, node, self._prefix)
            except WireError as error:
                self._looked_s = float("-inf")
                self._again_s = min(LONGEST_S, self._again_s * 2)
                self._deaf(str(error))
                return
            self._selector.register(ear.socket, selectors.EVENT_READ, ear)
        if writers and not self.hears:
            self._again_s = AGAIN_S
            with self._starting:
                first, self.settled = not self.settled, True
                self.hears = True
            self.since_s = time.monotonic()
            self.error = ""
            if not first:
                self._changed(None)
            self._settling.open()

    def _close(self) -> None:
        self.hears = False
        for ear in self._ears.values():
            ear.close()
        self._ears.clear()
        self._selector.close()
        self._sleeper.close()
        self._waker.close()
        self._thread = None

    def reset_after_fork(self) -> None:
        """The thread stayed with the parent, with its connections: begin anew when it is next wanted."""
        self._starting = threading.Lock()
        self.settled = False
        self._settling = Gate()
        if self._thread is not None:
            self.since_s = time.monotonic()
            self._close()


def _listen(weak: weakref.ref[Ears]) -> None:
    """Until told to stop, or until nobody else holds the ears."""
    while True:
        ears = weak()
        if ears is None:
            return
        try:
            if not ears.step():
                ears._close()  # noqa: SLF001
                return
        except Exception as error:  # noqa: BLE001  the thread must not end: memory levels would never be told again
            ears._deaf(repr(error))  # noqa: SLF001
            ears._settle()  # noqa: SLF001
            time.sleep(AGAIN_S)
        del ears


_all: weakref.WeakSet[Ears] = weakref.WeakSet()


def _after_fork() -> None:
    for ears in list(_all):
        ears.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
