"""Bodies of WSGI answers (PEP 3333): those that do something by the way, or when they are over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Copying(Protocol):
    """Takes copies of an answer's pieces."""

    body: Iterable[bytes]

    def begin_copy(self) -> Iterator[bytes]:
        """Pass on status and headers."""

    def copy(self, piece: bytes) -> None:
        """Take a copy of a piece."""

    def end_copy(self, *, whole: bool) -> None:
        """The body is out, or given up."""


class Copied:
    """A body that is passed on piece by piece, and kept when it was complete."""

    def __init__(self, answering: Copying) -> None:
        self._answering = answering
        self._over = False
        self._pieces = answering.begin_copy()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            piece = next(self._pieces)
        except StopIteration:
            self._end(whole=True)
            raise
        except BaseException:
            self._end(whole=False)
            raise
        if not self._over:
            self._answering.copy(piece)
        return piece

    def _end(self, *, whole: bool) -> None:
        if not self._over:
            self._over = True
            self._answering.end_copy(whole=whole)

    def close(self) -> None:
        """Called by the server when it needs no more."""
        try:
            close(self._answering.body)
        finally:
            self._end(whole=False)


class Resumed:
    """A body whose first piece was asked for already."""

    def __init__(self, first: list[bytes], pieces: Iterator[bytes], body: Iterable[bytes]) -> None:
        self._first, self._pieces, self._body = first, pieces, body

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._first.pop() if self._first else next(self._pieces)

    def close(self) -> None:
        """As PEP 3333 wants."""
        close(self._body)


class Voiding:
    """A body that is passed on as it is; `void` is called once it is closed, whatever comes of that."""

    def __init__(self, body: Iterable[bytes], void: Callable[[], None]) -> None:
        self._body, self._void = body, void

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Called by the server when it needs no more."""
        try:
            close(self._body)
        finally:
            self._void()


def raising(error: Exception) -> Iterator[bytes]:
    """Fails where the server asks for the first piece, as the application did."""
    for failure in (error,):
        raise failure
    yield b""


def close(body: object) -> None:
    """As servers do: where it can be."""
    close = getattr(body, "close", None)
    if close is not None:
        close()
