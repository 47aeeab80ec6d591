"""A histogram as bytes: one version byte, then varint pairs (step to the next used position, count).

The version byte is ``0x15``: format 1, scale 5. Varints are LEB128. Every value after the first byte belongs to a pair,
so a whole column of encoded histograms can be decoded at once (`pitstop.analyze.columns`).
About 90 B for 50 durations, 390 B for 1,000.
"""

from __future__ import annotations

from pitstop.model.errors import StoreCorruptError

VERSION = 0x15


def encode(counts: dict[int, int]) -> bytes:
    """Bytes of counts by position. Equal counts give equal bytes."""
    out = bytearray((VERSION,))
    append = out.append
    last = 0
    for position in sorted(counts):
        for value in (position - last, counts[position]):
            rest = value
            while rest > 0x7F:  # noqa: PLR2004  seven bits a byte, as LEB128 has it
                append(rest & 0x7F | 0x80)
                rest >>= 7
            append(rest)
        last = position
    return bytes(out)


def decode(data: bytes) -> dict[int, int]:
    """Counts by position. Raises StoreCorruptError for anything `encode` cannot have written."""
    if not data or data[0] != VERSION:
        raise StoreCorruptError(
            f"a histogram starts with byte {data[:1].hex()!r}, this version reads {VERSION:02x}; upgrade Pitstop"
        )
    values: list[int] = []
    value = shift = 0
    for byte in memoryview(data)[1:]:
        value |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
        else:
            values.append(value)
            value = shift = 0
    if shift or len(values) % 2:
        raise StoreCorruptError(f"a histogram of {len(data)} bytes ends in the middle of a pair; run 'pitstop doctor'")
    counts: dict[int, int] = {}
    position = 0
    for i in range(0, len(values), 2):
        position += values[i]
        counts[position] = values[i + 1]
    return counts
