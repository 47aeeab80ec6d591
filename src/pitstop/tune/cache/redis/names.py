"""What things are called in Redis, so that what is pushed can be told apart.

``<prefix>{<key>}`` is a value's blob after a stamp of its writing, ``<prefix>{<key>}!`` the lease of whoever makes it
anew, ``<prefix>tag:<tag>`` a tag's version. Braces keep a key and its lease on one server of a cluster.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "pitstop:"


NOTHING: Final = ("", "")


class Names:
    """All with one prefix."""

    def __init__(self, prefix: str = PREFIX) -> None:
        self.prefix = prefix.encode()
        self._begin = self.prefix + b"{"
        self._tag = self.prefix + b"tag:"

    def value(self, key: str) -> bytes:
        """Of a key's blob."""
        return self._begin + key.encode() + b"}"

    def lease(self, key: str) -> bytes:
        """Of the lease of a key."""
        return self._begin + key.encode() + b"}!"

    def tag(self, tag: str) -> bytes:
        """Of a tag's version."""
        return self._tag + tag.encode()

    def parse(self, wire: bytes) -> tuple[str, str]:
        """What `wire` stands for: ``value``, ``lease``, ``tag`` or nothing of ours, and of which key or tag."""
        if wire.startswith(self._begin):
            key, brace, rest = wire[len(self._begin) :].decode(errors="replace").rpartition("}")
            if brace and rest in {"", "!"}:
                return "lease" if rest else "value", key
        elif wire.startswith(self._tag):
            return "tag", wire[len(self._tag) :].decode(errors="replace")
        return NOTHING
