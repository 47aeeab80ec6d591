"""What a measurement of an instrument is called: ``orders{messaging.system=kafka}``.

Attributes whose values a program spells out, and no user, stand in the name; an instrument may have `MOST_NAMES` such
names, what is beyond goes to its plain one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_NAMES = 100  # of one instrument, by its attributes
LONGEST_INSTRUMENT = 200  # OpenTelemetry allows 255 characters
LONGEST_VALUE = 60

KEPT = frozenset({
    "cpu.mode", "db.client.connection.pool.name", "db.client.connection.state", "db.operation.name", "db.system",
    "db.system.name", "error.type", "generation", "http.request.method", "http.response.status_code", "http.route",
    "messaging.destination.name", "messaging.operation.name", "messaging.operation.type", "messaging.system",
    "network.io.direction", "pool.name", "rpc.grpc.status_code", "rpc.method", "rpc.service", "rpc.system", "state",
    "system.memory.state", "type",
})  # fmt: skip
"""Attributes that may stand in a name: few values each, none of them a user's."""


class Names:
    """The names of one instrument by what is kept of its attributes."""

    def __init__(self, instrument: str) -> None:
        self.plain = instrument[:LONGEST_INSTRUMENT]
        self._known: dict[tuple[object, ...], str] = {}

    def of(self, attributes: Mapping[str, object] | None) -> str:
        """The name of a measurement with `attributes`."""
        if not attributes or KEPT.isdisjoint(attributes):
            return self.plain
        key = tuple((name, attributes[name]) for name in attributes if name in KEPT)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MOST_NAMES:
                return self.plain
            kept = ",".join(f"{name}={str(value)[:LONGEST_VALUE]}" for name, value in sorted(key, key=_first))
            self._known[key] = known = f"{self.plain}{{{kept}}}"
        return known


def _first(pair: Any) -> str:
    return str(pair[0])
