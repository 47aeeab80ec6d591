"""Large containers that can be reached from modules, with the way there: ``shop.cart.SEEN``, ``app.prices.entries``.

It walks modules, classes, instances, closures and containers, the application's own modules first, and stops at
`MOST` objects. A container that knows its bound and is below it is filling, not leaking.
"""

from __future__ import annotations

import gc
import sys
import sysconfig
import time
from array import array
from collections import deque
from functools import lru_cache
from itertools import islice
from mmap import mmap
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pitstop.tune.memory.census import BREAK_S, LARGE, SAMPLES, SIZED, type_name

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 60_000  # objects visited, about 0.2 s of CPU
PIECE: Final = 500  # of them, about 2 ms: then others may run
DEEPEST: Final = 6
MOST_INNER: Final = 1000  # of a container that is not large: keys of a module's dict and the like
LARGE_BYTES: Final = 65_536  # of one buffer
BOUNDS: Final = ("maxsize", "max_size", "_maxsize", "maxlen", "capacity", "max_entries", "max_length", "limit")
_CACHED: Final = type(lru_cache(lambda: None))
_PLAIN: Final = (str, int, float, complex, bool, type(None), CodeType, BuiltinFunctionType, ModuleType)
_BUFFERS: Final = (bytearray, array, mmap)
_OURS: Final = "pitstop"


class Holder(NamedTuple):
    """`length` is entries, of a buffer bytes. `bound`: the most it may have, None where it does not say."""

    path: str
    kind: str
    length: int
    entry: str
    bound: int | None
    sample: list[Any]


def holders() -> tuple[dict[tuple[int, str], Holder], float]:
    """Every large container found, by (id, type's name), and the CPU seconds that took."""
    began_s = time.thread_time()
    found: dict[tuple[int, str], Holder] = {}
    seen: set[int] = set()
    waiting: deque[tuple[Any, str, int, int | None]] = deque()
    for name, module in _modules():
        seen.add(id(module.__dict__))
        waiting.extend((value, f"{name}.{key}", 0, None) for key, value in list(module.__dict__.items()))
        _walk(waiting, seen, found)
        if len(seen) >= MOST:
            break
    return found, time.thread_time() - began_s


def _modules() -> list[tuple[str, ModuleType]]:
    """Those of the application, then those installed, then the standard library's."""
    installed = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})

    def rank(name: str, module: ModuleType) -> int:
        if name.partition(".")[0] in sys.stdlib_module_names and name != "__main__":
            return 2
        return 1 if (getattr(module, "__file__", None) or "").startswith(installed) else 0

    known = [
        (name, module)
        for name, module in list(sys.modules.items())
        if type(module) is ModuleType and name.partition(".")[0] != _OURS
    ]
    return sorted(known, key=lambda one: rank(*one))


def _walk(
    waiting: deque[tuple[Any, str, int, int | None]], seen: set[int], found: dict[tuple[int, str], Holder]
) -> None:
    while waiting and len(seen) < MOST:
        each, path, depth, bound = waiting.popleft()
        if issubclass(type(each), _PLAIN) or id(each) in seen or depth > DEEPEST:
            continue
        seen.add(id(each))
        if not len(seen) % PIECE:
            time.sleep(BREAK_S)
        try:
            holder = _holder(each, path, bound)
            if holder is not None:
                found[id(each), holder.kind] = holder
            waiting.extend((value, name, depth + 1, limit) for value, name, limit in _inner(each, path, holder))
        except Exception:  # noqa: BLE001, S112  other threads change what is walked, and objects may do anything
            continue


def _holder(each: Any, path: str, bound: int | None) -> Holder | None:
    kind = type(each)
    if issubclass(kind, SIZED):
        length = len(each)
        if length < LARGE:
            return None
        recent = recent_of(each)
        if issubclass(kind, deque):
            bound = each.maxlen
        entry = type_name(type(recent[0])) if recent else ""
        return Holder(path, type_name(kind), length, entry, bound, recent)
    if issubclass(kind, _CACHED):
        return _cached(each, path)
    if issubclass(kind, _BUFFERS) and len(each) >= LARGE_BYTES:
        return Holder(path, type_name(kind), len(each), "", bound, [])
    return None


def recent_of(container: Any, most: int = SAMPLES) -> list[Any]:
    """The entries added last, of a dict its values; of a set any."""
    kind = type(container)
    if issubclass(kind, dict):
        return list(islice(reversed(container.values()), most))
    if issubclass(kind, (list, deque)):
        return list(islice(reversed(container), most))
    return list(islice(container, most))


def _inner(each: Any, path: str, holder: Holder | None) -> Iterator[tuple[Any, str, int | None]]:
    """What `each` holds: object, name, and the bound that `each` sets on it."""
    kind = type(each)  # not what a proxy says it is
    if issubclass(kind, (dict, list, tuple, set, frozenset, deque)):
        values = each.values() if issubclass(kind, dict) else each
        for value in list(islice(values, 3 if holder else MOST_INNER)):
            yield value, f"{path}[…]", None  # a key may be the host's data
    elif issubclass(kind, type):
        if each.__module__ == "__main__" or str(each.__module__).partition(".")[0] not in sys.stdlib_module_names:
            yield from ((value, f"{path}.{key}", None) for key, value in list(vars(each).items()))
    elif issubclass(kind, FunctionType):
        yield from _of_function(each, path)
    elif issubclass(kind, CellType):
        yield each.cell_contents, path, None
    elif issubclass(kind, MethodType):
        yield each.__self__, path, None
    elif issubclass(kind, _CACHED):
        yield each.__wrapped__, path, None
    else:
        yield from _of_instance(each, kind, path)


def _of_function(each: Any, path: str) -> Iterator[tuple[Any, str, int | None]]:
    for name, cell in zip(each.__code__.co_freevars, each.__closure__ or (), strict=False):
        yield cell, f"{path}.<{name}>", None
    for value in each.__defaults__ or ():
        yield value, f"{path}.<default>", None
    yield from ((value, path, None) for value in list(each.__dict__.values()))


def _cached(each: Any, path: str) -> Holder | None:
    """What `functools` keeps for a function; a bounded cache has links that say nothing, but refers to all it holds."""
    _, _, bound, length = each.cache_info()
    if length < LARGE:
        return None
    values: list[Any] = []
    for held in gc.get_referents(each):
        if type(held) is dict and bound is None and held is not each.__dict__:
            values = list(islice(reversed(held.values()), SAMPLES))
            break
        if bound is not None and not issubclass(type(held), (type, FunctionType)) and held is not each.__dict__:
            values.append(held)  # a key or its value
            if len(values) == 2 * SAMPLES:
                break
    if bound is not None:
        values = list(zip(values[::2], values[1::2], strict=False))
    entry = type_name(type(values[0])) if values else ""
    return Holder(f"{path} (functools cache)", "dict", length, entry, bound, values)


def _of_instance(each: Any, kind: type, path: str) -> Iterator[tuple[Any, str, int | None]]:
    fields: dict[str, Any] = {}
    if getattr(kind, "__dictoffset__", 0):
        fields = dict(object.__getattribute__(each, "__dict__"))
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            descriptor = base.__dict__.get(name)
            if descriptor is not None and hasattr(descriptor, "__get__"):
                try:
                    fields[name] = descriptor.__get__(each, kind)
                except AttributeError:
                    continue
    bound = next((fields[name] for name in BOUNDS if type(fields.get(name)) is int), None)
    for name, value in fields.items():
        yield value, f"{path}.{name}", bound
