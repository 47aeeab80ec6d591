"""Python's objects counted by type, and the containers that are large: what a look at a growing process begins with.

`gc.get_objects` takes 12 ms for a million objects in one piece; everything else is done in pieces, between which other
threads run. Objects the collector does not track (strings, bytes, dicts of such) are not seen here but in what holds
them, see `pitstop.tune.memory.holders`.
"""

from __future__ import annotations

import gc
import time
from collections import Counter, deque
from typing import Any, Final, NamedTuple

LARGE: Final = 256  # entries; smaller containers are many, and none of them is the leak
PIECE: Final = 20_000  # objects, about 4 ms
BREAK_S: Final = 0.0005  # after each piece
SAMPLES: Final = 6
SIZED: Final = (dict, list, set, deque)


class Census(NamedTuple):
    """Counts by type's name; lengths of large containers by (id, type's name). `cpu_s` is what it took.

    `frozen` is how many objects `gc.freeze` had taken out of sight: counts with another number cannot be compared.
    """

    at_s: float
    counts: dict[str, int]
    lengths: dict[tuple[int, str], int]
    cpu_s: float
    frozen: int


def type_name(kind: type) -> str:
    """``module.Class``; builtins without their module."""
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", kind.__name__)
    return name if module in {"builtins", "", None} or not isinstance(module, str) else f"{module}.{name}"


def census(now_s: float) -> Census:
    """Count what lives now. Objects frozen by `gc.freeze` are left out: they do not grow in number."""
    began_s = time.thread_time()
    counts: Counter[type] = Counter()
    lengths: dict[tuple[int, str], int] = {}
    objects = gc.get_objects()
    for at in range(0, len(objects), PIECE):
        piece = objects[at : at + PIECE]
        kinds = Counter(map(type, piece))
        counts.update(kinds)
        sized = {kind for kind in kinds if issubclass(kind, SIZED)}
        if sized:
            lengths.update(_lengths([each for each in piece if type(each) in sized], objects))
        del piece
        time.sleep(BREAK_S)
    del objects
    named: dict[str, int] = {}
    for kind, count in counts.items():
        name = type_name(kind)
        named[name] = named.get(name, 0) + count
    return Census(now_s, named, lengths, time.thread_time() - began_s, gc.get_freeze_count())


def newest(wanted: set[str]) -> dict[str, list[Any]]:
    """A few of the newest objects of each wanted type; the caller lets go of them soon."""
    found: dict[str, list[Any]] = {name: [] for name in wanted}
    names: dict[type, str | None] = {}
    objects = gc.get_objects()
    for each in reversed(objects):
        kind = type(each)
        if kind not in names:
            name = type_name(kind)
            names[kind] = name if name in wanted else None
        wanted_name = names[kind]
        if wanted_name is not None:
            some = found[wanted_name]
            some.append(each)
            if len(some) == SAMPLES:
                names[kind] = None
                if all(len(have) == SAMPLES for have in found.values()):
                    break
    return found


def living(idents: set[int]) -> dict[int, Any]:
    """The objects of these ids, as far as they still live and are tracked."""
    return {id(each): each for each in gc.get_objects() if id(each) in idents}


def _lengths(containers: list[Any], but: list[Any]) -> dict[tuple[int, str], int]:
    """Of those that are large; a function of its own, so that nothing of the host's is held any longer."""
    found = {}
    for each in containers:
        length = _length(each)
        if length >= LARGE and each is not but:
            found[id(each), type_name(type(each))] = length
    return found


def _length(each: Any) -> int:
    kind = type(each)
    for base in SIZED:
        if issubclass(kind, base):
            return base.__len__(each)  # a subclass may count in its own way, or take long
    return 0
