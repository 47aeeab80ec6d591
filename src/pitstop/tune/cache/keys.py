"""Keys from functions and arguments: the same text in every process, on every machine and Python version.

Nothing here depends on `hash`, memory addresses, the order of sets or dicts, or the Unicode tables that `repr` uses.
1, 1.0, True and "1" are four keys; the same call written with positions or names is one.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import hashlib
import inspect
import pathlib
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from pitstop.model.errors import CacheKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

SIMPLE: Final = frozenset({str, int, bool, float, bytes, type(None)})
LONGEST: Final = 200  # characters that a key keeps as they are; what is longer is hashed (memcached takes 250)
DEEPEST: Final = 32  # nesting of arguments; deeper is a cycle or no key

_UNSAFE = re.compile(r"[^A-Za-z0-9_.\-]")


@functools.lru_cache(maxsize=4096)
def escape(part: str) -> str:
    """`part` such that no two become one, and none holds the signs that stand between parts of a key."""
    return _UNSAFE.sub(lambda sign: f"%{ord(sign[0]):x}~", part)


def prefix(namespace: str, region: str, tenant: str) -> str:
    """What all keys of a region and tenant begin with; no other region's or tenant's keys do."""
    return f"{escape(namespace)}:{escape(region)}:{escape(tenant)}"


def full_key(before: str, key: object) -> str:
    """The key that memory and levels know: `before`, a sign that says how the rest was made, and the rest."""
    if type(key) is str:
        return f"{before}:{key}" if len(key) <= LONGEST else f"{before}#{_digest(key)}"
    return call_key(before, canonical(key))


def call_key(before: str, text: str) -> str:
    """The same for a text that `canonical` or `CallKey` has made."""
    return f"{before}={text}" if len(text) <= LONGEST else f"{before}~{_digest(text)}"


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def shorten(text: str, longest: int = LONGEST) -> str:
    """`text`, or its hash where it is long."""
    return text if len(text) <= longest else f"#{_digest(text)}"


def hashed(key: str) -> str:
    """What stands for `key` in reports: 64 bits of its hash, hex."""
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def canonical(value: Any) -> str:
    """Text of `value` that is equal exactly for equal values of the same type.

    Knows None, bool, int, float, str, bytes, tuple, list, dict, set, frozenset, date and time types, timedelta,
    Decimal, UUID, enums, paths, dataclasses, types and functions by name, and whatever has ``__cache_key__()``.

    Raises CacheKeyError for anything else.
    """
    if type(value) in SIMPLE:
        return _simple(value)
    return _encode(value, 0)


def _simple(value: Any) -> str:
    try:
        return ascii(value)
    except ValueError:  # CPython's limit on digits
        return hex(value)


def _encode(value: Any, depth: int) -> str:  # noqa: C901, PLR0911, PLR0912  one line for each type that is known
    kind = type(value)
    if kind in SIMPLE:
        return _simple(value)
    if depth > DEEPEST:
        raise CacheKeyError(
            f"an argument is nested more than {DEEPEST} deep, or contains itself; give the decorator key=… or ignore=…"
        )
    inner = depth + 1
    if kind is tuple:
        return f"({','.join([_encode(item, inner) for item in value])},)"
    if kind is list:
        return f"[{','.join([_encode(item, inner) for item in value])}]"
    if kind is dict:
        pairs = sorted((_encode(name, inner), _encode(item, inner)) for name, item in value.items())
        return f"{{{','.join([f'{name}:{item}' for name, item in pairs])}}}"
    if kind in {set, frozenset}:
        return f"{kind.__name__}{{{','.join(sorted(_encode(item, inner) for item in value))}}}"
    own = getattr(value, "__cache_key__", None)
    if own is not None and not isinstance(value, type):
        return f"{_name(kind)}<{_encode(own(), inner)}>"
    if isinstance(value, enum.Enum):
        return f"{_name(kind)}.{value.name or _encode(value.value, inner)}"
    if isinstance(value, (dt.datetime, dt.time)):
        return f"{kind.__name__}<{value.isoformat()},{value.fold}{_zone(value)}>"
    if isinstance(value, (dt.date, uuid.UUID)):
        return f"{kind.__name__}<{value}>"
    if isinstance(value, dt.timedelta):
        return f"timedelta<{value.days},{value.seconds},{value.microseconds}>"
    if isinstance(value, decimal.Decimal):
        return f"Decimal<{value}>"
    if isinstance(value, pathlib.PurePath):
        return f"path<{value.as_posix()!a}>"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f"{f.name}={_encode(getattr(value, f.name), inner)}" for f in dataclasses.fields(value)]
        return f"{_name(kind)}<{','.join(fields)}>"
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return f"{_name(kind)}({','.join([_encode(item, inner) for item in value])},)"
    if isinstance(value, type) or inspect.isfunction(value):
        if "<" not in value.__qualname__:
            return f"<{value.__module__}.{value.__qualname__}>"
        raise CacheKeyError(
            f"{value!r} has no name of its own that a key could hold; give the decorator key=… or ignore=…"
        )
    raise CacheKeyError(
        f"{kind.__module__}.{kind.__qualname__} cannot be part of a cache key, because its text would differ from one "
        "process to the next; leave the argument out (ignore=…), give the decorator key=…, or the type __cache_key__()"
    )


def _zone(value: dt.datetime | dt.time) -> str:
    """Its time zone, by name: zones whose offsets agree now do so by chance."""
    zone = value.tzinfo
    if zone is None:
        return ""
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)  # of zoneinfo, of pytz
    if name is not None:
        return f",{name}"
    own = type(zone).__repr__ is not object.__repr__  # else it is an address
    return f",{_name(type(zone))},{(repr(zone) if own else value.tzname())!a}"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


class CallKey:
    """The key of one call of `function`, as its module and name, `version` and arguments.

    `ignore` names parameters that do not count, such as a session. Raises CacheKeyError where `ignore` names none.
    """

    def __init__(self, function: Callable[..., object], *, ignore: Collection[str] = (), version: str = "") -> None:
        self.name = f"{function.__module__}.{function.__qualname__}" + (f"@{version}" if version else "")
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except (TypeError, ValueError) as error:
            raise CacheKeyError(
                f"the parameters of {function!r} are not known: {error}; give the decorator key=…"
            ) from None
        unknown = set(ignore) - {parameter.name for parameter in parameters}
        if unknown:
            raise CacheKeyError(
                f"ignore={sorted(unknown)} names no parameter of {self.name}; it has {[p.name for p in parameters]}"
            )
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        self._names = tuple(p.name for p in parameters if p.kind in positional)
        self._by_position_only = sum(p.kind is inspect.Parameter.POSITIONAL_ONLY for p in parameters)
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        self._by_name_only = tuple(p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY)
        self._ignored = frozenset(ignore)
        self._plain = not self._ignored and all(p.kind in positional for p in parameters)
        self._count = len(self._names)
        self._prefix = shorten(self.name, LONGEST // 2)

    def __call__(self, args: tuple[object, ...], kwargs: dict[str, object]) -> str:
        """The key; the call itself is what complains of arguments that do not fit."""
        if self._plain:
            if kwargs or len(args) != self._count:
                args, kwargs = self._in_place(args, kwargs)
            if not kwargs and len(args) == self._count:
                for arg in args:
                    if type(arg) not in SIMPLE:
                        break
                else:
                    try:
                        return self._prefix + ascii(args)
                    except ValueError:  # CPython's limit on digits
                        pass
                return self._prefix + self._text(args)
        bound = self.bind(args, kwargs)
        return self._prefix + self._text({name: value for name, value in bound.items() if name not in self._ignored})

    def _in_place(
        self, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The call with all arguments by position, if they fit."""
        complete, used, defaults = list(args), 0, self._defaults
        for name in self._names[len(args) :]:
            if name in kwargs:
                complete.append(kwargs[name])
                used += 1
            elif name in defaults:
                complete.append(defaults[name])
            else:
                return args, kwargs
        if used != len(kwargs) or self._by_position_only:
            return args, kwargs
        return tuple(complete), {}

    def bind(self, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
        """Arguments by name, defaults filled in; those beyond the named ones as ``*``."""
        bound = dict(zip(self._names, args, strict=False))
        for name in self._names[len(args) :]:
            if name in kwargs:
                bound[name] = kwargs[name]
            elif name in self._defaults:
                bound[name] = self._defaults[name]
        for name in self._by_name_only:
            if name in kwargs:
                bound[name] = kwargs[name]
            elif name in self._defaults:
                bound[name] = self._defaults[name]
        if len(args) > self._count:
            bound["*"] = args[self._count :]
        known = self._names[self._by_position_only :] + self._by_name_only
        rest = {name: value for name, value in kwargs.items() if name not in known}
        if rest:
            bound["**"] = rest
        return bound

    def _text(self, value: object) -> str:
        try:
            return _encode(value, 0) if type(value) is dict else _tuple_text(value)
        except CacheKeyError as error:
            raise CacheKeyError(f"{self.name}: {error}") from None


def _tuple_text(parts: Any) -> str:
    """As `ascii` writes a tuple, so that both ways to a key give the same one."""
    texts = [_encode(part, 1) for part in parts]
    return f"({texts[0]},)" if len(texts) == 1 else f"({', '.join(texts)})"
