"""What an object holds altogether, as far as it holds it alone."""

from __future__ import annotations

import gc
import sys
from collections import deque
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any, Final

MOST: Final = 400  # objects looked at below one
SHARED_REFERENCES: Final = 8  # what so many others refer to is not this one's; ours while looking are three
_NOT_ITS_OWN: Final = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType)


def size_of(each: Any) -> int:
    """Bytes of `each` and of what it refers to, directly or not, and nearly nobody else. A lower bound.

    Others of its class are left out: in a chain each would be counted with all before it.
    """
    total, seen, waiting = 0, {id(each)}, deque([each])
    own = (type(each), *_NOT_ITS_OWN) if type(each).__module__ != "builtins" else _NOT_ITS_OWN
    while waiting and len(seen) < MOST:
        one = waiting.popleft()
        try:
            total += sys.getsizeof(one)
        except Exception:  # noqa: BLE001, S112  `__sizeof__` is the host's
            continue
        for inner in gc.get_referents(one):
            if id(inner) in seen or issubclass(type(inner), own):
                continue
            if sys.getrefcount(inner) > SHARED_REFERENCES:
                continue
            seen.add(id(inner))
            waiting.append(inner)
    return total


def mean_size(samples: list[Any]) -> float:
    """The mean of `size_of` over a few; 0 without any."""
    return sum(map(size_of, samples)) / len(samples) if samples else 0.0
