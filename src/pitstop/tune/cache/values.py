"""Values as bytes: msgpack where it is installed, else JSON, and nothing that could run code.

Beside what these know: tuple, set, frozenset, bytes, integers of any size, datetime, date, time, timedelta, Decimal,
UUID, and types that were named to the cache: dataclasses and pydantic models, by their fields. Everything comes back as
it was, and as the type it was.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import decimal
import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import CacheValueError, SettingError

try:
    import msgpack
except ImportError:  # twice the time and a third more bytes, but all that is needed
    msgpack = None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEEPEST: Final = 32  # nesting of types that msgpack does not know: each level takes 16 kB of the C stack to read
_MARK: Final = "\x00"  # the only key of an object that stands for a type JSON does not know

_Plain = Any  # what both formats know: None, bool, int, float, str, list, dict with strings as keys


def _zone(value: dt.datetime | dt.time) -> list[Any]:
    text = value.isoformat()
    name = getattr(value.tzinfo, "key", None)  # of zoneinfo: an offset alone would forget the rules of summer time
    return [text, value.fold, name]


def _datetime(parts: Any) -> dt.datetime:
    text, fold, name = parts
    value = dt.datetime.fromisoformat(text).replace(fold=fold)
    if name is None:
        return value
    import zoneinfo  # noqa: PLC0415  few values have a zone by name

    return value.replace(tzinfo=zoneinfo.ZoneInfo(name))


def _time(parts: Any) -> dt.time:
    return dt.time.fromisoformat(parts[0]).replace(fold=parts[1])


_KNOWN: tuple[tuple[int, type, Callable[[Any], _Plain], Callable[[Any], Any]], ...] = (
    (1, tuple, list, tuple),
    (2, set, list, set),
    (3, frozenset, list, frozenset),
    (4, dt.datetime, _zone, _datetime),
    (5, dt.date, dt.date.isoformat, dt.date.fromisoformat),
    (6, dt.time, _zone, _time),
    (7, dt.timedelta, lambda d: [d.days, d.seconds, d.microseconds], lambda parts: dt.timedelta(*parts)),
    (8, decimal.Decimal, str, decimal.Decimal),
    (9, uuid.UUID, lambda value: value.hex, uuid.UUID),
    (10, int, hex, lambda text: int(text, 16)),
    (11, bytes, lambda value: base64.b85encode(value).decode(), base64.b85decode),
    (12, dict, lambda value: [[k, v] for k, v in value.items()], lambda pairs: dict(map(tuple, pairs))),
)
_NAMED: Final = 20


class Types:
    """The types a cache may write and read. `named` are dataclasses and pydantic models of the host."""

    def __init__(self, named: Iterable[type] = ()) -> None:
        self._codes = {kind: (code, take) for code, kind, take, _ in _KNOWN}
        self._makers = {code: make for code, _, _, make in _KNOWN}
        self._named: dict[str, type] = {}
        for kind in named:
            if not dataclasses.is_dataclass(kind) and not hasattr(kind, "model_validate"):
                raise SettingError(f"types: {kind!r} is neither a dataclass nor a pydantic model")
            self._named[f"{kind.__module__}.{kind.__qualname__}"] = kind

    def apart(self, value: Any) -> tuple[int, _Plain]:
        """A code and what the value is made of. Raises CacheValueError where its type is unknown."""
        kind = type(value)
        known = self._codes.get(kind)
        if known is not None:
            return known[0], known[1](value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if self._named.get(name) is kind:
            if dataclasses.is_dataclass(value):
                return _NAMED, [name, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}]
            return _NAMED, [name, dict(value.__dict__)]
        raise CacheValueError(
            f"a value holds a {name}, which has no bytes that any process could read; "
            f"return plain data, or name it: Cache(types=[{kind.__qualname__}]) (dataclasses, pydantic models)"
        )

    def together(self, code: int, parts: Any) -> Any:
        """The value again. Raises whatever parts that do not fit make it raise."""
        if code != _NAMED:
            return self._makers[code](parts)
        name, fields = parts
        kind: Any = self._named[name]
        if hasattr(kind, "model_validate"):
            return kind.model_validate(fields)
        return kind(**fields)


class Values:
    """Writes and reads values of `types`; `prefer_json` for levels that others read, too."""

    def __init__(self, types: Iterable[type] = (), *, prefer_json: bool = False) -> None:
        self._types = Types(types)
        self.msgpack = msgpack is not None and not prefer_json

    def write(self, value: Any) -> bytes:
        """Its bytes. Raises CacheValueError where it has none."""
        try:
            if self.msgpack:
                return self._pack(value, 0)
            return json.dumps(self._to_json(value, 0), ensure_ascii=False, separators=(",", ":")).encode()
        except CacheValueError:
            raise
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise CacheValueError(f"a value of type {type(value).__name__} cannot be written: {error}") from None

    def read(self, data: bytes, *, packed: bool) -> Any:
        """The value. Raises for anything that was not written here; never runs what it reads."""
        if not packed:
            return self._from_json(json.loads(data), 0)
        if msgpack is None:
            raise CacheValueError("it was written with msgpack, which is not installed here: pip install msgpack")
        return self._unpack(data, 0)

    def _pack(self, value: Any, depth: int) -> bytes:
        if depth > DEEPEST:
            raise CacheValueError(f"a value is nested more than {DEEPEST} deep, or contains itself")

        def default(inner: Any) -> Any:
            code, parts = self._types.apart(inner)
            return msgpack.ExtType(code, self._pack(parts, depth + 1))

        packed: bytes = msgpack.packb(value, default=default, strict_types=True)
        return packed

    def _unpack(self, data: bytes, depth: int) -> Any:
        if depth > DEEPEST:
            raise CacheValueError("nested too deep")

        def hook(code: int, inner: bytes) -> Any:
            return self._types.together(code, self._unpack(inner, depth + 1))

        return msgpack.unpackb(data, ext_hook=hook, strict_map_key=False, use_list=True, timestamp=0)

    def _to_json(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST * 4:
            raise CacheValueError(f"a value is nested more than {DEEPEST * 4} deep, or contains itself")
        kind = type(value)
        if kind in {str, int, bool, type(None)}:
            return value
        if kind is float:
            return value if value - value == 0 else {_MARK: [0, repr(value)]}
        if kind is list:
            return [self._to_json(item, depth + 1) for item in value]
        if kind is dict and _MARK not in value and all(type(key) is str for key in value):
            return {key: self._to_json(item, depth + 1) for key, item in value.items()}
        code, parts = self._types.apart(value)
        return {_MARK: [code, self._to_json(parts, depth + 1)]}

    def _from_json(self, value: Any, depth: int) -> Any:
        if depth > DEEPEST * 4 + 8:
            raise CacheValueError("nested too deep")
        if isinstance(value, list):
            return [self._from_json(item, depth + 1) for item in value]
        if isinstance(value, dict):
            if _MARK in value:
                code, parts = value[_MARK]
                return float(parts) if code == 0 else self._types.together(code, self._from_json(parts, depth + 1))
            return {key: self._from_json(item, depth + 1) for key, item in value.items()}
        return value
