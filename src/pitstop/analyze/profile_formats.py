"""Profiles as other tools read them: folded stacks, speedscope's JSON, and pprof's protocol buffers.

Sources: Brendan Gregg's FlameGraph (stackcollapse), https://www.speedscope.app/file-format-schema.json, and
https://github.com/google/pprof/blob/main/proto/profile.proto.
"""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pitstop.model import Profiles, Window

EXPORTER = "pitstop"
_SCHEMA = "https://www.speedscope.app/file-format-schema.json"
_LEVEL = 6  # of gzip

# Field numbers of profile.proto, shifted to be tags: number · 8 + wire type (0 varint, 2 length-delimited).
_SAMPLE_TYPE, _SAMPLE, _LOCATION, _FUNCTION, _STRING = 1 << 3 | 2, 2 << 3 | 2, 4 << 3 | 2, 5 << 3 | 2, 6 << 3 | 2
_TIME_NANOS, _DURATION_NANOS, _PERIOD_TYPE, _DEFAULT_SAMPLE_TYPE = 9 << 3, 10 << 3, 11 << 3 | 2, 14 << 3
_FIRST, _SECOND, _THIRD, _FOURTH = 1 << 3, 2 << 3, 3 << 3, 4 << 3
_FIRST_BYTES, _SECOND_BYTES, _THIRD_BYTES, _FOURTH_BYTES = _FIRST | 2, _SECOND | 2, _THIRD | 2, _FOURTH | 2


class Frame(NamedTuple):
    """A frame taken apart; `file` ``""`` and `line` 0 where it does not say."""

    function: str
    file: str
    line: int


def frame(text: str) -> Frame:
    """``function (file:line)`` taken apart; anything else is a function alone."""
    function, opened, place = text.rpartition(" (")
    if not opened or not place.endswith(")"):
        return Frame(text, "", 0)
    file, colon, line = place[:-1].rpartition(":")
    if not colon or not (line.isascii() and line.isdecimal()):
        return Frame(function, place[:-1], 0)
    return Frame(function, file, int(line))


def folded(found: Profiles) -> str:
    """A line a stack, outermost frame first, and the nanoseconds it stands for."""
    weights_ns: dict[str, int] = {}
    for stack, weight_ns in zip(found.stack, found.weight_ns, strict=True):
        weights_ns[stack] = weights_ns.get(stack, 0) + weight_ns
    return "".join(f"{stack} {weight_ns}\n" for stack, weight_ns in weights_ns.items())


def speedscope(found: Profiles, name: str) -> str:
    """One sampled profile for https://www.speedscope.app, weights in nanoseconds."""
    places: dict[str, int] = {}
    samples = [
        [places.setdefault(text, len(places)) for text in stack.split(";")] if stack else [] for stack in found.stack
    ]
    frames = [_speedscope_frame(frame(text)) for text in places]
    weights = list(found.weight_ns)
    document = {
        "$schema": _SCHEMA,
        "exporter": EXPORTER,
        "name": name,
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": [
            {
                "type": "sampled",
                "name": name,
                "unit": "nanoseconds",
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _speedscope_frame(one: Frame) -> dict[str, Any]:
    out: dict[str, Any] = {"name": one.function}
    if one.file:
        out["file"] = one.file
    if one.line:
        out["line"] = one.line
    return out


def pprof(found: Profiles, window: Window) -> bytes:
    """A gzipped ``Profile`` message: samples and nanoseconds a stack, with its route as a label."""
    strings: dict[str, int] = {"": 0}

    def text(value: str) -> int:
        return strings.setdefault(value, len(strings))

    mode = found.mode[0] if len(found) else "wall"
    time_type = (text("cpu" if mode == "cpu" else mode), text("nanoseconds"))
    samples_type = (text("samples"), text("count"))
    route_key = text("route")
    locations: dict[str, int] = {}
    body = bytearray()
    for first, second in (samples_type, time_type):
        _message(body, _SAMPLE_TYPE, _pair(first, second))
    rows = zip(found.stack, found.route, found.samples, found.weight_ns, strict=True)
    for stack, route, samples, weight_ns in rows:
        ids = [locations.setdefault(name, len(locations) + 1) for name in stack.split(";")] if stack else []
        ids.reverse()  # the innermost comes first
        sample = bytearray()
        _message(sample, _FIRST_BYTES, b"".join(map(_varint, ids)))
        _message(sample, _SECOND_BYTES, _varint(samples) + _varint(weight_ns))
        if route:
            _message(sample, _THIRD_BYTES, _pair(route_key, text(route)))
        _message(body, _SAMPLE, sample)
    functions: dict[tuple[str, str], int] = {}
    for name, number in locations.items():
        one = frame(name)
        function = functions.setdefault((one.function, one.file), len(functions) + 1)
        location = bytearray(bytes((_FIRST,)) + _varint(number))
        _message(location, _FOURTH_BYTES, _pair(function, one.line))
        _message(body, _LOCATION, location)
    for (function_name, file), number in functions.items():
        named = text(function_name)
        fields = [(_FIRST, number), (_SECOND, named), (_THIRD, named), (_FOURTH, text(file))]
        _message(body, _FUNCTION, _numbers(fields))
    body += _numbers([(_TIME_NANOS, window.start_s * 10**9), (_DURATION_NANOS, window.duration_s * 10**9)])
    _message(body, _PERIOD_TYPE, _pair(*time_type))
    body += _numbers([(_DEFAULT_SAMPLE_TYPE, time_type[0])])
    for value in strings:
        _message(body, _STRING, value.encode("utf-8", "replace"))
    return gzip.compress(bytes(body), _LEVEL, mtime=0)


def _message(out: bytearray, tag: int, content: bytes | bytearray) -> None:
    out.append(tag)
    out += _varint(len(content))
    out += content


def _pair(first: int, second: int) -> bytes:
    return _numbers([(_FIRST, first), (_SECOND, second)])


def _numbers(fields: Iterable[tuple[int, int]]) -> bytes:
    return b"".join(bytes((tag,)) + _varint(value) for tag, value in fields)


_SMALL = [bytes((value,)) for value in range(128)]


def _varint(value: int) -> bytes:
    """`value`, not negative, seven bits a byte, the lowest first (LEB128)."""
    if value < 128:  # noqa: PLR2004  one byte
        return _SMALL[value]
    out = bytearray()
    while value > 127:  # noqa: PLR2004
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
