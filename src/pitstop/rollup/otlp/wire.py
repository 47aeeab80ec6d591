"""Protobuf's wire format, the little of it that OTLP needs: a host that records has no protobuf package.

Each function returns a field with its tag; a message is the bytes of its fields put together.
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_fixed = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack


def varint(value: int) -> bytes:
    """`value` ≥ 0, seven bits a byte."""
    out = bytearray()
    while value > 0x7F:  # noqa: PLR2004
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def message(field: int, body: bytes) -> bytes:
    """A message, a string or bytes."""
    return varint(field << 3 | 2) + varint(len(body)) + body


def text(field: int, value: str) -> bytes:
    """A string; what is no Unicode is replaced."""
    return message(field, value.encode("utf-8", "replace"))


def number(field: int, value: int) -> bytes:
    """An enumeration, a bool, or an integer ≥ 0 as varint."""
    return varint(field << 3) + varint(value)


def signed(field: int, value: int) -> bytes:
    """An sint32."""
    return varint(field << 3) + varint(value << 1 if value >= 0 else (-value << 1) - 1)


def fixed(field: int, value: int) -> bytes:
    """A fixed64."""
    return varint(field << 3 | 1) + _fixed(value)


def double(field: int, value: float) -> bytes:
    """A double."""
    return varint(field << 3 | 1) + _double(value)


def packed(field: int, values: Iterable[int]) -> bytes:
    """Repeated integers ≥ 0 as varints."""
    return message(field, b"".join(map(varint, values)))


def attribute(field: int, key: str, value: object) -> bytes:
    """A KeyValue: text, bool, int or float; anything else as text."""
    if isinstance(value, bool):
        held = number(2, int(value))
    elif isinstance(value, int):
        held = number(3, value & 0xFFFF_FFFF_FFFF_FFFF)  # two's complement, as int64 has it
    elif isinstance(value, float):
        held = double(4, value)
    else:
        held = text(1, str(value))
    return message(field, text(1, key) + message(2, held))
