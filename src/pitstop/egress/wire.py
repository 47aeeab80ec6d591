"""A socket with one deadline for everything: a server that sends a byte now and then cannot stretch it."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from _typeshed import ReadableBuffer, WriteableBuffer


class DeadlineSocket:
    """What http.client needs of a socket; each call has what is left until `deadline_s` of the monotonic clock."""

    def __init__(self, inner: socket.socket, deadline_s: float) -> None:
        self._inner = inner
        self._deadline_s = deadline_s

    def arm(self) -> None:
        """Give the next call what is left. Raises TimeoutError when nothing is."""
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the deadline is over")
        self._inner.settimeout(left_s)

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of `data`."""
        with memoryview(data) as view:
            sent = 0
            while sent < len(view):
                self.arm()
                sent += self._inner.send(view[sent:])

    def makefile(self, mode: str = "rb") -> io.BufferedReader:
        """A file to read the answer from."""
        assert mode == "rb"
        return io.BufferedReader(_Reader(self, self._inner))

    def close(self) -> None:
        """Nothing: http.client closes as soon as it has the headers, and the body is still to be read."""


class _Reader(io.RawIOBase):
    def __init__(self, owner: DeadlineSocket, inner: socket.socket) -> None:
        self._owner = owner
        self._inner = inner

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        self._owner.arm()
        return self._inner.recv_into(buffer)
