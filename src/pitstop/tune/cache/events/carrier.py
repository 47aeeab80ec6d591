"""What takes events from one process to the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable


class Carrier(Protocol):
    """Its methods are called in threads of the bus, one for each, and raise when the other end is lost."""

    def send(self, raw: bytes) -> None:
        """Hand one event over; in doubt it may arrive twice."""
        ...

    def receive(self, got: Callable[[bytes], None], hears: Callable[[bool], None], stopped: threading.Event) -> None:
        """Hear until `stopped`. `hears` is called once that has begun: whether events may have been missed before."""
        ...

    def close(self) -> None:
        """Let go of connections; a later call opens new ones."""
        ...
